"""Many that wait on several connections, in Airflow's own manager of shared streams: trouble stays put."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_kie.simulator import KieSimulator
from airflow_provider_kie.triggers.credits import KieCreditsEventTrigger, KieCreditsTrigger

shared_stream = pytest.importorskip("airflow.triggers.shared_stream", reason="shared from Airflow 3.3 on")
Connect = Callable[..., str]
INTERVAL = 0.02


class Triggerer:
    """As much of Airflow's triggerer as routes triggers to shared streams; the manager is Airflow's own."""

    def __init__(self) -> None:
        self.manager = shared_stream.SharedStreamManager()
        self.waiting: list[asyncio.Task[list[Any]]] = []

    def start(self, trigger: BaseEventTrigger) -> asyncio.Task[list[Any]]:
        task = asyncio.create_task(self._run(len(self.waiting), trigger))
        self.waiting.append(task)
        return task

    async def _run(self, trigger_id: int, trigger: BaseEventTrigger) -> list[Any]:
        key = trigger.shared_stream_key()
        stream = self.manager.subscribe(trigger_id=trigger_id, trigger=trigger, key=key)
        try:
            return [event.payload async for event in trigger.filter_shared_stream(stream)]
        finally:
            await self.manager.unsubscribe(trigger_id, key)


@asynccontextmanager
async def triggerer() -> AsyncIterator[Triggerer]:
    running = Triggerer()
    try:
        async with asyncio.timeout(30):
            yield running
    finally:
        for task in running.waiting:
            task.cancel()
        await asyncio.gather(*running.waiting, return_exceptions=True)
        await running.manager.stop_all()


def sensor(threshold: float, kie_conn_id: str = "kie_default", **kwargs: Any) -> KieCreditsTrigger:
    arguments: dict[str, Any] = {"condition": "at_least", "poke_interval": INTERVAL} | kwargs
    return KieCreditsTrigger(threshold=threshold, kie_conn_id=kie_conn_id, **arguments)


async def polls(kie: KieSimulator, count: int) -> None:
    """Wait until kie.ai has been asked so many times more."""
    target = len(kie.requests) + count
    while len(kie.requests) < target:
        await asyncio.sleep(INTERVAL / 4)


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def test_mixed_thresholds_and_conditions_are_each_told_when_theirs_is_met(
    kie_simulator: KieSimulator,
) -> None:
    kie_simulator.credits = 50
    async with triggerer() as running:
        rich = [running.start(sensor(threshold)) for threshold in (60, 70, 80)]
        poor = [running.start(sensor(threshold, condition="below")) for threshold in (40, 10)]
        await polls(kie_simulator, 3)
        assert not any(task.done() for task in rich + poor)
        kie_simulator.credits = 70
        assert await asyncio.gather(*rich[:2]) == [[{"status": "success", "credits": 70.0}]] * 2
        kie_simulator.credits = 20
        assert await poor[0] == [{"status": "success", "credits": 20.0}]
        await polls(kie_simulator, 2)
        assert not rich[2].done()
        assert not poor[1].done()


async def test_an_outage_concerns_only_those_on_that_connection_and_loses_none_of_them(
    kie_simulator: KieSimulator, connect: Connect
) -> None:
    kie_simulator.credits = 10
    connect("kie_down", host=f"http://127.0.0.1:{closed_port()}", password=kie_simulator.api_key)
    async with triggerer() as running:
        cut_off = [running.start(sensor(threshold, "kie_down")) for threshold in (5, 5, 20)]
        good = running.start(sensor(20))
        await polls(kie_simulator, 5)
        kie_simulator.credits = 20
        assert await good == [{"status": "success", "credits": 20.0}]
        assert not any(task.done() for task in cut_off)
        connect("kie_down", host=kie_simulator.api_url, password=kie_simulator.api_key)
        done = await asyncio.gather(*cut_off)
        assert [events[0]["credits"] for events in done] == [20.0] * 3


async def test_a_storm_of_rate_limits_is_waited_out(kie_simulator: KieSimulator) -> None:
    kie_simulator.fail_next("credit", code=429, times=4)
    kie_simulator.fail_next("credit", status=429, retry_after=0)
    async with triggerer() as running:
        waiting = [running.start(sensor(threshold)) for threshold in (1, 50, 100)]
        done = await asyncio.gather(*waiting)
    assert [events[0]["credits"] for events in done] == [100.0] * 3
    assert len(kie_simulator.requests) == 6


async def test_a_bad_key_ends_those_on_its_connection_each_as_it_was_told_to(
    kie_simulator: KieSimulator, connect: Connect
) -> None:
    kie_simulator.credits = 10
    connect("kie_bad", host=kie_simulator.api_url, password="revoked")
    async with triggerer() as running:
        good = [running.start(sensor(20)) for _ in range(3)]
        bad = [running.start(sensor(20, "kie_bad")) for _ in range(3)]
        silent = running.start(sensor(20, "kie_bad", silent_fail=True))
        watching = running.start(KieCreditsEventTrigger(5, "below", "kie_bad", INTERVAL))
        for events in await asyncio.gather(*bad):
            assert [event["error"] for event in events] == ["KieAuthError"]
        await polls(kie_simulator, 5)
        assert not any(task.done() for task in [*good, silent, watching])
        connect("kie_bad", host=kie_simulator.api_url, password=kie_simulator.api_key)
        kie_simulator.credits = 20
        for task in [*good, silent]:
            assert (await task)[0]["credits"] == 20.0
        assert not watching.done()


async def test_whoever_comes_late_shares_the_poll_that_is_there(kie_simulator: KieSimulator) -> None:
    kie_simulator.credits = 10
    async with triggerer() as running:
        first = running.start(sensor(20))
        await polls(kie_simulator, 3)
        late = running.start(sensor(30))
        before = len(kie_simulator.requests)
        await asyncio.sleep(10 * INTERVAL)
        assert len(kie_simulator.requests) - before <= 11
        kie_simulator.credits = 30
        assert (await first)[0]["credits"] == (await late)[0]["credits"] == 30.0


async def test_the_poll_ends_with_the_last_that_waits(kie_simulator: KieSimulator) -> None:
    async with triggerer() as running:
        await asyncio.gather(*[running.start(sensor(1)) for _ in range(3)])
        before = len(kie_simulator.requests)
        await asyncio.sleep(5 * INTERVAL)
        assert len(kie_simulator.requests) == before
