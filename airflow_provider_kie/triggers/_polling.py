"""The poll that triggers share, whatever it asks for; it never ends by itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.client.retries import RETRY_AFTER_LIMIT

T = TypeVar("T")

# No author means to ask kie.ai a hundred times a second, and an interval of 0 would.
SHORTEST_INTERVAL = 1.0
# A poll in trouble waits longer than its interval: by what doubles from the interval, up to this.
LONGEST_BACKOFF = 300.0


def polling_interval(poke_interval: float) -> float:
    """
    Limit how often the triggerer asks.

    :param poke_interval: Seconds, as the author wants them.
    :return: Seconds, one or more.
    """
    return max(poke_interval, SHORTEST_INTERVAL)


async def poll(
    ask: Callable[[], Awaitable[T | KieError]], interval: float
) -> AsyncGenerator[T | KieError, None]:
    """
    Ask for ever; an error is a value, because raising would end everyone who shares the poll.

    :param ask: Asks once, and returns its errors.
    :param interval: Seconds between two polls, one at the least; after an error it is longer.
    :return: Answers and errors, one a poll.
    """
    failures = 0
    while True:
        result = await ask()
        raise_if_cancelled()
        yield result
        failures = failures + 1 if isinstance(result, KieError) else 0
        retry_after = result.retry_after if isinstance(result, KieError) else None
        await asyncio.sleep(seconds_to_wait(interval, failures, retry_after))


def raise_if_cancelled() -> None:
    """
    Check whether whoever calls was cancelled: asgiref, for one, can lose that on the way.

    :raises asyncio.CancelledError: It was; nothing else would end its waiting.
    """
    if (task := asyncio.current_task()) and task.cancelling():
        raise asyncio.CancelledError


def seconds_to_wait(interval: float, failures: int, retry_after: float | None = None) -> float:
    """
    Calculate when to ask again.

    :param interval: Seconds between two polls when all is well, as the author wants them.
    :param failures: How many polls in a row have failed.
    :param retry_after: Seconds that kie.ai asked for, honoured up to 120.
    :return: The interval; after a failure, more by a random part of a bound that doubles each time, so that
        those who failed together do not come back together.
    """
    interval = polling_interval(interval)
    if not failures:
        return interval
    bound = min(interval * 2.0 ** min(failures - 1, 30), LONGEST_BACKOFF)
    jitter = random.uniform(0, bound)  # noqa: S311 - nobody gains by guessing it
    return max(interval + jitter, min(retry_after or 0.0, RETRY_AFTER_LIMIT))
