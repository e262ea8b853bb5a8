"""How many requests a second triggers make together: fewer where kie.ai says that it is too many."""

from __future__ import annotations

import asyncio
import time

from airflow_provider_kie.client.errors import KieRateLimitError
from airflow_provider_kie.client.retries import RETRY_AFTER_LIMIT

REQUESTS_PER_SECOND = 10.0
FEWEST_PER_SECOND = 0.5
# Added by each answer, so that it takes as many answers as seconds to be back at full speed.
RECOVERY = 0.1


class RequestBudget:
    """
    Lets one request after the other go.

    :ivar rate: Requests a second, just now.
    """

    def __init__(self) -> None:
        self.rate = REQUESTS_PER_SECOND
        self._turn = asyncio.Lock()
        self._next_at = 0.0
        self._slowed_at = 0.0

    async def wait(self) -> float:
        """
        Wait for a request's turn; whoever is cancelled meanwhile takes none.

        :return: The time, of the monotonic clock.
        """
        async with self._turn:
            # A rate limit may move it on.
            while (missing := self._next_at - time.monotonic()) > 0:
                await asyncio.sleep(missing)
            now = time.monotonic()
            self._next_at = now + 1 / self.rate
            return now

    def answered(self) -> None:
        """Take note of an answer."""
        self.rate = min(self.rate + RECOVERY, REQUESTS_PER_SECOND)

    def refused(self, error: KieRateLimitError, sent_at: float) -> None:
        """
        Slow down: to the half, and not before kie.ai wants to be asked again.

        :param error: The rate limit.
        :param sent_at: Time of the request that met it; those that were on their way together count once.
        """
        now = time.monotonic()
        if sent_at >= self._slowed_at:
            self.rate = max(self.rate / 2, FEWEST_PER_SECOND)
            self._slowed_at = now
        pause = max(1 / self.rate, min(error.retry_after or 0.0, RETRY_AFTER_LIMIT))
        self._next_at = max(self._next_at, now + pause)
