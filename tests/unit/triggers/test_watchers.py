"""Watchers of the balance: which events they tell, and what they remember."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_kie.client.errors import KieAuthError, KieUnavailableError
from airflow_provider_kie.simulator import KieSimulator
from airflow_provider_kie.triggers import _memory
from airflow_provider_kie.triggers._memory import Look, looks
from airflow_provider_kie.triggers.credits import KieCreditsEventTrigger
from tests.unit.triggers.listeners import Memory, Story, events_of, stream_of, trigger, watcher


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

    story: Story = [60.0, look, 60.0, look, time_passes, 60.0, look, 60.0, look]
    assert await events_of(watcher(memory=memory), *story) == []
    first, unchanged, refreshed, again = times
    assert first == unchanged < refreshed < again


async def test_a_clock_that_goes_back_stops_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory()
    await events_of(watcher(memory=memory), 60.0)
    monkeypatch.setattr("airflow_provider_kie.triggers._memory.time.time", lambda: NOW - 3 * 3600)
    assert len(await events_of(watcher(memory=memory), 40.0, 60.0, 40.0)) == 2
    assert memory.kept[watcher()._store_key]["time"] == NOW - 3 * 3600


async def test_a_memory_that_cannot_be_read_at_first_is_not_written_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    memory = Memory()
    await events_of(watcher(memory=memory), 60.0)
    memory.broken = True
    events = await events_of(watcher(memory=memory), 40.0, 40.0, memory.repair, 40.0)
    assert [event["previous_balance"] for event in events] == [60.0]
    assert memory.seen() == {"balance": 40.0, "armed": False}
    assert "the database is away" in caplog.text


async def test_what_was_seen_before_the_memory_could_be_read_is_not_written_later() -> None:
    """Airflow may be done with that look only when the crossing has been found, and not yet stored."""
    memory = Memory()
    await events_of(watcher(memory=memory), 60.0)
    memory.broken = True
    seen: list[Look] = []

    async def stream() -> AsyncIterator[Look]:
        async for look in looks(stream_of(40.0, memory.repair, 40.0)):
            seen.append(look)
            yield look

    event = await anext(watcher(memory=memory).filter_shared_stream(stream()))
    assert event.payload["previous_balance"] == 60.0
    for write in seen[0].notes:
        await write()
    assert memory.seen() == {"balance": 60.0, "armed": True}


async def test_what_was_told_before_the_memory_could_be_read_is_not_told_again() -> None:
    memory = Memory()
    await events_of(watcher(memory=memory), 60.0)
    memory.broken = True
    events = await events_of(watcher(memory=memory), 60.0, 40.0, memory.repair, 40.0, 30.0)
    assert [event["balance"] for event in events] == [40.0]
    assert memory.seen() == {"balance": 30.0, "armed": False}


@pytest.mark.parametrize(("first", "then"), [(60.0, 40.0), (40.0, 60.0)])
async def test_what_could_not_be_remembered_is_tried_again(first: float, then: float) -> None:
    memory = Memory()

    def break_down() -> None:
        memory.broken = True

    await events_of(watcher(memory=memory), first, break_down, then, memory.repair, then)
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


async def test_watchers_share_a_poll_and_leave_the_sensors_alone() -> None:
    shared = watcher(poke_interval=7).shared_stream_key()
    assert watcher(9, condition="at_least", poke_interval=timedelta(seconds=7)).shared_stream_key() == shared
    others = [
        watcher(poke_interval=8),
        watcher(poke_interval=7, kie_conn_id="kie_b"),
        trigger(poke_interval=7.0),
    ]
    assert shared not in [other.shared_stream_key() for other in others]


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
