"""Watchers that begin beyond their threshold."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_kie.client.errors import KieUnavailableError
from airflow_provider_kie.triggers.credits import KieCreditsEventTrigger
from tests.unit.triggers.listeners import Memory, Story, events_of, watcher

DAYS = 24 * 3600


def starter(memory: Any = None, **kwargs: Any) -> KieCreditsEventTrigger:
    return watcher(50, memory, fire_on_start=True, **kwargs)


def told(events: list[Any]) -> list[tuple[float | None, float]]:
    return [(event["previous_balance"], event["balance"]) for event in events]


async def test_a_watcher_that_begins_beyond_its_threshold_says_so_once_if_told_to() -> None:
    assert told(await events_of(starter(), 40.0, 30.0, 51.0, 40.0, 60.0, 45.0)) == [
        (None, 40.0),
        (60.0, 45.0),
    ]
    assert told(await events_of(starter(condition="at_least"), 60.0, 70.0)) == [(None, 60.0)]
    assert await events_of(starter(), 60.0, 55.0) == []


async def test_the_event_of_a_start_says_that_nothing_was_before() -> None:
    (event,) = await events_of(starter(), KieUnavailableError("down", code=500), 40.0)
    assert event | {"time": ""} == {
        "balance": 40.0,
        "previous_balance": None,
        "threshold": 50.0,
        "condition": "below",
        "kie_conn_id": "kie_default",
        "time": "",
    }
    assert json.loads(json.dumps(event)) == event


async def test_a_restart_is_no_start_where_it_is_remembered() -> None:
    memory = Memory()
    assert told(await events_of(starter(memory), 40.0)) == [(None, 40.0)]
    assert await events_of(starter(memory), 40.0, 30.0) == []
    assert told(await events_of(starter(memory), 60.0, 40.0)) == [(60.0, 40.0)]
    assert await events_of(starter(memory), 40.0) == []


async def test_each_restart_is_a_start_where_nothing_is_remembered(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        assert told(await events_of(starter(), 40.0, 40.0)) == [(None, 40.0)]
    context = pytest.importorskip("airflow.sdk.execution_time.context")
    if not hasattr(context, "AssetStateStoreAccessors"):
        pytest.skip("assets remember from Airflow 3.3 on")
    memory = context.AssetStateStoreAccessors(inlets=[Asset("a"), Asset("b")])
    assert told(await events_of(starter(memory), 40.0, 40.0)) == [(None, 40.0)]
    assert "each restart of the triggerer begins anew" in caplog.text


async def test_what_was_seen_days_ago_makes_it_a_start_again() -> None:
    seen = {"balance": 40.0, "armed": False, "time": time.time() - 2 * DAYS}
    memory = Memory(**{starter()._store_key: seen})
    assert told(await events_of(starter(memory), 40.0, 40.0)) == [(None, 40.0)]


@pytest.mark.parametrize(
    ("seen", "events"),
    [
        ([40.0], []),
        ([60.0], [(60.0, 40.0)]),
        ([], [(None, 40.0)]),
    ],
    ids=["a-restart", "a-crossing-meanwhile", "a-start"],
)
async def test_as_long_as_the_memory_cannot_be_read_nothing_tells_a_start_from_a_restart(
    seen: list[float], events: list[Any]
) -> None:
    memory = Memory()
    await events_of(starter(memory), *seen)
    memory.broken = True
    story: Story = [40.0, 40.0, memory.repair, 40.0, 40.0]
    assert told(await events_of(starter(memory), *story)) == events


async def test_a_fall_is_told_even_if_the_memory_cannot_be_read() -> None:
    memory = Memory()
    memory.broken = True
    story: Story = [40.0, 60.0, 40.0, memory.repair, 40.0]
    assert told(await events_of(starter(memory), *story)) == [(60.0, 40.0)]


async def test_a_watcher_that_is_only_now_told_to_says_so() -> None:
    memory = Memory()
    await events_of(watcher(50, memory), 40.0)
    assert told(await events_of(starter(memory), 40.0)) == [(None, 40.0)]


def test_it_is_stored_only_where_it_is_set_so_that_a_watcher_stays_itself_through_an_upgrade() -> None:
    assert "fire_on_start" not in watcher().serialize()[1]
    classpath, kwargs = starter().serialize()
    again = KieCreditsEventTrigger(**json.loads(json.dumps(kwargs)))
    assert again.crossing.fire_on_start is True
    assert BaseEventTrigger.hash(classpath, kwargs) == BaseEventTrigger.hash(*again.serialize())
    assert BaseEventTrigger.hash(classpath, kwargs) != BaseEventTrigger.hash(*watcher().serialize())
