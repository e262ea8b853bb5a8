"""How many requests a second there are, on a clock that the tests turn."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_kie.client.errors import KieRateLimitError
from airflow_provider_kie.triggers import _budget
from airflow_provider_kie.triggers._budget import FEWEST_PER_SECOND, REQUESTS_PER_SECOND, RequestBudget


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    fake: Any = SimpleNamespace(sleep=clock.sleep, Lock=asyncio.Lock)
    monkeypatch.setattr(_budget, "time", clock)
    monkeypatch.setattr(_budget, "asyncio", fake)
    return clock


def limited(retry_after: float | None = None) -> KieRateLimitError:
    return KieRateLimitError("slow down", code=429, retry_after=retry_after)


async def test_there_are_ten_requests_a_second(clock: Clock) -> None:
    budget = RequestBudget()
    sent = await asyncio.gather(*(budget.wait() for _ in range(101)))
    assert sent == sorted(sent)
    assert sent[0] == 1000
    assert sent[-1] == pytest.approx(1010)


async def test_who_comes_alone_never_waits(clock: Clock) -> None:
    budget = RequestBudget()
    for _ in range(5):
        clock.now += 1
        assert await budget.wait() == clock.now


async def test_a_rate_limit_halves_it_once_for_all_that_were_on_their_way(clock: Clock) -> None:
    budget = RequestBudget()
    for _ in range(20):
        budget.refused(limited(), sent_at=clock.now - 1)
    assert budget.rate == REQUESTS_PER_SECOND / 2
    clock.now += 5
    budget.refused(limited(), sent_at=clock.now - 1)
    assert budget.rate == REQUESTS_PER_SECOND / 4


async def test_it_is_never_slower_than_that(clock: Clock) -> None:
    budget = RequestBudget()
    for _ in range(20):
        clock.now += 1
        budget.refused(limited(), sent_at=clock.now)
    assert budget.rate == FEWEST_PER_SECOND


@pytest.mark.parametrize(("asked", "seconds"), [(None, 0.2), (0.0, 0.2), (30.0, 30), (9999.0, 120)])
async def test_nobody_asks_before_kie_ai_wants_to_be_asked(
    asked: float | None, seconds: float, clock: Clock
) -> None:
    budget = RequestBudget()
    sent_at = await budget.wait()
    late = asyncio.gather(budget.wait(), budget.wait())
    await asyncio.sleep(0)
    budget.refused(limited(asked), sent_at)
    first, _ = await late
    assert first == pytest.approx(1000 + seconds)


async def test_answers_bring_it_back_bit_by_bit(clock: Clock) -> None:
    budget = RequestBudget()
    budget.refused(limited(), sent_at=clock.now)
    rates = []
    for _ in range(100):
        budget.answered()
        rates.append(budget.rate)
    assert rates == sorted(rates)
    assert rates[9] == pytest.approx(6)
    assert rates[-1] == REQUESTS_PER_SECOND
