"""
The process that has imported Airflow, and of which every supervisor is a fork.

Run as a script: a job a line on standard input, its number on standard output when it is over. Whatever is
Airflow's own and not public is asked for here.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib
import json
import os
import select
import signal
import tempfile
import traceback
from pathlib import Path
from typing import Any

HEARTBEAT_SECONDS = 0.15
_MODULES = (
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.dag_processing.dagbag",
    "airflow.models.dagbag",
    "airflow.sdk.definitions.connection",
    "jinja2.ext",
    "setproctitle",
    "airflow_provider_kie.hooks.kie",
    "airflow_provider_kie.operators.chat",
    "airflow_provider_kie.operators.credits",
    "airflow_provider_kie.operators.files",
    "airflow_provider_kie.operators.jobs",
    "airflow_provider_kie.operators._generation",
    "airflow_provider_kie.sensors.credits",
    "airflow_provider_kie.sensors.jobs",
    "airflow_provider_kie.triggers.jobs",
)


def _supervise(job: dict[str, Any]) -> int:
    from airflow.sdk.api.datamodels import _generated as models
    from airflow.sdk.execution_time import supervisor

    # It is configured in whole seconds.
    supervisor.MIN_HEARTBEAT_INTERVAL = HEARTBEAT_SECONDS  # type: ignore[assignment]
    # Airflow 3.1 knows the older name alone.
    supervise = getattr(supervisor, "supervise_task", None) or supervisor.supervise
    return supervise(
        ti=models.TaskInstance(
            id=job["id"],
            dag_id="bench",
            task_id="bench",
            run_id="bench",
            try_number=job["try_number"],
            map_index=job["map_index"],
            dag_version_id=job["id"],
        ),
        bundle_info=models.BundleInfo(name="dags-folder"),
        dag_rel_path="bench.py",
        token="",
        server=job["server"],
        log_path=f"{job['folder']}/task.log",
    )


def _break_metrics() -> None:
    def tell(stat: str, *args: Any, **kwargs: Any) -> None:
        if stat.startswith("kie."):
            raise OSError("as told: no metrics today")

    def broken(kind: type) -> type:
        return type("Broken", (kind,), {name: staticmethod(tell) for name in ("incr", "timing", "gauge")})

    try:
        from airflow.sdk.observability.metrics import stats_utils
    except ImportError:  # Airflow 3.1
        from airflow.stats import Stats

        Stats.instance = broken(Stats.factory)()  # type: ignore[attr-defined]
    else:
        client = broken(stats_utils.get_stats_factory())  # type: ignore[arg-type]
        stats_utils.get_stats_factory = lambda: client


def _work(job: dict[str, Any]) -> None:
    folder = Path(job["folder"])
    os.environ["KIE_BENCH_TASK"] = str(folder / "task.json")
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
    said = os.open(folder / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    # For whoever wants to know what a task waits for; see ``Run.stacks``.
    faulthandler.register(signal.SIGUSR1, (folder / "stacks.log").open("w"))
    os.dup2(said, 1)
    os.dup2(said, 2)
    if job["metrics_fail"]:
        _break_metrics()
    (folder / "exit_code").write_text(str(int(_supervise(job))))


def _warm_up() -> None:
    """Import what a supervisor and its task need, once for all."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.sdk.api.client import Client
    from tenacity import wait_none

    from airflow_provider_kie.client import retries
    from airflow_provider_kie.decisions import jobs

    for name in _MODULES:
        # Where Airflow reads DAG files has moved.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    DagBundlesManager().get_bundle("dags-folder")
    # The certificates that it reads are kept.
    Client(base_url="http://127.0.0.1", token="").close()
    # Forks are quicker where the garbage collector leaves alone what they share.
    gc.freeze()
    for backoff in ("_backoff", "_creation_backoff", "_maintenance_backoff"):
        setattr(retries, backoff, wait_none())
    jobs.SHORTEST_INTERVAL = 0.01


def _fork(job: dict[str, Any]) -> int:
    if pid := os.fork():
        return pid
    try:
        _work(job)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    # What Airflow says is no answer.
    os.dup2(2, 1)
    _warm_up()
    print("ready", file=answers)
    # Unbuffered, or select would not see what is there already.
    jobs = os.fdopen(0, "rb", buffering=0)
    running: dict[int, int] = {}
    while True:
        if select.select([jobs], [], [], 0.01)[0]:
            if not (line := jobs.readline()):
                break
            job = json.loads(line)
            running[_fork(job)] = job["number"]
        while running and (pid := os.waitpid(-1, os.WNOHANG)[0]):
            print(running.pop(pid), file=answers)
    # Their tasks are gone; a supervisor can be seconds late in noticing.
    for pid in running:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    _main()
