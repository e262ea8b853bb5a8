"""A state store that fails a paid task at each of its notes."""

from __future__ import annotations

import pytest

from airflow_provider_kie.simulator import KieSimulator
from tests.runner.bench import Task
from tests.runner.conftest import needs_state_store

from . import FULL
from .bench import is_in_doubt, settles

pytestmark = needs_state_store
# Whoever gets no good answer asks twice.
FAULTS = {"server error": (500, 2), "no answer": (0, 2), "not found": (404, 1)}
POINTS = {"load": 0, "a": 1, "b": 2, "c": 3}


def break_at(task: Task, point: str, fault: str) -> None:
    if POINTS[point]:
        task.airflow.fail("store", times=POINTS[point])
    status, times = FAULTS[fault]
    task.airflow.fail("store", status, times=times)


@pytest.mark.parametrize("job", ["sync"], indirect=True)
@pytest.mark.parametrize(
    ("point", "fault"),
    # What is not found was never stored.
    [
        (point, fault)
        for point in ("load", "a")
        for fault in FAULTS
        if (point, fault) != ("load", "not found")
    ],
)
def test_nothing_is_sent_before_it_is_written_down(
    point: str, fault: str, job: Task, kie: KieSimulator
) -> None:
    break_at(job, point, fault)
    ended = job.run()
    assert (ended.state, "nothing was sent" in ended.log) == ("up_for_retry", True)
    assert kie.requests_to("createTask") == []
    settles(job, kie, jobs=1, doubt=False)


@pytest.mark.parametrize("job", ["sync", "no wait"] if FULL else ["sync"], indirect=True)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("point", ["b", "c"])
def test_a_job_that_was_sent_is_waited_for_without_its_note(
    point: str, fault: str, job: Task, kie: KieSimulator
) -> None:
    break_at(job, point, fault)
    ended = job.finish()
    assert (ended.state, ended.result["job_id"]) == ("success", kie.jobs[0].job_id)
    assert ("cannot keep" in ended.log) == (job.arguments.get("wait_for_completion", True) or point == "b")
    assert len(kie.jobs) == 1


@pytest.mark.parametrize("job", ["deferred"], indirect=True)
def test_a_deferred_job_needs_no_note(job: Task, kie: KieSimulator) -> None:
    break_at(job, "b", "server error")
    assert job.run().state == "deferred"
    deferral = job.airflow.deferral
    assert deferral is not None
    job.airflow.fail("store", 500)
    ended = job.run(resumed=deferral.resumed_with(deferral.fire()))
    assert (ended.state, ended.result["job_id"]) == ("success", kie.jobs[0].job_id)
    assert len(kie.jobs) == 1


@pytest.mark.parametrize("job", ["sync"], indirect=True)
@pytest.mark.parametrize("point", POINTS if FULL else ["a", "b"])
def test_a_task_whose_store_hangs_reaches_its_timeout_and_pays_once(
    point: str, job: Task, kie: KieSimulator
) -> None:
    if POINTS[point]:
        job.airflow.fail("store", times=POINTS[point])
    job.airflow.fail("store", times=1, delay=2.5)
    job.arguments["execution_timeout"] = 1.5
    ended = job.run()
    assert ended.state == "up_for_retry"
    sent = len(kie.jobs)
    assert sent == (0 if point in ("load", "a") else 1)
    del job.arguments["execution_timeout"]
    again = job.finish()
    if is_in_doubt(again):
        assert point == "a"
        job.airflow.clear()
        again = job.finish()
    assert again.state == "success"
    assert len(kie.jobs) == 1
