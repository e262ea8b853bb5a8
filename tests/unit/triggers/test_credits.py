from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog
from airflow.sdk import Asset
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieConnectionNotFoundError,
    KieError,
    KieResponseError,
    KieUnavailableError,
)
from airflow_provider_kie.simulator import KieSimulator
from airflow_provider_kie.triggers import _memory
from airflow_provider_kie.triggers import _polling as _poll
from airflow_provider_kie.triggers._polling import LONGEST_BACKOFF, seconds_to_wait
from airflow_provider_kie.triggers.credits import KieCreditsEventTrigger, KieCreditsTrigger, read_event

Connect = Callable[..., str]


def trigger(threshold: float = 50, **kwargs: Any) -> KieCreditsTrigger:
    arguments: dict[str, Any] = {"condition": "at_least", "poke_interval": 0.01, "kie_conn_id": "kie_default"}
    return KieCreditsTrigger(threshold=threshold, **(arguments | kwargs))


async def stream_of(*results: float | KieError | Callable[[], None]) -> AsyncIterator[float | KieError]:
    """Poll results, and what happens between them."""
    for result in results:
        if callable(result):
            result()
        else:
            yield result


async def events_of(
    waiting: KieCreditsTrigger | KieCreditsEventTrigger, *results: float | KieError
) -> list[Any]:
    return [event.payload async for event in waiting.filter_shared_stream(stream_of(*results))]


@pytest.fixture(autouse=True)
def _events_are_stored_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_kie.triggers._memory.STORED_AFTER", 0)


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


WRONG_KEY = KieAuthError("no", code=401, said_by_kie=True)
PROXYS_PAGE = KieResponseError("a page", code=403)
NO_LOOKUP = KieConnectionNotFoundError("'x' does not exist, or ...")


async def test_what_kie_ai_says_of_the_key_ends_it() -> None:
    (payload,) = await events_of(trigger(), 1.0, WRONG_KEY, 50.0)
    assert payload == {"status": "error", "error": "KieAuthError", "message": "no", "code": 401}
    assert json.loads(json.dumps(payload)) == payload


@pytest.mark.parametrize(("error", "limit"), [(PROXYS_PAGE, 3), (NO_LOOKUP, 10)])
async def test_another_failure_ends_it_when_it_has_come_often_enough_in_a_row(
    error: KieError, limit: int
) -> None:
    few, many = [error] * (limit - 1), [error] * limit
    (payload,) = await events_of(trigger(), *few, 1.0, *few, KieUnavailableError("down"), *few, 50.0)
    assert payload["status"] == "success"
    (payload,) = await events_of(trigger(), *few, 1.0, *many, 50.0)
    assert payload["error"] == type(error).__name__
    with pytest.raises(type(error), match=re.escape(str(error))):
        read_event(json.loads(json.dumps(payload)))


async def test_each_trigger_counts_for_itself() -> None:
    waiting = trigger()
    for _ in range(3):
        (payload,) = await events_of(waiting, PROXYS_PAGE, PROXYS_PAGE, 50.0)
        assert payload["status"] == "success"


async def test_silent_fail_passes_over_every_failure() -> None:
    failures = [WRONG_KEY] * 5 + [PROXYS_PAGE] * 5 + [NO_LOOKUP] * 20
    (payload,) = await events_of(trigger(silent_fail=True), *failures, 50.0)
    assert payload["status"] == "success"


def test_what_takes_long_at_the_first_poll_is_not_done_on_the_event_loop(kie_simulator: KieSimulator) -> None:
    """Imports and certificates: together they would block a triggerer for 0.2 s."""
    code = """if True:
        import asyncio, contextlib, sys, threading
        import httpx
        from airflow_provider_kie.triggers.credits import KieCreditsTrigger

        seen = {}
        create = httpx.create_ssl_context

        def create_ssl_context():
            seen["certificates"] = threading.current_thread()
            return create()

        def audit(event, arguments):
            if event == "import" and arguments[0] == "airflow_provider_kie.hooks.kie":
                seen["hook"] = threading.current_thread()

        async def main():
            arguments = {"kie_conn_id": "kie_default", "poke_interval": 60}
            async with contextlib.aclosing(KieCreditsTrigger.open_shared_stream(arguments)) as stream:
                return await anext(stream)

        httpx.create_ssl_context = create_ssl_context
        sys.addaudithook(audit)
        balance = asyncio.run(main())
        on_the_loop = {name: thread is threading.main_thread() for name, thread in seen.items()}
        print(balance, sorted(on_the_loop.items()))
    """
    kie_simulator.credits = 12
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said.splitlines()[-1] == "12.0 [('certificates', False), ('hook', False)]"


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

    monkeypatch.setattr("airflow_provider_kie.triggers.credits.ask_for_balance", deaf)

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


