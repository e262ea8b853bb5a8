"""When a request is repeated: one policy for sync and async, calls and transfers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tenacity import RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from airflow_provider_kie.client.errors import (
    KieConfigError,
    KieError,
    KieInsufficientCreditsError,
    KieRateLimitError,
)

log = logging.getLogger(__name__)

RETRY_AFTER_LIMIT = 120.0
# What kie.ai says when it takes a request and does nothing.
_REFUSALS = frozenset({400, 401, 402, 403, 404, 405, 413, 422, 433, 451, 505})
MAINTENANCE = 455

# tenacity's random exponential is "full jitter": anywhere between 0 and the doubling bound.
_backoff = wait_random_exponential(multiplier=1, max=60)
# kie.ai takes 20 creations in 10 s, so it is well into the next such window before there is room again.
_creation_backoff = wait_random_exponential(multiplier=10, min=5, max=RETRY_AFTER_LIMIT)
_maintenance_backoff = wait_random_exponential(multiplier=15, min=5, max=RETRY_AFTER_LIMIT)


@dataclass
class RetryCount:
    """
    Counts the retries of one piece of work.

    :param count: How many so far.
    """

    count: int = 0


class Cooldown:
    """
    A pause, after a rate limit, in which no thread of a client sends.

    :param sleep: Waits for the given number of seconds.
    """

    def __init__(self, sleep: Callable[[float], Any] = time.sleep) -> None:
        self._sleep = sleep
        self._lock = threading.Lock()
        self._until = 0.0

    def hold(self, seconds: float) -> None:
        """
        Hold back all sending for a while.

        :param seconds: How long from now.
        """
        with self._lock:
            self._until = max(self._until, time.monotonic() + seconds)

    def wait(self) -> None:
        """Wait until sending is allowed; a hold added meanwhile counts too."""
        while (missing := self._until - time.monotonic()) > 0 and not self._sleep(missing):
            pass


def retry_policy(
    name: str,
    *,
    max_retries: int,
    repeatable: bool = True,
    retries: RetryCount | None = None,
    cooldown: Cooldown | None = None,
) -> dict[str, Any]:
    """
    Build the arguments for tenacity's ``Retrying`` and ``AsyncRetrying``.

    :param name: What is repeated, for the log.
    :param max_retries: How often it is repeated at most.
    :param repeatable: False if sending it twice may cost money.
    :param retries: Counts the retries.
    :param cooldown: Told of rate limits, so that they slow all threads that share it.
    :return: Keyword arguments.
    """

    def before_sleep(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait = state.next_action.sleep if state.next_action else 0.0
        if retries is not None:
            retries.count += 1
        if cooldown is not None and isinstance(error, KieRateLimitError):
            cooldown.hold(wait)
        # A transfer that makes progress gets more tries than that.
        of = f" of {max_retries}" if state.attempt_number <= max_retries else ""
        log.warning("%s failed; retry %d%s in %.1f s: %s", name, state.attempt_number, of, wait, error)

    return {
        "stop": stop_after_attempt(max_retries + 1),
        "wait": partial(seconds_to_wait, repeatable=repeatable),
        "retry": retry_if_exception(may_repeat(repeatable)),
        "before_sleep": before_sleep,
        "reraise": True,
    }


def may_repeat(repeatable: bool) -> Callable[[BaseException], bool]:
    """
    Build the predicate for failures that are worth another try.

    :param repeatable: False if sending it twice may cost money; it is then sent again only if kie.ai refused
        it (rate limit, maintenance) or it never got there.
    :return: The predicate.
    """

    def predicate(error: BaseException) -> bool:
        if not isinstance(error, KieError) or not error.transient:
            return False
        if repeatable:
            return True
        return error.never_sent or isinstance(error, KieRateLimitError) or error.code == MAINTENANCE

    return predicate


def was_refused(error: KieError) -> bool:
    """
    Judge a call that may cost money and has failed: has it certainly cost nothing?

    :param error: What came of it, after all repetitions.
    :return: True if it was never sent, or if kie.ai itself said that it does not do it; False if nobody can
        tell.
    """
    if error.never_sent or may_repeat(False)(error):
        return True
    if isinstance(error, KieConfigError | KieInsufficientCreditsError):
        return True
    return error.said_by_kie and error.code in _REFUSALS


def seconds_to_wait(state: RetryCallState, *, repeatable: bool = True) -> float:
    """
    Return how long to wait before the next try.

    :param state: tenacity's state, whose outcome is a :class:`KieError`.
    :param repeatable: False if sending it twice may cost money.
    :return: Seconds: what kie.ai asked for, up to 120; else exponential with full jitter, longer in
        maintenance and where a creation met the limit of them.
    """
    error = state.outcome.exception() if state.outcome else None
    asked = getattr(error, "retry_after", None)
    if asked is not None:
        return float(min(asked, RETRY_AFTER_LIMIT))
    if getattr(error, "code", None) == MAINTENANCE:
        return _maintenance_backoff(state)
    if isinstance(error, KieRateLimitError) and not repeatable:
        return _creation_backoff(state)
    return _backoff(state)
