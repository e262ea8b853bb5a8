"""A few paid jobs that outlive the worker on which they are waited for."""

from __future__ import annotations

import logging
from typing import Any

from airflow_provider_kie.simulator import KieSimulator

from .parts import Cluster
from .runs import Run

MODEL = "cluster/slow"
# As many as the DAG maps.
JOBS = 2
PRICE, HOLD = 4, 7

log = logging.getLogger(__name__)


def submit_jobs(cluster: Cluster, kie: KieSimulator) -> Run:
    """Begin tasks that submit jobs and wait for them on their workers; the jobs end when they are told to."""
    kie.add_model(MODEL, seconds=3600, credits=PRICE, hold=HOLD)
    run = Run(cluster, "kie_cluster_jobs")
    run.follow(lambda: len(kie.jobs) == JOBS)
    return run


def end_jobs(kie: KieSimulator, run: Run, victim: str) -> None:
    """End the jobs once the retry of a killed worker's task waits for the job that is there."""

    def retried() -> list[dict[str, Any]]:
        return [task for task in run.tasks(state="running") if task["try_number"] > 1]

    run.follow(lambda: bool(retried()))
    run.follow(lambda: all("of an earlier try: waiting" in run.log(task) for task in retried()))
    assert {one["hostname"] for task in retried() for one in run.earlier_tries(task)} == {victim}
    log.info("The jobs of %d killed tasks are waited for again, and end", len(retried()))
    kie.finish_jobs()


def check_paid_once(kie: KieSimulator, run: Run, task_id: str, *skipped: str) -> None:
    """Check that each task has a job of its own, and that what the tasks tell of the costs was paid."""
    run.wait_for_success(*skipped)
    told = [run.returned(task) for task in run.tasks(task_id=task_id)]
    assert sorted(job["job_id"] for job in told) == sorted(job.job_id for job in kie.jobs)
    spent = sum(job["credits"] for job in told)
    assert spent == sum(job.charged for job in kie.jobs) == PRICE * len(kie.jobs)
    assert len(kie.requests_to("createTask")) == len(kie.jobs), "a submission was sent again"
    log.info("%d jobs were paid once each, %g credits", len(told), spent)
