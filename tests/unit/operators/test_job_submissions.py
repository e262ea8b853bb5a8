"""What kie.ai answers to a submission: how often it is sent, how many jobs there are, what a retry does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_kie.simulator import KieSimulator
from tests.paid.tries import PaidTask, prepare
from tests.unit.state_store import StateStore


@pytest.fixture(autouse=True)
def _prepared(kie: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(kie, monkeypatch)


def judged(task: PaidTask, sent: int, accepted: int, *, may_retry: bool, forgotten: bool) -> None:
    ended = task.run()
    assert ended.error is not None
    assert (task.posts, len(task.kie.jobs)) == (sent, accepted)
    assert isinstance(task.store, StateStore)
    assert (ended.may_retry, task.store.values == {}) == (may_retry, forgotten)
    retried = task.run()
    if forgotten:
        assert retried.result is not None
        assert len(task.kie.jobs) == accepted + 1
    else:
        assert "KieInDoubtError" in retried.said
        assert task.posts == sent


REFUSALS: list[dict[str, Any]] = [
    {"code": 401},
    {"code": 402},
    {"code": 413},
    {"code": 422},
    {"code": 433},
    {"code": 500, "msg": "This field is required"},
    {"code": 500, "msg": "size is not within the range of allowed options"},
    {"code": 500, "msg": "Credits insufficient: please top up"},
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda fault: " ".join(map(str, fault.values())))
def test_a_refused_job_is_forgotten_and_not_sent_again(refusal: dict[str, Any], kie: KieSimulator) -> None:
    kie.fail_next("createTask", **refusal)
    judged(PaidTask(kie, store=StateStore()), 1, 0, may_retry=False, forgotten=True)


@pytest.mark.parametrize("code", [429, 430, 455])
def test_a_job_that_is_refused_for_now_is_sent_again_and_then_left_to_airflow(
    code: int, kie: KieSimulator
) -> None:
    kie.fail_next("createTask", code=code, times=5)
    judged(PaidTask(kie, store=StateStore()), 5, 0, may_retry=True, forgotten=True)


def test_a_job_that_never_got_there_is_left_to_airflow(
    kie: KieSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = json.loads(kie.connection())
    wrong = json.dumps(right | {"host": "http://127.0.0.1:9"})
    monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", wrong)
    store = StateStore()
    task = PaidTask(kie, store=store)
    assert task.run().may_retry
    assert (task.posts, store.values) == (0, {})
    monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", json.dumps(right))
    assert task.run().result is not None


DOUBTS: dict[str, tuple[dict[str, Any], int]] = {
    "accepted, no answer": ({"drop_after": -1, "accept": True}, 1),
    "not accepted, no answer": ({"drop_after": -1}, 0),
    "accepted, half an answer": ({"drop_after": 20}, 1),
    "accepted, no id": ({"body": '{"code": 200, "msg": "success", "data": {}}', "accept": True}, 1),
    "accepted, null": ({"body": '{"code": 200, "msg": "success", "data": null}', "accept": True}, 1),
    "accepted, HTML": ({"html": True, "accept": True}, 1),
    "accepted, HTML with HTTP 200": ({"html": True, "status": 200, "accept": True}, 1),
    "accepted, code 500": ({"code": 500, "accept": True}, 1),
    "accepted, code 524": ({"code": 524, "accept": True}, 1),
    "accepted, HTTP 502": ({"status": 502, "accept": True}, 1),
    "not accepted, code 500": ({"code": 500}, 0),
}


@pytest.mark.parametrize("name", DOUBTS)
def test_a_doubtful_answer_is_a_doubt_whether_there_is_a_job_or_not(name: str, kie: KieSimulator) -> None:
    fault, accepted = DOUBTS[name]
    kie.fail_next("createTask", **fault)
    judged(PaidTask(kie, store=StateStore()), 1, accepted, may_retry=False, forgotten=False)


def test_an_answer_that_does_not_come_is_a_doubt(kie: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = json.loads(kie.connection())
    connection["extra"]["timeout"] = 0.3
    monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", json.dumps(connection))
    kie.fail_next("createTask", delay=1)
    judged(PaidTask(kie, store=StateStore()), 1, 1, may_retry=False, forgotten=False)
