"""What the plays of the cluster test have in common."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_kie.simulator import KieSimulator
from scripts.cluster import Cluster
from scripts.cluster_checks import Failed, check
from scripts.cluster_metrics import Metrics
from scripts.cluster_runs import Run
from scripts.cluster_store import Store
from scripts.running import every_second, say, wait_for_dag

POLL_SECONDS = 5
PATIENCE_SECONDS = 600


@dataclass
class Stage:
    """What the plays have in common."""

    kie: KieSimulator
    store: Store
    cluster: Cluster
    metrics: Metrics
    home: Path


def begin_run(stage: Stage, dag_id: str, **params: Any) -> Run:
    """Trigger a DAG."""
    wait_for_dag(stage.cluster.api, dag_id)
    run = Run(stage.cluster.api, dag_id)
    run.trigger(**params)
    return run


def follow(stage: Stage, run: Run, done: Callable[[], bool]) -> None:
    """Wait for something, and say now and then how the run stands."""
    for second, _ in enumerate(every_second(PATIENCE_SECONDS)):
        if done():
            return
        stage.cluster.check()
        if second % 15 == 14:
            say(f"    {run.progress()}")
            if run.state() == "failed":
                break
    raise Failed(
        f"{run.dag_id} does not get on: {run.progress()}\n{run.why()}\n{stage.cluster.tail('scheduler')}"
    )


def wait_for_success(stage: Stage, run: Run, *, skipped: Collection[str] = ()) -> list[dict[str, Any]]:
    """Wait for the end of a run, and give its task instances, which all but those to skip have done."""
    follow(stage, run, lambda: run.state() == "success")
    tasks = run.tasks()
    other = [
        task for task in tasks if task["state"] != ("skipped" if task["task_id"] in skipped else "success")
    ]
    check(not other, f"all {len(tasks)} tasks of {run.dag_id} ended as they should")
    return tasks


def asked(stage: Stage) -> int:
    """Count the requests for the balance so far that had the right key."""
    right = f"Bearer {stage.kie.api_key}"
    return sum(one.headers.get("authorization") == right for one in stage.kie.requests_to("credit"))