class Memory:
    """What an asset remembers, as Airflow 3.3 hands it to a watcher's trigger."""

    def __init__(self, **kept: Any) -> None:
        self.kept = kept
        self.broken = False

    async def aget(self, key: str) -> Any:
        if self.broken:
            raise RuntimeError("the database is away")
        return self.kept.get(key)

    async def aset(self, key: str, value: Any) -> None:
        if self.broken:
            raise RuntimeError("the database is away")
        self.kept[key] = json.loads(json.dumps(value))

    def repair(self) -> None:
        self.broken = False

    def seen(self) -> Any:
        """What the watcher keeps, without its time."""
        kept = dict(self.kept[watcher()._store_key])
        assert abs(kept.pop("time") - time.time()) < 60
        return kept


def watcher(threshold: float = 50, memory: Any = None, **kwargs: Any) -> KieCreditsEventTrigger:
    waiting: Any = KieCreditsEventTrigger(threshold, **({"poke_interval": 0.01} | kwargs))
    if memory:
        waiting.asset_state_store = memory
    return cast("KieCreditsEventTrigger", waiting)


async def test_a_watcher_tells_each_crossing_once_and_goes_on() -> None:
    events = await events_of(watcher(), 60.0, 40.0, 30.0, 55.0, 49.0)
    assert [(event["previous_balance"], event["balance"]) for event in events] == [(60.0, 40.0), (55.0, 49.0)]
    assert events[0] | {"time": ""} == {
        "balance": 40.0,
        "previous_balance": 60.0,
        "threshold": 50.0,
        "condition": "below",
        "kie_conn_id": "kie_default",
        "time": "",
    }
    assert datetime.fromisoformat(events[0]["time"]).utcoffset() == timedelta(0)
    assert json.loads(json.dumps(events)) == events


async def test_a_watcher_does_not_take_the_first_balance_for_a_crossing() -> None:
    assert await events_of(watcher(), 40.0, 30.0) == []
    assert await events_of(watcher(condition="at_least"), 60.0, 70.0) == []


async def test_no_error_ends_a_watcher_or_makes_it_forget() -> None:
    down, refused = KieUnavailableError("down", code=500), KieAuthError("no", code=401)
    events = await events_of(watcher(), 60.0, down, refused, refused, 40.0)
    assert [event["previous_balance"] for event in events] == [60.0]


async def test_a_watcher_remembers_across_restarts() -> None:
    memory = Memory()
    assert await events_of(watcher(memory=memory), 60.0) == []
    (crossed_meanwhile,) = await events_of(watcher(memory=memory), 40.0)
    assert crossed_meanwhile["previous_balance"] == 60.0
    assert await events_of(watcher(memory=memory), 40.0, 51.0, 49.0) == []
    assert len(await events_of(watcher(memory=memory), 53.0, 49.0)) == 1


async def test_watchers_of_one_asset_remember_for_themselves() -> None:
    memory = Memory()
    for threshold in (50, 20):
        await events_of(watcher(threshold, memory), 60.0)
    assert len(await events_of(watcher(50, memory), 40.0)) == 1
    assert len(await events_of(watcher(20, memory), 40.0, 10.0)) == 1
    assert await events_of(watcher(50, memory, hysteresis=0), 40.0) == []
    assert len(memory.kept) == 3


@pytest.mark.parametrize("kept", [None, 7, "yes", {}, {"balance": "60", "armed": True}, {"balance": 60}])
async def test_a_memory_that_says_nothing_useful_is_begun_anew(kept: Any) -> None:
    memory = Memory(**{watcher()._store_key: kept})
    assert await events_of(watcher(memory=memory), 40.0) == []
    assert memory.seen() == {"balance": 40.0, "armed": False}


NOW = time.time()
DAY = 24 * 3600


