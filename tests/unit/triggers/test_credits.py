"""What a deferred sensor waits with."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieConnectionNotFoundError,
    KieError,
    KieResponseError,
    KieUnavailableError,
)
from airflow_provider_kie.decisions import waiting_log
from airflow_provider_kie.simulator import KieSimulator
from airflow_provider_kie.triggers.credits import KieCreditsEventTrigger, KieCreditsTrigger, read_event
from tests.unit.triggers.listeners import events_of, trigger


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
    said = {"error": "KieAuthError", "message": "no", "code": 401, "said_by_kie": True}
    assert payload == {"status": "error"} | said
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


async def test_a_thousand_that_wait_say_only_what_is_new(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "airflow_provider_kie")
    down = KieUnavailableError("down", code=500)
    await events_of(trigger(), 1.0, 1.0, 1.0, down, down, 2.0, 2.0)
    assert [record.getMessage() for record in caplog.records] == [
        "The balance of 1 credits is not yet at least 50",
        "Asking for the balance failed, will ask again: down",
        "The balance of 2 credits is not yet at least 50",
    ]


async def test_now_and_then_it_says_that_it_still_waits(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_log, "FIRST_SILENCE", 0.0)
    caplog.set_level("INFO", "airflow_provider_kie")
    await events_of(trigger(), 1.0, 2.0, KieUnavailableError("down", code=500), KieUnavailableError("down"))
    said = [re.sub(r"in \S+ s", "in ... s", record.getMessage()) for record in caplog.records]
    assert said == [
        "The balance of 1 credits is not yet at least 50",
        "The balance of 2 credits is not yet at least 50 (checked 2 times in ... s; next check in ... s)",
        "Asking for the balance failed, will ask again: down",
        "Asking for the balance failed, will ask again: down (checked 4 times in ... s)",
    ]


async def test_a_balance_that_moves_is_no_news_to_a_thousand(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "airflow_provider_kie")
    await events_of(trigger(), *[float(balance) for balance in range(40)])
    assert len(caplog.records) == 1


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
    # 3.4 has another name for it.
    names = ("supports_triggerer_queue", "trigger_queue_inherited_from_task")
    if not any(hasattr(BaseEventTrigger, name) for name in names):
        pytest.skip("triggerers have queues from Airflow 3.2 on")
    monkeypatch.setenv("AIRFLOW__TRIGGERER__QUEUES_ENABLED", "True")
    ti: Any = SimpleNamespace(dag_id="a", task_id="b", run_id="c", task=SimpleNamespace(queue="credits"))
    deferred = task_runner.TaskDeferred(trigger=trigger(), method_name="execute_complete")
    message, _ = task_runner._defer_task(deferred, ti, structlog.get_logger())
    assert message.queue == "credits"
