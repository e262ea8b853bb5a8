"""What a task makes of the note of an earlier try: damaged, of another version, about a job that is gone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_kie._compat import AirflowFailException
from airflow_provider_kie.operators._job_memory import KEY
from airflow_provider_kie.simulator import KieSimulator
from tests.paid.tries import Crash, FaultyStore, Mode, PaidTask, prepare
from tests.unit.state_store import StateStore


@pytest.fixture(autouse=True)
def _prepared(kie: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(kie, monkeypatch)


@pytest.mark.parametrize(
    "value",
    [
        "text",
        [],
        {"stage": "paused", "max_tries": 2},
        {"stage": "submitted", "max_tries": 2},
        {"stage": "submitted", "max_tries": "2", "job_id": "a"},
        {"stage": "submitted", "max_tries": 2, "job_id": "a", "input": ["prompt"]},
        {"stage": "success", "max_tries": 2, "job_id": "a", "result": "a.png"},
        {"stage": "success", "max_tries": 2, "job_id": "a", "result": {"urls": []}},
    ],
)
def test_a_note_that_cannot_be_read_is_a_doubt_until_a_person_clears(value: Any, kie: KieSimulator) -> None:
    task = PaidTask(kie, store=StateStore({KEY: json.dumps(value)}))
    task.try_number = 1
    for _ in range(2):
        ended = task.run()
        assert "KieInDoubtError" in ended.said
    assert task.posts == 0
    task.clear()
    assert task.run().result is not None
    assert task.posts == 1


def test_a_note_of_a_later_version_is_read_as_far_as_it_goes(kie: KieSimulator) -> None:
    store = StateStore()
    task = PaidTask(kie, store=store)
    first = task.run().result
    note = json.loads(store.values[KEY])
    note["result"]["resolution"] = note["colour"] = "new"
    store.values[KEY] = json.dumps(note)
    assert task.run().result == first


@pytest.mark.parametrize("sent_at", ["", "yesterday", "2026-01-01T00:00:00", 7, None])
def test_a_moment_that_cannot_be_read_ends_no_waiting(sent_at: Any, kie: KieSimulator) -> None:
    store = FaultyStore()
    task = PaidTask(kie, "deferred", store=store)
    store.faults = {"before c": Crash()}
    assert isinstance(task.run().error, Crash)
    store.faults = {}
    note = json.loads(store.values[KEY])
    store.values[KEY] = json.dumps(note | {"sent_at": sent_at})
    assert task.run().result is not None
    assert task.posts == 1


@pytest.mark.parametrize("mode", ["sync", "deferred"])
def test_a_job_whose_record_is_gone_ends_the_waiting_and_a_clear_submits(
    mode: Mode, kie: KieSimulator
) -> None:
    store = FaultyStore()
    task = PaidTask(kie, mode, store=store)
    store.faults = {"after b": Crash()}
    task.run()
    store.faults = {}
    note = json.loads(store.values[KEY])
    old = note | {"sent_at": "2026-01-01T00:00:00+00:00", "job_id": "0" * 32}
    store.values[KEY] = json.dumps(old)
    ended = task.run()
    assert isinstance(ended.error, AirflowFailException)
    assert "0" * 32 in ended.said
    assert task.posts == 1
    task.clear()
    assert task.run().result is not None
    assert task.posts == 2


def test_the_note_of_a_deferred_task_stays_that_of_the_job_it_took_over(
    kie: KieSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    store = FaultyStore()
    task = PaidTask(kie, "deferred", store=store)
    store.faults = {"after b": Crash()}
    task.run()
    store.faults = {}
    sent_at = json.loads(store.values[KEY])["sent_at"]
    task.arguments["input"] = {"prompt": "a dog"}
    for _ in range(2):
        caplog.clear()
        assert task.run().result is not None
        assert "changed since then: input['prompt']" in caplog.text
    assert json.loads(store.values[KEY])["sent_at"] == sent_at
    assert task.posts == 1