@pytest.mark.parametrize(
    ("then", "told"),
    [
        ({"time": NOW}, True),
        ({"time": NOW - DAY + 3600}, True),
        ({"time": NOW + 60}, True),
        ({"time": int(NOW - 3600)}, True),
        ({"time": NOW - DAY - 3600}, False),
        ({"time": NOW - 30 * DAY}, False),
        ({"time": NOW + 30 * DAY}, False),
        ({"time": 0}, False),
        ({"time": None}, False),
        ({"time": "2026-11-02T08:00:00Z"}, False),
        ({"time": float("nan")}, False),
        ({}, False),
    ],
    ids=lambda value: str(value) if isinstance(value, bool) else None,
)
async def test_a_memory_has_an_age(then: Any, told: bool) -> None:
    """It counts for a day, by whichever clock; one of the first version, which says no time, does not."""
    memory = Memory(**{watcher()._store_key: {"balance": 60.0, "armed": True} | then})
    assert bool(await events_of(watcher(memory=memory), 40.0)) is told
    assert memory.seen() == {"balance": 40.0, "armed": False}


async def test_a_threshold_that_was_changed_and_changed_back_weeks_later_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = Memory()
    await events_of(watcher(50, memory), 60.0)
    monkeypatch.setattr(_memory, "FORGOTTEN_AFTER", 0.05)
    await asyncio.sleep(0.06)
    await events_of(watcher(20, memory), 40.0)
    assert await events_of(watcher(50, memory), 40.0) == []


async def test_a_balance_that_stays_keeps_its_memory_young(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, times = Memory(), []

    def look() -> None:
        times.append(memory.kept[watcher()._store_key]["time"])

    def time_passes() -> None:
        monkeypatch.setattr(_memory, "REFRESHED_AFTER", 0.0)

    stream = stream_of(60.0, look, 60.0, look, time_passes, 60.0, look, 60.0, look)
    assert [event async for event in watcher(memory=memory).filter_shared_stream(stream)] == []
    first, unchanged, refreshed, again = times
    assert first == unchanged < refreshed < again


async def test_a_clock_that_goes_back_stops_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory()
    await events_of(watcher(memory=memory), 60.0)
    monkeypatch.setattr("airflow_provider_kie.triggers._memory.time.time", lambda: NOW - 3 * 3600)
    assert len(await events_of(watcher(memory=memory), 40.0, 60.0, 40.0)) == 2
    assert memory.kept[watcher()._store_key]["time"] == NOW - 3 * 3600


async def test_an_event_that_airflow_may_not_have_stored_yet_is_told_again_after_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("airflow_provider_kie.triggers._memory.STORED_AFTER", 60)
    memory = Memory()
    for _ in range(2):
        events = watcher(memory=memory).filter_shared_stream(stream_of(60.0, 40.0, 40.0))
        assert (await anext(events)).payload["balance"] == 40.0
        going_on = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.05)
        going_on.cancel()  # as the end of the triggerer does
        await asyncio.wait([going_on])
        assert memory.seen() == {"balance": 60.0, "armed": True}


async def test_a_memory_that_cannot_be_read_at_first_is_not_written_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    memory = Memory()
    await events_of(watcher(memory=memory), 60.0)
    memory.broken = True
    events = watcher(memory=memory).filter_shared_stream(stream_of(40.0, 40.0, memory.repair, 40.0))
    assert [event.payload["previous_balance"] async for event in events] == [60.0]
    assert memory.seen() == {"balance": 40.0, "armed": False}
    assert "the database is away" in caplog.text


async def test_what_was_told_before_the_memory_could_be_read_is_not_told_again() -> None:
    memory = Memory()
    await events_of(watcher(memory=memory), 60.0)
    memory.broken = True
    stream = stream_of(60.0, 40.0, memory.repair, 40.0, 30.0)
    events = watcher(memory=memory).filter_shared_stream(stream)
    assert [event.payload["balance"] async for event in events] == [40.0]
    assert memory.seen() == {"balance": 30.0, "armed": False}


@pytest.mark.parametrize(("first", "then"), [(60.0, 40.0), (40.0, 60.0)])
async def test_what_could_not_be_remembered_is_tried_again(first: float, then: float) -> None:
    memory = Memory()

    def break_down() -> None:
        memory.broken = True

    stream = stream_of(first, break_down, then, memory.repair, then)
    [event async for event in watcher(memory=memory).filter_shared_stream(stream)]
    assert memory.seen() == {"balance": then, "armed": then == 60.0}


async def test_a_trigger_of_several_assets_says_that_it_begins_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    context = pytest.importorskip("airflow.sdk.execution_time.context")
    if not hasattr(context, "AssetStateStoreAccessors"):
        pytest.skip("assets remember from Airflow 3.3 on")
    memory = context.AssetStateStoreAccessors(inlets=[Asset("a"), Asset("b")])
    assert len(await events_of(watcher(memory=memory), 60.0, 40.0)) == 1
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "Nothing can be remembered; each restart of the triggerer begins anew"
    ]


