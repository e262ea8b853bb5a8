"""When a request is sent again: one policy for sync and async, calls and transfers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from tenacity import RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from airflow_provider_kie.client.errors import KieConnectionError, KieError, KieRateLimitError

log = logging.getLogger(__name__)

RETRY_AFTER_LIMIT = 120.0
MAINTENANCE = 455

# tenacity's random exponential is the "full jitter": anywhere between 0 and the doubling bound.
_backoff = wait_random_exponential(multiplier=1, max=60)
_maintenance_backoff = wait_random_exponential(multiplier=15, max=RETRY_AFTER_LIMIT)


def retry_policy(name: str, *, max_retries: int, repeatable: bool = True) -> dict[str, Any]:
    """
    Make the arguments for tenacity's ``Retrying`` and ``AsyncRetrying``.

    :param name: What is repeated, for the log.
    :param max_retries: How often it is repeated at the most.
    :param repeatable: False if sending it twice may cost money.
    :return: Keyword arguments.
    """
    return {
        "stop": stop_after_attempt(max_retries + 1),
        "wait": seconds_to_wait,
        "retry": retry_if_exception(may_repeat(repeatable)),
        "before_sleep": _log_retry(name, max_retries),
        "reraise": True,
    }


def may_repeat(repeatable: bool) -> Callable[[BaseException], bool]:
    """
    Make the rule that says which failures are worth another try.

    :param repeatable: False if sending it twice may cost money: then only what kie.ai refused
        (rate limit, maintenance) or what never reached it is sent again.
    :return: The predicate.
    """

    def predicate(error: BaseException) -> bool:
        if not isinstance(error, KieError) or not error.transient:
            return False
        if repeatable:
            return True
        never_sent = isinstance(error, KieConnectionError) and error.never_sent
        return never_sent or isinstance(error, KieRateLimitError) or error.code == MAINTENANCE

    return predicate


def seconds_to_wait(state: RetryCallState) -> float:
    """
    Say how long to wait before the next try.

    :param state: tenacity's state, whose outcome is a :class:`KieError`.
    :return: Seconds: what kie.ai asked for, up to 120; else exponential with full jitter, longer in
        maintenance.
    """
    error = state.outcome.exception() if state.outcome else None
    asked = getattr(error, "retry_after", None)
    if asked is not None:
        return float(min(asked, RETRY_AFTER_LIMIT))
    if getattr(error, "code", None) == MAINTENANCE:
        return _maintenance_backoff(state)
    return _backoff(state)


def _log_retry(name: str, max_retries: int) -> Callable[[RetryCallState], None]:
    def log_retry(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait = state.next_action.sleep if state.next_action else 0.0
        log.warning(
            "%s failed; retry %d of %d in %.1f s: %s", name, state.attempt_number, max_retries, wait, error
        )

    return log_retry
