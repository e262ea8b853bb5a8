from __future__ import annotations

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from airflow.triggers.base import TriggerEvent
from sqlalchemy import select

from airflow_provider_kie.simulator import KieSimulator
from airflow_provider_kie.triggers import _polling as _poll
from airflow_provider_kie.triggers.credits import KieCreditsEventTrigger
from tests.dags.asset_runs import run_to_its_end, runs_that_the_scheduler_makes

NAME = "kie_low_balance_alert"


def watcher_of(dag: Any) -> Any:
    (asset,) = dag.timetable.asset_condition.objects
    (watcher,) = asset.watchers
    return watcher


def stored_trigger(session: Any, dag: Any) -> Any:
    """The row that Airflow's DAG processor makes of the DAG's watcher, and its triggerer runs."""
    from airflow.models.trigger import Trigger

    classpath, kwargs = watcher_of(dag).trigger.serialize()
    # Other DAGs in this database have watchers, too.
    rows = session.scalars(select(Trigger).where(Trigger.classpath == classpath))
    (row,) = (row for row in rows if row.kwargs == kwargs)
    return row


async def event_of(trigger: KieCreditsEventTrigger) -> TriggerEvent:
    events = trigger.run()
    try:
        return await anext(events)
    finally:
        await events.aclose()


async def test_a_balance_that_falls_below_becomes_an_event_a_run_and_a_notification(
    load_dag: Callable[..., Any],
    returned: Callable[..., Any],
    kie_simulator: KieSimulator,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session

    monkeypatch.setattr(_poll, "seconds_to_wait", lambda *_: 0.0)
    dag = load_dag(NAME)
    with create_session() as session:
        row = stored_trigger(session, dag)
        trigger_id, trigger = row.id, KieCreditsEventTrigger(**row.kwargs)
    kie_simulator.fail_next("credit", body='{"code":200,"msg":"success","data":60}')
    kie_simulator.credits = 40
    event = await event_of(trigger)
    assert len(kie_simulator.requests_to("credit")) == 2

    with warnings.catch_warnings():
        # Airflow's own database code is not what is tested here.
        warnings.simplefilter("ignore")
        with create_session() as session:
            assert runs_that_the_scheduler_makes(session, NAME) == []
        with create_session() as session:
            Trigger.submit_event(trigger_id, event, session=session)
        with create_session() as session:
            (made,) = runs_that_the_scheduler_makes(session, NAME)
            assert made.run_type == "asset_triggered"
            assert [event.extra["payload"]["balance"] for event in made.consumed_asset_events] == [40.0]
        run = run_to_its_end(dag, made)

    assert run.state == "success"
    alert = "kie.ai: 40 credits are left, fewer than 50; 60 before (kie_default, "
    assert returned(run, "write_alert").startswith(alert)
    # The task's log shows what it returned, and then what the notifier was given.
    told = [line for line in capfd.readouterr().out.splitlines() if "LogNotifier" in line]
    assert [alert in line for line in told] == [True]


async def test_a_balance_that_is_below_from_the_start_is_told_too(
    load_dag: Callable[..., Any], kie_simulator: KieSimulator
) -> None:
    dag = load_dag(NAME)
    kie_simulator.credits = 40
    event = await event_of(KieCreditsEventTrigger(**watcher_of(dag).trigger.serialize()[1]))
    happened = MagicMock()
    happened.__getitem__.return_value = [SimpleNamespace(extra={"payload": event.payload})]
    said = dag.get_task("write_alert").python_callable(triggering_asset_events=happened)
    assert said.startswith("kie.ai: 40 credits are left, fewer than 50; unknown before (kie_default, ")


def test_the_watcher_is_one_trigger_however_often_the_dag_is_read(load_dag: Callable[..., Any]) -> None:
    from airflow.utils.session import create_session

    rows = []
    for _ in range(2):
        dag = load_dag(NAME)
        with create_session() as session:
            rows.append(stored_trigger(session, dag).id)
    assert len(set(rows)) == 1
    watcher = watcher_of(dag)
    classpath, kwargs = watcher.trigger.serialize()
    again = KieCreditsEventTrigger(**kwargs)
    assert again.serialize() == (classpath, kwargs)
    assert again.hash(*again.serialize()) == watcher.trigger.hash(classpath, kwargs)
