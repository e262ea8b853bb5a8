"""A night of fifty mapped jobs: what their results say they cost is what kie.ai has charged."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from tenacity import wait_random_exponential

from airflow_provider_kie.client import retries
from airflow_provider_kie.simulator import KieSimulator, jobs
from tests.runner.bench import Outcome, Task
from tests.runner.conftest import Put, needs_state_store
from tests.unit.state_store import StateStore

from . import FULL
from .bench import kill, until
from .tries import PaidTask

JOBS, KILLED = (50, 20) if FULL else (10, 7)
# Two jobs fail for a reason that passes, and one for its own.
FAILING = {1: (500, "internal error"), 3: (500, "internal error"), 5: (422, "sensitive content")}
PRICE = 2.5


@needs_state_store
def test_what_a_night_of_mapped_jobs_says_it_cost_is_what_was_charged(put: Put, kie: KieSimulator) -> None:
    models = [f"model-{number}" for number in range(JOBS)]
    expand = [{"model": model, "input": {"prompt": f"a cat by {model}"}} for model in models]

    def run(number: int) -> Outcome:
        kie.add_model(models[number], seconds=0.3, credits=PRICE, hold=4, fail=FAILING.get(number))
        task = put("generate", retries=2, poll_interval=0.05, expand=expand)
        task.airflow.map_index = number
        ended = killed_while_its_job_runs(task) if number == KILLED else task.run()
        if number == KILLED or ended.state == "up_for_retry":
            kie.add_model(models[number], seconds=0.3, credits=PRICE)
            return task.run()
        return ended

    with ThreadPoolExecutor(4) as pool:
        night = [*pool.map(run, range(JOBS))]
    done = [ended.result for ended in night if ended.state == "success"]
    assert [number for number, ended in enumerate(night) if ended.state != "success"] == [5]
    assert [result["model"] for result in done] == [model for model in models if model != "model-5"]
    assert len(kie.jobs) == JOBS + 2
    charged = sum(job.charged for job in kie.jobs)
    assert sum(result["credits"] for result in done) == charged == PRICE * (JOBS - 1)


def killed_while_its_job_runs(task: Task) -> Outcome:
    run = task.start()
    until(lambda: task.airflow.store.get("kie-job", {}).get("job_id"), run)
    return kill(run)


def test_fifty_jobs_at_once_get_through_the_limit_of_creations(
    kie: KieSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty times as fast as at kie.ai, which takes 20 creations in 10 s."""
    monkeypatch.setattr(jobs, "CREATION_SECONDS", 0.5)
    monkeypatch.setattr(
        retries, "_creation_backoff", wait_random_exponential(multiplier=0.5, min=0.25, max=6)
    )
    kie.creation_limit = 20
    tasks = [PaidTask(kie, "no wait", store=StateStore()) for _ in range(50)]
    for task in tasks:
        task.try_number = 1
    # A DAG is no thing to build in several threads at once.
    executions = [partial(task.operator().execute, task.context()) for task in tasks]
    with ThreadPoolExecutor(50) as pool:
        results = [*pool.map(lambda execute: execute(), executions)]
    assert len({result["job_id"] for result in results}) == len(kie.jobs) == 50
    assert len(kie.requests_to("createTask")) > 50
