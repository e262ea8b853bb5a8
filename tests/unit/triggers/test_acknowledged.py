"""What watchers note, in Airflow's own manager of shared streams: nothing before its event is stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from airflow_provider_kie.simulator import KieSimulator
from airflow_provider_kie.triggers.credits import KieCreditsEventTrigger
from tests.unit.triggers.listeners import Memory, watcher

shared_stream = pytest.importorskip(
    "airflow.triggers.shared_stream", reason="acknowledged from Airflow 3.3 on"
)
INTERVAL = 0.02
HIGH = {"balance": 60.0, "armed": True}
LOW = {"balance": 40.0, "armed": False}


class Triggerer:
    """As much of Airflow's triggerer as acknowledges events; the manager is Airflow's own."""

    def __init__(self, ack_timeout: float) -> None:
        self.manager = shared_stream.SharedStreamManager(ack_timeout=ack_timeout)
        self.told: list[tuple[float, float]] = []
        self._not_stored: list[int] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, waiting: KieCreditsEventTrigger) -> asyncio.Task[None]:
        task = asyncio.create_task(self._run(len(self._tasks), waiting))
        self._tasks.append(task)
        return task

    async def _run(self, trigger_id: int, waiting: KieCreditsEventTrigger) -> None:
        key = waiting.shared_stream_key()
        stream = self.manager.subscribe(trigger_id=trigger_id, trigger=waiting, key=key)
        try:
            async for event in waiting.filter_shared_stream(stream):
                payload: dict[str, Any] = event.payload
                self.told.append((payload["threshold"], payload["balance"]))
                self._not_stored.append(self.manager.bind_pending_event(trigger_id=trigger_id, key=key))
        finally:
            await self.manager.unsubscribe(trigger_id, key)

    def store(self) -> None:
        """Store all events, as the supervisor does, and say so."""
        self.manager.confirm_persisted(self._not_stored)
        self._not_stored = []

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.manager.stop_all()


@asynccontextmanager
async def triggerer(ack_timeout: float = 300) -> AsyncIterator[Triggerer]:
    running = Triggerer(ack_timeout)
    try:
        async with asyncio.timeout(30):
            yield running
    finally:
        await running.end()


async def until(what: Callable[[], Any]) -> None:
    while not what():
        await asyncio.sleep(INTERVAL / 4)


async def polls(kie: KieSimulator, count: int) -> None:
    """Wait until kie.ai has been asked so many times more, and the last answer has been dealt with."""
    target = len(kie.requests) + count + 1
    await until(lambda: len(kie.requests) >= target)


def seen(memory: Memory, threshold: float = 50) -> Any:
    kept = memory.kept.get(watcher(threshold)._store_key)
    return kept and {name: kept[name] for name in ("balance", "armed")}


async def watch_from_above(running: Triggerer, kie: KieSimulator, memory: Memory) -> None:
    """Start a watcher at a balance above its threshold, and wait until it has noted that."""
    kie.credits = 60
    running.start(watcher(50, memory, poke_interval=INTERVAL))
    await until(lambda: seen(memory) == HIGH)


async def test_a_crossing_is_noted_when_its_event_is_stored_and_not_before(
    kie_simulator: KieSimulator,
) -> None:
    memory = Memory()
    async with triggerer() as running:
        await watch_from_above(running, kie_simulator, memory)
        kie_simulator.credits = 40
        await until(lambda: running.told)
        await polls(kie_simulator, 3)
        assert seen(memory) == HIGH
        running.store()
        await until(lambda: seen(memory) == LOW)
        await polls(kie_simulator, 2)
        assert running.told == [(50.0, 40.0)]


async def test_an_event_that_was_not_stored_is_told_again_after_a_restart(
    kie_simulator: KieSimulator,
) -> None:
    memory = Memory()
    async with triggerer() as running:
        await watch_from_above(running, kie_simulator, memory)
    kie_simulator.credits = 40
    for _ in range(2):
        async with triggerer() as running:
            running.start(watcher(50, memory, poke_interval=INTERVAL))
            await until(lambda: running.told)
            await polls(kie_simulator, 2)
        assert running.told == [(50.0, 40.0)]
        assert seen(memory) == HIGH


async def test_what_came_after_a_crossing_is_noted_after_it(kie_simulator: KieSimulator) -> None:
    memory = Memory()
    async with triggerer() as running:
        await watch_from_above(running, kie_simulator, memory)
        kie_simulator.credits = 40
        await until(lambda: running.told)
        kie_simulator.credits = 70
        await polls(kie_simulator, 3)
        assert seen(memory) == HIGH
        running.store()
        await until(lambda: seen(memory) == {"balance": 70.0, "armed": True})


async def test_watchers_share_a_poll_and_note_for_themselves(kie_simulator: KieSimulator) -> None:
    kie_simulator.credits = 60
    memory = Memory()
    async with triggerer() as running:
        for threshold in (50, 20):
            running.start(watcher(threshold, memory, poke_interval=INTERVAL))
        await until(lambda: len(memory.kept) == 2)
        kie_simulator.credits = 40
        await until(lambda: running.told)
        running.store()
        await until(lambda: seen(memory) == LOW)
        await until(lambda: seen(memory, 20) == {"balance": 40.0, "armed": True})
        before = len(kie_simulator.requests)
        await asyncio.sleep(10 * INTERVAL)
        assert len(kie_simulator.requests) - before <= 11


async def test_where_an_event_is_not_stored_in_time_the_watchers_begin_again_before_it(
    kie_simulator: KieSimulator,
) -> None:
    kie_simulator.credits = 60
    memory = Memory()
    # Half of the interval: where a poll comes in the same moment, Airflow may tell the first watcher of the
    # end of the stream only, and not that its own time is over.
    async with triggerer(ack_timeout=1) as running:
        ended = [running.start(watcher(threshold, memory, poke_interval=2)) for threshold in (50, 20)]
        await until(lambda: len(memory.kept) == 2)
        kie_simulator.credits = 40
        await asyncio.wait(ended)
        assert [type(task.exception()) for task in ended] == [shared_stream.AckTimeout, RuntimeError]
        await asyncio.sleep(2 * INTERVAL)
        assert seen(memory) == HIGH
        for threshold in (50, 20):  # as Airflow does after a failure
            running.start(watcher(threshold, memory, poke_interval=INTERVAL))
        await until(lambda: len(running.told) == 2)
        running.store()
        await until(lambda: seen(memory) == LOW and seen(memory, 20)["balance"] == 40.0)
        assert running.told == [(50.0, 40.0)] * 2
