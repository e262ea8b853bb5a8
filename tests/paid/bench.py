"""What happens to paid tasks on the bench, and what comes after it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

from airflow_provider_kie.simulator import KieSimulator
from tests.runner.bench import Outcome, Run, Task

from . import FULL

MODES: dict[str, dict[str, Any]] = {
    "sync": {"deferrable": False},
    "deferred": {"deferrable": True},
}
if FULL:
    MODES["no wait"] = {"wait_for_completion": False}


def until(condition: Callable[[], Any], run: Run | None = None) -> None:
    """Wait for something to come true."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, run.log if run else condition
        time.sleep(0.005)


def kill(run: Run) -> Outcome:
    run.send(signal.SIGKILL)
    ended = run.wait()
    assert ended.exit_code == -signal.SIGKILL
    return ended


def is_in_doubt(ended: Outcome) -> bool:
    return (ended.state, "KieInDoubtError" in ended.log) == ("failed", True)


def settles(task: Task, kie: KieSimulator, *, jobs: int, doubt: bool) -> None:
    """Run what comes after a kill: a retry that is in doubt, if it has to be, and a clear; or a success."""
    before = len(kie.jobs)
    ended = task.finish()
    if doubt:
        assert is_in_doubt(ended)
        assert len(kie.jobs) == before
        task.airflow.clear()
        ended = task.finish()
    assert ended.state == "success"
    assert ended.result["job_id"] == kie.jobs[-1].job_id
    assert (len(kie.jobs), sum(each.charged or each.held for each in kie.jobs)) == (jobs, 4.0 * jobs)
