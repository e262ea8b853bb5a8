"""What the sensors share: three ways to wait, with the same answers and the same errors."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_kie._compat import (
    AirflowRescheduleException,
    AirflowRuntimeError,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferralError,
    TaskDeferralTimeout,
)
from airflow_provider_kie._tasks import KieBaseOperator, PlainFailures

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_kie.client.errors import KieError
    from airflow_provider_kie.decisions.waiting import ConsecutiveFailures, Decision
    from airflow_provider_kie.decisions.waiting_log import WaitingLog


class KieBaseSensor(KieBaseOperator, BaseSensorOperator):
    """Pokes on a worker, or waits in the triggerer; ``soft_fail`` makes nothing but the timeout a skip."""

    deferrable: bool
    _failures: ConsecutiveFailures | None = None
    _waiting_log: WaitingLog | None = None
    _began_at = 0.0

    @property
    @abstractmethod
    def _subject(self) -> str:
        """What is waited for, as the log calls it."""

    @abstractmethod
    def _check_arguments(self) -> None:
        """Check the arguments, after templating, before any request."""

    @abstractmethod
    def _decide(self, failures: ConsecutiveFailures, poll: Any, context: Context) -> Decision:
        """Decide what a poll means, given the failures right before it."""

    @abstractmethod
    def _trigger(self) -> BaseTrigger:
        """Make what waits in the triggerer; its event goes to ``execute_complete``."""

    def _after_timeout(self) -> str:
        """Say what a timeout leaves behind."""
        return ""

    @abstractmethod
    def _read(self, event: dict[str, Any] | None) -> Any:
        """Read the trigger's event: what a poke gives, or its error."""

    def _result(self, value: Any, context: Context) -> Any:
        """Turn what ended the waiting into the sensor's result."""
        return value

    def execute(self, context: Context) -> Any:
        """Wait; in the triggerer if deferrable, and then only if the first poke does not end it."""
        self._check_arguments()
        self._began_at = time.time()
        self._failures = self._waiting_log = None
        with PlainFailures(_as_its_retries_may_mend), self._skipping_if_never_fail():
            return self._result(self._wait(context), context)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """Resume after the trigger's event."""
        with PlainFailures(_as_its_retries_may_mend), self._skipping_if_never_fail():
            return self._result(self._read(event), context)

    def _wait(self, context: Context) -> Any:
        if not self.deferrable:
            return self._wait_on_workers(context)
        first = self._first_poke(context)
        if first.is_done:
            return first.xcom_value
        patience = timedelta(seconds=self.timeout)
        return self.defer(trigger=self._trigger(), method_name="execute_complete", timeout=patience)

    def _wait_on_workers(self, context: Context) -> Any:
        """Wait as the base class does; if Airflow cannot say since when, leave that to the next poke."""
        try:
            return super().execute(context)
        except (AirflowSensorTimeout, AirflowSkipException) as error:
            if not (more := self._after_timeout()):
                raise
            raise type(error)(f"{error} {more}") from None
        except AirflowRuntimeError as error:
            # So many polls have taken the timeout at the least, whenever the first was.
            polls_at_most = self.timeout / max(self.poke_interval, 1.0)
            if not self.reschedule or context.get("task_reschedule_count", 0) > polls_at_most:
                raise
            self.log.warning("Airflow cannot say since when this waits, will ask again: %s", error)
            again = datetime.now(UTC) + timedelta(seconds=self.poke_interval)
            raise AirflowRescheduleException(again) from error

    def _judge(self, poll: Any, context: Context) -> Decision:
        """Decide what a poll means, log it, and remember its failure for the next one."""
        from airflow_provider_kie.client.errors import KieError
        from airflow_provider_kie.decisions.waiting import ConsecutiveFailures

        # An answer ends any row of failures, so the store need not be asked then.
        if self.reschedule and not self.deferrable and isinstance(poll, KieError):
            from airflow_provider_kie.sensors._rescheduled import RescheduledFailures

            earlier = RescheduledFailures(context)
            decision = self._decide(earlier.load(), poll, context)
            earlier.save(decision.failures)
        else:
            decision = self._decide(self._failures or ConsecutiveFailures(), poll, context)
            self._failures = decision.failures
        self._say(decision, context)
        return decision

    def _say(self, decision: Decision, context: Context) -> None:
        """Log a decision; with the first that is to wait, how the waiting will be."""
        from airflow_provider_kie.decisions.waiting_log import WaitingLog, format_duration

        line = decision.message
        if decision.outcome == "wait":
            # Each poke of a rescheduled sensor is a process of its own.
            apart = self.reschedule and not self.deferrable
            before = context.get("task_reschedule_count", 0) if apart else 0
            if self._waiting_log is None and not before:
                self.log.info("%s", self._will_wait())
            self._waiting_log = self._waiting_log or WaitingLog()
            if apart:
                line = f"{line} (check {before + 1}; next check in {format_duration(self.poke_interval)})"
            else:
                line = self._waiting_log.line(decision, time.time() - self._began_at, self.poke_interval)
        if line:
            self.log.log(decision.level, "%s", line)

    def _will_wait(self) -> str:
        from airflow_provider_kie.decisions.waiting_log import format_duration, will_wait

        how_often = f"checking every {format_duration(self.poke_interval)}"
        if self.exponential_backoff and not self.deferrable:
            how_often += " at first"
        return will_wait(self._subject, how_often, self.timeout, self._began_at)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume as the base class does, but skip after a timeout only: a trigger that broke is none."""
        try:
            return super(BaseSensorOperator, self).resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout as error:
            waited = f"{error}, after {self.timeout:g} seconds of waiting for {self._subject}."
            message = f"{waited} {self._after_timeout()}".rstrip()
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipping after the timeout: {message}") from error
            raise AirflowSensorTimeout(message) from None
        except TaskDeferralError as error:
            if self.never_fail:
                raise AirflowSkipException("Skipping because of never_fail.") from error
            raise

    def _first_poke(self, context: Context) -> PokeReturnValue:
        """Poke as the base class does in its loop, with its ``silent_fail`` and ``never_fail``."""
        try:
            return self._poke_once(context)
        except Exception as error:
            if self.silent_fail:
                self.log.exception("Poking failed; waiting goes on because of silent_fail")
                return PokeReturnValue(is_done=False)
            if self.never_fail:
                raise AirflowSkipException("Skipping because of never_fail.") from error
            raise

    def _poke_once(self, context: Context) -> PokeReturnValue:
        done = self.poke(context)
        return done if isinstance(done, PokeReturnValue) else PokeReturnValue(is_done=done)

    @contextmanager
    def _skipping_if_never_fail(self) -> Iterator[None]:
        """Make an error of ours a skip, where ``never_fail`` wants it."""
        from airflow_provider_kie.client.errors import KieError

        try:
            yield
        except KieError as error:
            if self.never_fail:
                raise AirflowSkipException("Skipping because of never_fail.") from error
            raise


def _as_its_retries_may_mend(error: KieError) -> KieError:
    """Leave to Airflow's retries what has ended the waiting, but may be a proxy's page and go away."""
    from airflow_provider_kie.client.errors import KieAuthError, KieNotFoundError

    if isinstance(error, KieAuthError | KieNotFoundError) and error.code and not error.said_by_kie:
        error.transient = True
    return error
