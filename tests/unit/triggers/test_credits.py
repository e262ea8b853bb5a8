from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_kie.client.errors import KieAuthError, KieError, KieUnavailableError
from airflow_provider_kie.simulator import KieSimulator
from airflow_provider_kie.triggers.credits import KieCreditsTrigger

Connect = Callable[..., str]


def trigger(threshold: float = 50, **kwargs: Any) -> KieCreditsTrigger:
    arguments: dict[str, Any] = {"condition": "at_least", "poke_interval": 0.01, "kie_conn_id": "kie_default"}
    return KieCreditsTrigger(threshold=threshold, **(arguments | kwargs))


async def events_of(waiting: KieCreditsTrigger, *results: float | KieError) -> list[Any]:
    async def stream() -> AsyncIterator[float | KieError]:
        for result in results:
            yield result

    return [event.payload async for event in waiting.filter_shared_stream(stream())]


async def test_it_survives_being_stored_as_json() -> None:
    classpath, kwargs = trigger(7.5, silent_fail=True).serialize()
    again = KieCreditsTrigger(**json.loads(json.dumps(kwargs)))
    assert again.serialize() == (classpath, kwargs)
    assert "key" not in repr(again)


async def test_the_poll_is_shared_by_connection_and_interval_alone() -> None:
    keys = {
        waiting.shared_stream_key()
        for waiting in (trigger(1), trigger(2), trigger(1, condition="below"), trigger(1, silent_fail=True))
    }
    assert len(keys) == 1
    others = {
        trigger(1, kie_conn_id="kie_b").shared_stream_key(),
        trigger(poke_interval=5).shared_stream_key(),
    }
    assert len(keys | others) == 3


async def test_it_fires_once_and_ends() -> None:
    assert await events_of(trigger(), 49.9, 50.0, 51.0) == [{"status": "success", "credits": 50.0}]


async def test_a_transient_failure_is_passed_over() -> None:
    down = KieUnavailableError("down", code=500)
    assert await events_of(trigger(), down, down, 50.0) == [{"status": "success", "credits": 50.0}]


async def test_a_permanent_failure_ends_it() -> None:
    (payload,) = await events_of(trigger(), 1.0, KieAuthError("no", code=401), 50.0)
    assert payload == {"status": "error", "error": "KieAuthError", "message": "no", "code": 401}
    assert json.loads(json.dumps(payload)) == payload


async def test_silent_fail_passes_over_a_permanent_failure_too() -> None:
    (payload,) = await events_of(trigger(silent_fail=True), KieAuthError("no", code=401), 50.0)
    assert payload["status"] == "success"


async def test_the_stream_yields_errors_and_goes_on(kie_simulator: KieSimulator) -> None:
    kie_simulator.fail_next("credit", code=401)
    kie_simulator.fail_next("credit", code=500)
    stream = KieCreditsTrigger.open_shared_stream(trigger().serialize()[1])
    results = [await anext(stream) for _ in range(3)]
    await stream.aclose()
    assert [type(result) for result in results] == [KieAuthError, KieUnavailableError, float]
    assert len(kie_simulator.requests) == 3


async def test_trouble_of_airflows_own_does_not_end_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_database(self: Any, **kwargs: Any) -> Any:
        raise RuntimeError("the database is away")

    monkeypatch.setattr("airflow_provider_kie.hooks.kie.KieHook.aget_conn", no_database)
    stream = KieCreditsTrigger.open_shared_stream(trigger().serialize()[1])
    result = await anext(stream)
    await stream.aclose()
    assert isinstance(result, KieError)
    assert result.transient
    assert "the database is away" in str(result)


async def test_a_cancellation_that_is_lost_on_the_way_ends_the_poll_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def deaf(kie_conn_id: str) -> float:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.02)
        return 1.0

    monkeypatch.setattr("airflow_provider_kie.triggers._poll._ask", deaf)

    async def wait() -> Any:
        return await anext(trigger(poke_interval=0.0).run())

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0.01)
    waiting.cancel()
    done, _ = await asyncio.wait([waiting], timeout=2)
    assert done
    assert waiting.cancelled()


async def test_a_new_key_takes_effect_while_waiting(kie_simulator: KieSimulator, connect: Connect) -> None:
    connect(password="an-old-key", host=kie_simulator.api_url)
    stream = KieCreditsTrigger.open_shared_stream(trigger().serialize()[1])
    assert isinstance(await anext(stream), KieAuthError)
    connect(password=kie_simulator.api_key, host=kie_simulator.api_url)
    assert await anext(stream) == 100.0
    await stream.aclose()


async def test_airflow_shares_one_poll_among_many(kie_simulator: KieSimulator) -> None:
    shared_stream = pytest.importorskip("airflow.triggers.shared_stream", reason="shared from Airflow 3.3 on")
    kie_simulator.credits = 10
    manager = shared_stream.SharedStreamManager()

    async def wait(trigger_id: int, threshold: float) -> TriggerEvent:
        waiting = trigger(threshold, poke_interval=0.05)
        key = waiting.shared_stream_key()
        stream = manager.subscribe(trigger_id=trigger_id, trigger=waiting, key=key)
        async for event in waiting.filter_shared_stream(stream):
            await manager.unsubscribe(trigger_id, key)
            return event
        raise AssertionError("the stream ended")

    waiters = [asyncio.create_task(wait(index, 10 + index % 2)) for index in range(40)]
    async with asyncio.timeout(20):
        while sum(waiter.done() for waiter in waiters) < 20:
            await asyncio.sleep(0.01)
    polls = len(kie_simulator.requests)
    async with asyncio.timeout(20):
        while len(kie_simulator.requests) < polls + 3:
            await asyncio.sleep(0.01)
    assert sum(waiter.done() for waiter in waiters) == 20
    kie_simulator.credits = 11
    done = await asyncio.wait_for(asyncio.gather(*waiters), 20)
    assert {event.payload["credits"] for event in done} == {10.0, 11.0}
    assert len(kie_simulator.requests) < 40
    await manager.stop_all()


def test_it_is_an_event_trigger_that_runs_on_the_tasks_queue() -> None:
    assert issubclass(KieCreditsTrigger, BaseEventTrigger)
    assert KieCreditsTrigger.supports_triggerer_queue
