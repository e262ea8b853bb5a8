"""Where the button "kie.ai logs" leads, after every end that a task with a job can have."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_kie.simulator import KieSimulator

from .bench import Task
from .conftest import Put, needs_state_store

LOGS = "https://kie.ai/logs"
MODES = {
    "sync": {"deferrable": False},
    "deferred": {"deferrable": True},
    "no wait": {"wait_for_completion": False},
}


def link(task: Task) -> Any:
    """Give what the task instance's button leads to."""
    return task.airflow.xcoms.get("_link_KieJobLink")


@pytest.fixture(params=MODES)
def job(request: pytest.FixtureRequest, put: Put, kie: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> Task:
    # Triggers run in this process.
    monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", kie.connection())
    kie.add_model("m", seconds=0.1, credits=4)
    how = {"input": {"prompt": "a"}, "model": "m", "poll_interval": 0.05}
    return put("generate", retries=1, **how, **MODES[request.param])


def test_a_success_leads_to_its_job(job: Task, kie: KieSimulator) -> None:
    assert job.finish().state == "success"
    assert link(job) == f"{LOGS}#{kie.jobs[0].job_id}"


@pytest.mark.parametrize("job", ["deferred"], indirect=True)
def test_while_it_is_deferred_a_task_leads_to_its_job(job: Task, kie: KieSimulator) -> None:
    assert job.run().state == "deferred"
    assert link(job) == f"{LOGS}#{kie.jobs[0].job_id}"


@pytest.mark.parametrize("job", ["sync", "deferred"], indirect=True)
@pytest.mark.parametrize("fault", ["the job fails", "time is up", "wrong key"])
def test_a_failure_leads_to_the_job(fault: str, job: Task, kie: KieSimulator) -> None:
    if fault == "the job fails":
        kie.add_model("m", seconds=0.1, fail=(400, "no cats"))
    elif fault == "time is up":
        kie.add_model("m", seconds=60)
        job.arguments["timeout"] = 0.2
    else:
        kie.fail_next("recordInfo", code=401, times=9)
    assert job.finish().state in ("failed", "up_for_retry")
    assert link(job) == f"{LOGS}#{kie.jobs[0].job_id}"


@needs_state_store
@pytest.mark.parametrize("job", ["deferred"], indirect=True)
def test_after_a_broken_trigger_a_task_leads_to_the_job(job: Task, kie: KieSimulator) -> None:
    assert job.run().state == "deferred"
    assert job.airflow.deferral is not None
    ended = job.run(resumed=job.airflow.deferral.failed("Trigger failure"))
    assert ended.state == "up_for_retry"
    assert link(job) == f"{LOGS}#{kie.jobs[0].job_id}"


def test_where_there_is_no_job_there_is_no_link(job: Task, kie: KieSimulator) -> None:
    kie.fail_next("createTask", code=402, times=9)
    assert job.finish().state == "failed"
    assert link(job) == ""


def test_a_doubt_leads_to_the_log_as_a_whole(job: Task, kie: KieSimulator) -> None:
    kie.fail_next("createTask", drop_after=-1, accept=True)
    assert job.finish().state == "failed"
    assert link(job) == LOGS


@pytest.mark.parametrize("job", ["deferred"], indirect=True)
def test_a_mapped_task_leads_to_its_own_job(job: Task, kie: KieSimulator) -> None:
    job.arguments["expand"] = [{"input": {"prompt": "a"}}, {"input": {"prompt": "b"}}]
    del job.arguments["input"]
    job.airflow.map_index = 1
    assert job.finish().state == "success"
    assert link(job) == f"{LOGS}#{kie.jobs[0].job_id}"


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_sensor_leads_to_the_job_that_it_waits_for(deferrable: bool, put: Put, kie: KieSimulator) -> None:
    task = put("job_sensor", job_id="an-unknown-job", poke_interval=1, deferrable=deferrable, timeout=0.1)
    task.run()
    assert link(task) == f"{LOGS}#an-unknown-job"


def test_other_tasks_store_no_link(put: Put, kie: KieSimulator) -> None:
    task = put("chat", prompt="a", model="m")
    assert task.run().state == "success"
    assert [key for key in task.airflow.xcoms if key.startswith("_link")] == []
