"""Waiting for credits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_kie._compat import (
    AirflowRescheduleException,
    AirflowRuntimeError,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferralError,
    TaskDeferralTimeout,
    conf,
)
from airflow_provider_kie.decisions.credits import Condition, CreditsGoal, decide
from airflow_provider_kie.decisions.waiting import ConsecutiveFailures

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_kie.client.errors import KieError
    from airflow_provider_kie.decisions.waiting import Decision


class KieCreditsSensor(BaseSensorOperator):
    """
    Wait until the account has enough credits, or too few; free.

    A transient failure (rate limit, maintenance, 5xx, network) is "not yet", until ``timeout``. What kie.ai
    says of the key, that it is wrong or its cap reached, ends the sensor at once. Anything else that looks
    permanent may be a proxy's page, and ends it the third time in a row; a connection that is not found may
    be an outage of Airflow's, and ends it the tenth time. ``soft_fail`` makes none of these a skip.

    :param threshold: Credits. (templated)
    :param condition: ``at_least`` the threshold, or ``below`` it. (templated)
    :param deferrable: Wait in the triggerer, without a worker; by default as
        ``[operators] default_deferrable`` says. ``mode`` then has no meaning.
    :param kie_conn_id: Airflow connection. (templated)
    :return: The balance, a float.
    :raises ValueError: The threshold is no number, or there is no such condition.
    :raises AirflowSensorTimeout: The balance did not come within ``timeout`` seconds.
    :raises KieError: A failure that waiting does not mend, as above.

    kie.ai page: https://docs.kie.ai/common-api/get-account-credits
    """

    template_fields: Sequence[str] = ("threshold", "condition", "kie_conn_id")
    ui_color = "#fff2cc"

    _failures = ConsecutiveFailures()

    def __init__(
        self,
        *,
        threshold: float | str,
        condition: Condition = "at_least",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        kie_conn_id: str = "kie_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold
        self.condition = condition
        self.deferrable = deferrable
        self.kie_conn_id = kie_conn_id

    def poke(self, context: Context) -> PokeReturnValue:
        """Ask for the balance once."""
        from airflow_provider_kie.client.errors import KieError
        from airflow_provider_kie.hooks.kie import KieHook

        goal = CreditsGoal.parse(self.threshold, self.condition)
        try:
            # One request a poke: the interval is the retry.
            balance = KieHook(self.kie_conn_id).get_credits(max_retries=0)
        except KieError as error:
            if self._decide(goal, error, context).outcome == "fail":
                raise
            return PokeReturnValue(is_done=False)
        is_done = self._decide(goal, balance, context).outcome == "done"
        return PokeReturnValue(is_done=is_done, xcom_value=balance)

    def execute(self, context: Context) -> Any:
        """Wait; in the triggerer if deferrable, and then only if the first poke does not end it."""
        goal = CreditsGoal.parse(self.threshold, self.condition)
        self._failures = ConsecutiveFailures()
        if not self.deferrable:
            return self._wait_on_workers(context)
        first = self._first_poke(context)
        return first.xcom_value if first.is_done else self._defer(goal)

    def _wait_on_workers(self, context: Context) -> Any:
        """Wait as the base class does; if Airflow cannot say since when, leave that to the next poke."""
        try:
            return super().execute(context)
        except AirflowRuntimeError as error:
            # So many polls have taken the timeout at the least, whenever the first was.
            polls_at_most = self.timeout / max(self.poke_interval, 1.0)
            if not self.reschedule or context.get("task_reschedule_count", 0) > polls_at_most:
                raise
            self.log.warning("Airflow cannot say since when this waits, will ask again: %s", error)
            again = datetime.now(UTC) + timedelta(seconds=self.poke_interval)
            raise AirflowRescheduleException(again) from error

    def _decide(self, goal: CreditsGoal, poll: float | KieError, context: Context) -> Decision:
        """Decide what a poll means, log it, and remember its failure for the next one."""
        # A balance ends any row of failures, so the store need not be asked then.
        if self.reschedule and not self.deferrable and not isinstance(poll, float):
            from airflow_provider_kie.sensors._rescheduled import RescheduledFailures

            earlier = RescheduledFailures(context)
            decision = decide(goal, earlier.load(), poll)
            earlier.save(decision.failures)
        else:
            decision = decide(goal, self._failures, poll)
            self._failures = decision.failures
        if decision.message:
            self.log.log(decision.level, "%s", decision.message)
        return decision

    def _defer(self, goal: CreditsGoal) -> NoReturn:
        from airflow_provider_kie.triggers.credits import KieCreditsTrigger

        self.defer(
            trigger=KieCreditsTrigger(
                threshold=goal.threshold,
                condition=goal.condition,
                poke_interval=self.poke_interval,
                kie_conn_id=self.kie_conn_id,
                silent_fail=self.silent_fail,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> float:
        """Resume after the trigger's event."""
        from airflow_provider_kie.client.errors import KieError
        from airflow_provider_kie.triggers.credits import read_event

        try:
            balance = read_event(event)
        except KieError as error:
            if self.never_fail:
                raise AirflowSkipException("Skipping because of never_fail.") from error
            raise
        self.log.info("The balance is %.15g credits", balance)
        return balance

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume as the base class does, but skip after a timeout only: a trigger that broke is none."""
        try:
            return super(BaseSensorOperator, self).resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipping after the timeout: {error}") from error
            raise AirflowSensorTimeout(*error.args) from error
        except TaskDeferralError as error:
            if self.never_fail:
                raise AirflowSkipException("Skipping because of never_fail.") from error
            raise

    def _first_poke(self, context: Context) -> PokeReturnValue:
        """Poke as the base class does in its loop, with its ``silent_fail`` and ``never_fail``."""
        try:
            return self.poke(context)
        except Exception as error:
            if self.silent_fail:
                self.log.exception("Poking failed; waiting goes on because of silent_fail")
                return PokeReturnValue(is_done=False)
            if self.never_fail:
                raise AirflowSkipException("Skipping because of never_fail.") from error
            raise
