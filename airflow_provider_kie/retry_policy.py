"""When Airflow runs a failed task again: when kie.ai says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_kie._compat import HAS_RESCHEDULE, RetryDecision, RetryPolicy

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_kie.client.errors import KieError

# Whatever a proxy asks for: beyond that, the task's own retries know better.
LONGEST_SECONDS = 3600.0


@dataclass(frozen=True)
class KieRetryPolicy(RetryPolicy):
    """
    Retry a task as kie.ai's errors say, within its ``retries``; from Airflow 3.3 on.

    The retry comes after as many seconds as kie.ai asked for, up to an hour. What no retry mends fails at
    once: a wrong key, a refused request, ... Anything else is retried as the task says, a ``ValueError`` of
    an argument too: what it was rendered from may be another value by then.

    All operators and sensors of this provider have one, unless the task or its DAG's ``default_args`` have a
    ``retry_policy``; None is none. A function has it by ``@task(retry_policy=KieRetryPolicy())``.

    :param max_reschedules: From Airflow 3.4 on: how often a try that meets a rate limit or maintenance may
        start over without using up a retry, after the task's ``retry_delay`` unless kie.ai asks for another.
        Not at all by default, because something may have been paid for before the limit was met; 12 times in
        sensors and in operators that cost nothing.
    :raises ValueError: ``max_reschedules`` is negative.
    """

    max_reschedules: int = 0

    def __post_init__(self) -> None:
        if self.max_reschedules < 0:
            raise ValueError(f"max_reschedules must be 0 or more, not {self.max_reschedules!r}")

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """
        Decide what follows from a failure; called by Airflow, on the worker.

        :param exception: What the try has raised.
        :param try_number: The try, from 1; plays no part here, because Airflow counts the tries.
        :param max_tries: How many there are; plays no part either.
        :param context: The task's context; not needed.
        :return: Fail at once, retry after what kie.ai asked for, start over, or as the task says.
        """
        error = next(_errors_in(exception, by_chance=False), None)
        # The reasons are logged below the error, which has said all else.
        if error and not error.airflow_may_retry:
            return RetryDecision.fail(f"no retry mends a {type(error).__name__}")
        asked = max((each.retry_after or 0.0 for each in _errors_in(exception)), default=0.0)
        delay = timedelta(seconds=min(asked, LONGEST_SECONDS)) if asked > 0 else None
        if HAS_RESCHEDULE and self.max_reschedules and _was_refused_for_now(exception):
            decision: RetryDecision = RetryDecision.reschedule(  # type: ignore[attr-defined, unused-ignore]
                delay, max_reschedules=self.max_reschedules, reason="kie.ai did nothing, for now"
            )
            return decision
        if delay is None:
            return RetryDecision.default()
        return RetryDecision.retry(delay, f"kie.ai asked for {asked:g} seconds")

    def serialize(self) -> dict[str, Any]:
        """
        Convert to what JSON can hold.

        :return: The policy's fields, and its name as ``__type``.
        """
        return {"__type": type(self).__name__} | asdict(self)

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Self:
        """
        Read what :meth:`serialize` gave.

        :param data: That.
        :return: The same policy.
        """
        return cls(data["max_reschedules"])


def _errors_in(exception: BaseException, *, by_chance: bool = True) -> Iterator[KieError]:
    """
    Find the errors of ours in a failure: itself, those of a batch's files, and what led to it.

    :param exception: The failure.
    :param by_chance: Whether to look for what was merely being handled when it came, too.
    :return: The errors, from the failure down.
    """
    from airflow_provider_kie.client.errors import KieBatchError, KieError

    seen: list[BaseException] = []
    reason: BaseException | None = exception
    while reason is not None and reason not in seen:
        seen.append(reason)
        if isinstance(reason, KieError):
            yield reason
        if isinstance(reason, KieBatchError):
            for _, failure in reason.failures:
                yield from _errors_in(failure, by_chance=by_chance)
        reason = reason.__cause__ or (reason.__context__ if by_chance else None)


def _was_refused_for_now(error: BaseException) -> bool:
    """Whether kie.ai has certainly done nothing, and will soon."""
    from airflow_provider_kie.client.errors import KieRateLimitError, KieUnavailableError
    from airflow_provider_kie.client.retries import MAINTENANCE

    if isinstance(error, KieUnavailableError):
        return error.said_by_kie and error.code == MAINTENANCE
    return isinstance(error, KieRateLimitError)
