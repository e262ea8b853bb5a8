"""A task that is ended, times out or is cleared at an awkward moment: no job too many, no id lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_kie.client import retries
from airflow_provider_kie.operators._job_memory import KEY
from airflow_provider_kie.operators.jobs import KieGenerateOperator
from airflow_provider_kie.simulator import KieSimulator
from tests.paid.tries import Mode, PaidTask, prepare
from tests.unit.state_store import StateStore


@pytest.fixture(autouse=True)
def _prepared(kie: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(kie, monkeypatch)


class AwayOnce(StateStore):
    """A store that is away when the id is first written down."""

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        if value["stage"] == "submitted" and "away" not in self.calls:
            self.calls.append("away")
            raise RuntimeError("the database is away")
        super().set(key, value, retention=retention)


def test_a_task_that_is_ended_while_it_waits_to_send_again_does_not_send(
    kie: KieSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = PaidTask(kie, store=StateStore())
    operator = task.operator()

    def ended_meanwhile(_: Any) -> float:
        operator.on_kill()
        return 0.0

    monkeypatch.setattr(retries, "_creation_backoff", ended_meanwhile)
    kie.fail_next("createTask", code=429)
    monkeypatch.setattr(PaidTask, "operator", lambda self: operator)
    ended = task.run()
    assert "Nothing was sent" in ended.said
    assert task.store is not None
    assert (task.posts, kie.jobs, task.store.values) == (1, [], {})


@pytest.mark.parametrize("mode", ["sync", "deferred"])
def test_an_id_that_could_not_be_stored_at_once_is_stored_when_the_waiting_is_over(
    mode: Mode, kie: KieSimulator
) -> None:
    kie.add_model("m", seconds=60, credits=4)
    task = PaidTask(kie, mode, store=AwayOnce(), timeout=0.05)
    ended = task.run()
    assert "did not end within" in ended.said
    assert ended.may_retry
    kie.finish_jobs()
    task.arguments["timeout"] = 10
    again = task.run()
    assert again.result is not None
    assert again.result["job_id"] == kie.jobs[0].job_id
    assert len(kie.jobs) == 1


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_only_several_answers_that_there_is_no_such_job_lead_a_cleared_task_to_another(
    looks: int, kie: KieSimulator
) -> None:
    kie.add_model("m", seconds=600, credits=4)
    task = PaidTask(kie, store=StateStore(), timeout=0.05)
    task.run()
    assert task.store is not None
    note = json.loads(task.store.values[KEY]) | {"sent_at": "2026-01-01T00:00:00+00:00"}
    task.store.values[KEY] = json.dumps(note)
    task.clear()
    kie.fail_next("recordInfo", code=422, msg="recordInfo is null", times=looks)
    task.run()
    assert len(kie.jobs) == (2 if looks == 3 else 1)


def test_a_cleared_task_that_does_not_wait_fails_where_its_job_cannot_be_looked_at(kie: KieSimulator) -> None:
    task = PaidTask(kie, "no wait", store=StateStore())
    assert task.run().result is not None
    kie.finish_jobs()
    task.clear()
    kie.fail_next("recordInfo", code=500, times=3)
    assert task.run().may_retry
    assert task.run().result is not None
    assert len(kie.jobs) == 2


def test_a_result_is_delivered_whatever_became_of_the_arguments_meanwhile(kie: KieSimulator) -> None:
    for store in (StateStore(), None):
        task = PaidTask(kie, "deferred", store=store)
        deferral = task.run(resume=False).deferral
        task.arguments |= {"input": {"prompt": b"bytes"}, "timeout": -1}
        ended = task.resume(deferral)
        assert ended.result is not None, ended.error
        assert ended.result["job_id"] == kie.jobs[-1].job_id


def test_the_operator_gives_its_result_as_several_xcoms_unless_told_otherwise() -> None:
    def operator(**how: Any) -> KieGenerateOperator:
        return KieGenerateOperator(task_id="t", model="m", input={}, **how)

    assert operator().multiple_outputs
    assert not operator(multiple_outputs=False).multiple_outputs


@pytest.mark.parametrize("event", [None, [], "done", {"status": "success"}])
def test_an_event_that_is_none_of_ours_is_named(event: Any, kie: KieSimulator) -> None:
    task = PaidTask(kie, store=StateStore())
    with pytest.raises(ValueError, match="no event of KieJobTrigger"):
        task.operator().execute_complete(task.context(), event)