async def test_each_outage_is_news(caplog: pytest.LogCaptureFixture) -> None:
    down = KieUnavailableError("down", code=500)
    await events_of(watcher(), 60.0, down, down, 60.0, down, 60.0, down)
    assert len(caplog.records) == 3


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        (
            KieCreditsTrigger,
            {"threshold": 50.0, "condition": "at_least", "poke_interval": 60.0, "kie_conn_id": "kie_default"},
        ),
        (
            KieCreditsTrigger,
            {
                "threshold": 50.0,
                "condition": "below",
                "poke_interval": 0.0,
                "kie_conn_id": "kie_default",
                "silent_fail": True,
            },
        ),
        (
            KieCreditsEventTrigger,
            {
                "threshold": 50.0,
                "condition": "below",
                "kie_conn_id": "kie_default",
                "poke_interval": 60.0,
                "hysteresis": 2.5,
            },
        ),
    ],
)
def test_what_the_first_version_stored_makes_the_same_trigger(kind: Any, kwargs: dict[str, Any]) -> None:
    """They wait in Airflow's database while the provider is upgraded; a watcher is known by their hash."""
    stored = kind(**json.loads(json.dumps(kwargs))).serialize()[1]
    assert {name: stored[name] for name in kwargs} == kwargs
    assert kind is KieCreditsTrigger or stored == kwargs


async def test_a_watcher_survives_being_stored_as_json() -> None:
    classpath, kwargs = watcher(50, condition="at_least", hysteresis=3).serialize()
    again = KieCreditsEventTrigger(**json.loads(json.dumps(kwargs)))
    assert again.serialize() == (classpath, kwargs)
    assert BaseEventTrigger.hash(classpath, kwargs) == BaseEventTrigger.hash(*again.serialize())
    assert classpath == f"{KieCreditsEventTrigger.__module__}.{KieCreditsEventTrigger.__qualname__}"


