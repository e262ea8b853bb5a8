"""Paid tasks that Airflow ends at random moments, and two attempts at once."""

from __future__ import annotations

import random
import time

import pytest

from airflow_provider_kie.simulator import KieSimulator
from tests.faults import SEED
from tests.runner.bench import LIMIT, Task
from tests.runner.conftest import HAS_STATE_STORE, Put, needs_state_store

from . import FULL
from .bench import is_in_doubt, until

ROUNDS = 20 if FULL else 2
# A try of the bench takes about as long from its beginning to its end.
SECONDS = 0.6


def is_told(log: str, kie: KieSimulator) -> bool:
    """Tell whether a log names every job that there is, or says that there may be one."""
    return all(job.job_id in log for job in kie.jobs) or "https://kie.ai/logs" in log


def settle(task: Task, kie: KieSimulator) -> None:
    """Run a retry, and a clear if that is in doubt: it pays for one job, or for two after a doubt."""
    sent = len(kie.jobs)
    ended = task.finish()
    doubt = is_in_doubt(ended)
    if doubt:
        assert len(kie.jobs) == sent
        task.airflow.clear()
        ended = task.finish()
    assert ended.state == "success"
    assert len(kie.jobs) == (sent + 1 if doubt else 1)
    assert ended.result["job_id"] == kie.jobs[-1].job_id


@pytest.mark.parametrize("job", ["sync", "deferred"], indirect=True)
@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_task_that_is_marked_failed_and_then_cleared(number: int, job: Task, kie: KieSimulator) -> None:
    kie.add_model("m", seconds=0.3, credits=4)
    run = job.start()
    job.airflow.wait_for("run")
    time.sleep(random.Random(SEED * 1000 + number).uniform(0, SECONDS))
    job.airflow.end()
    assert job.airflow.is_gone.wait(LIMIT)
    assert is_told(run.log, kie)
    sent = len(kie.jobs)
    stage = job.airflow.store.get("kie-job", {}).get("stage")
    job.airflow.clear()
    again = job.finish()
    assert again.state == "success"
    # A job that is known, and whose result nobody got, is what a person asks for.
    assert len(kie.jobs) == (1 if stage == "submitted" else sent + 1)


@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.parametrize("job", ["sync"], indirect=True)
def test_a_task_that_reaches_its_execution_timeout(number: int, job: Task, kie: KieSimulator) -> None:
    kie.add_model("m", seconds=0.3, credits=4)
    kie.fail_next("createTask", delay=0.1, times=9)
    job.arguments["execution_timeout"] = random.Random(SEED * 1000 + number).uniform(0.02, SECONDS)
    ended = job.run()
    assert is_told(ended.log, kie)
    del job.arguments["execution_timeout"]
    if ended.state != "success":
        settle(job, kie)


@needs_state_store
def test_of_two_attempts_at_once_one_submits_and_the_other_is_in_doubt(put: Put, kie: KieSimulator) -> None:
    how = {"input": {"prompt": "a"}, "model": "m", "poll_interval": 0.05}
    first, second = (put("generate", retries=2, **how) for _ in range(2))
    second.airflow.store, second.airflow.try_number = first.airflow.store, 1
    kie.fail_next("createTask", delay=1.5)
    lost = first.start()
    until(lambda: kie.jobs, lost)
    # From now on the first attempt's id is no longer the task's.
    first.airflow.fail("store", 404)
    assert is_in_doubt(second.run())
    assert lost.wait().state == "success"
    assert len(kie.jobs) == 1


@needs_state_store
def test_an_attempt_that_is_no_longer_the_task_sends_nothing(put: Put, kie: KieSimulator) -> None:
    task = put("generate", retries=2, input={"prompt": "a"}, model="m")
    task.airflow.fail("store", 404)
    ended = task.run()
    assert (ended.state, "nothing was sent" in ended.log) == ("up_for_retry", True)
    assert kie.requests_to("createTask") == []


def test_a_try_after_an_unheard_end_pays_only_where_nothing_is_remembered(
    put: Put, kie: KieSimulator
) -> None:
    """The task has succeeded, and Airflow did not hear of it."""
    task = put("generate", retries=2, input={"prompt": "a"}, model="m", poll_interval=0.05)
    first = task.run()
    again = task.run()
    if HAS_STATE_STORE:
        assert again.result == first.result
        assert "nothing is paid again" in again.log
    else:
        assert is_in_doubt(again)
    assert len(kie.jobs) == 1