def test_a_watcher_takes_its_arguments_in_the_order_in_which_they_are_documented() -> None:
    kwargs = KieCreditsEventTrigger(50, "at_least", "kie_b", 30).serialize()[1]
    assert kwargs == {
        "threshold": 50.0,
        "condition": "at_least",
        "kie_conn_id": "kie_b",
        "poke_interval": 30.0,
        "hysteresis": 2.5,
    }


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"threshold": "many"}, "threshold must be a number"),
        ({"condition": "above"}, "at_least, below"),
        ({"poke_interval": 0}, "poke_interval must be"),
        ({"poke_interval": -1}, "poke_interval must be"),
        ({"poke_interval": float("nan")}, "poke_interval must be"),
        ({"poke_interval": True}, "poke_interval must be"),
        ({"poke_interval": None}, "poke_interval must be"),
        ({"poke_interval": timedelta(0)}, "poke_interval must be"),
        ({"hysteresis": -1}, "hysteresis must"),
    ],
)
def test_a_watcher_refuses_bad_arguments_where_the_dag_is_written(
    arguments: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        KieCreditsEventTrigger(**({"threshold": 50} | arguments))


@pytest.mark.parametrize("poke_interval", [7, timedelta(seconds=7)])
async def test_a_watcher_shares_the_sensors_poll(poke_interval: Any) -> None:
    key = trigger(poke_interval=7.0).shared_stream_key()
    assert watcher(poke_interval=poke_interval).shared_stream_key() == key


async def test_a_watcher_runs_alone_where_airflow_does_not_share(kie_simulator: KieSimulator) -> None:
    kie_simulator.credits = 60
    events = watcher().run()
    waiting = asyncio.ensure_future(anext(events))
    async with asyncio.timeout(20):
        while len(kie_simulator.requests) < 2:
            await asyncio.sleep(0.01)
        kie_simulator.credits = 40
        event = await waiting
    assert event.payload["balance"] == 40.0
    await events.aclose()


async def test_every_poll_is_a_metric(kie_simulator: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    class Stats:
        def gauge(self, name: str, value: float, *, tags: dict[str, str]) -> None:
            told.append((name, value, tags))

    monkeypatch.setattr("airflow_provider_kie.hooks._metrics.get_stats", Stats)
    kie_simulator.credits = 12.5
    stream = KieCreditsTrigger.open_shared_stream(trigger().serialize()[1])
    assert [await anext(stream), await anext(stream)] == [12.5, 12.5]
    await stream.aclose()
    assert told == [("kie.credits", 12.5, {"conn_id": "kie_default"})] * 2


@pytest.mark.parametrize("poke_interval", [0, 0.0, 0.3, 1])
def test_the_triggerer_asks_once_a_second_at_the_most(
    poke_interval: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the tests' own shorter interval
    assert _poll.SHORTEST_INTERVAL == 1.0
    assert (
        trigger(poke_interval=poke_interval).shared_stream_key()
        == trigger(poke_interval=1).shared_stream_key()
    )
    assert {seconds_to_wait(poke_interval, failures) >= 1.0 for failures in range(20)} == {True}
    # What is stored is what the author wrote: Airflow knows a watcher's trigger by it.
    assert trigger(poke_interval=poke_interval).serialize()[1]["poke_interval"] == poke_interval


async def test_an_interval_of_nothing_does_not_storm_kie_ai(
    kie_simulator: KieSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_poll, "SHORTEST_INTERVAL", 0.2)
    kie_simulator.credits = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            await anext(trigger(poke_interval=0).run())
    assert 1 <= len(kie_simulator.requests) <= 6


def test_an_interval_of_nothing_backs_off_too() -> None:
    assert max(seconds_to_wait(0, 10) for _ in range(20)) > 1


@pytest.mark.parametrize("interval", [0.5, 60.0])
def test_errors_back_off_politely_and_recovery_returns_to_the_interval(interval: float) -> None:
    assert {seconds_to_wait(interval, 0) for _ in range(10)} == {interval}
    for failures in range(1, 2000, 7):
        bound = interval + min(interval * 2.0 ** min(failures - 1, 50), LONGEST_BACKOFF)
        waits = {seconds_to_wait(interval, failures) for _ in range(20)}
        assert len(waits) > 1, "without jitter all come back at once"
        assert all(interval <= wait <= bound for wait in waits)


def test_what_kie_ai_asks_for_is_honoured_up_to_two_minutes() -> None:
    assert 30 <= seconds_to_wait(1, 1, retry_after=30) <= 31
    assert seconds_to_wait(1, 1, retry_after=1e6) == 120
    assert seconds_to_wait(600, 1, retry_after=1) >= 600


async def test_the_poll_counts_failures_in_a_row(
    kie_simulator: KieSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []

    def wait(interval: float, failures: int, retry_after: float | None = None) -> float:
        counted.append((failures, retry_after))
        return 0.0

    monkeypatch.setattr("airflow_provider_kie.triggers._polling.seconds_to_wait", wait)
    kie_simulator.fail_next("credit", code=500, times=2)
    kie_simulator.fail_next("credit", code=429, retry_after=7)
    stream = KieCreditsTrigger.open_shared_stream(trigger().serialize()[1])
    for _ in range(5):
        await anext(stream)
    await stream.aclose()
    assert counted == [(1, None), (2, None), (3, 7.0), (0, None)]


async def test_a_thousand_that_wait_say_only_what_is_new(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "airflow_provider_kie")
    down = KieUnavailableError("down", code=500)
    await events_of(trigger(), 1.0, 1.0, 1.0, down, down, 2.0, 2.0)
    assert [record.getMessage() for record in caplog.records] == [
        "The balance of 1 credits is not yet at least 50",
        "Asking for the balance failed, will ask again: down",
        "The balance of 2 credits is not yet at least 50",
    ]


async def test_many_that_learn_the_same_do_not_hold_up_the_event_loop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They log one after the other, and not on the loop, where writing waits for whoever reads the log."""
    caplog.set_level("INFO", "airflow_provider_kie")
    await asyncio.gather(*(events_of(trigger(number, poke_interval=0.8), 1.0) for number in range(2, 52)))
    written = [record.created for record in caplog.records]
    assert len(written) == 50
    assert threading.get_ident() not in {record.thread for record in caplog.records}
    assert max(written) - min(written) > 0.1


def test_a_deferred_sensor_waits_in_the_triggerers_of_its_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    task_runner = pytest.importorskip("airflow.sdk.execution_time.task_runner")
    if not hasattr(BaseEventTrigger, "supports_triggerer_queue"):
        pytest.skip("triggerers have queues from Airflow 3.2 on")
    monkeypatch.setenv("AIRFLOW__TRIGGERER__QUEUES_ENABLED", "True")
    ti: Any = SimpleNamespace(dag_id="a", task_id="b", run_id="c", task=SimpleNamespace(queue="credits"))
    deferred = task_runner.TaskDeferred(trigger=trigger(), method_name="execute_complete")
    message, _ = task_runner._defer_task(deferred, ti, structlog.get_logger())
    assert message.queue == "credits"
