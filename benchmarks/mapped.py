"""What a file costs in a mapped task: on a real Airflow, where each task is a process of its own."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
import psutil

from benchmarks.measure import check_copies, environment
from benchmarks.servers import ROOT, Servers
from benchmarks.works import Work
from scripts.running import environment as airflow_environment
from scripts.running import every_second, started, wait_for_dag, wait_until_healthy

IDLE_SECONDS = 10
WARM_UP = "first"
DAGS = {"files": "ours, mapped", "nothing": "a mapped @task that does nothing"}
RUN_SECONDS = 3600


@dataclass(frozen=True)
class Mapped:
    """
    What a run of a mapped task took.

    :param name: What the task is.
    :param seconds: From the beginning of the run to its end.
    :param airflow: Seconds of processor time of all of Airflow, without what it takes when it is idle.
    :param tasks: Seconds of processor time of each task's process, in the order of their indices.
    :param peaks: Bytes of memory of each task's process at its fullest.
    """

    name: str
    seconds: float
    airflow: float
    tasks: list[float]
    peaks: list[int]

    @property
    def growth(self) -> float:
        """Bytes that the last third of the tasks took more than the first, by their medians."""
        part = max(1, len(self.peaks) // 3)
        return median(self.peaks[-part:]) - median(self.peaks[:part])


def measure_mapped(work: Work, servers: Servers) -> list[Mapped]:
    """
    Run both mapped tasks on an Airflow of their own.

    :param work: How many tasks, and the file of each.
    :param servers: Where the files are.
    :return: What each took.
    :raises RuntimeError: A task failed, or a byte was lost.
    """
    home = servers.folder / "airflow"
    received = home / "received"
    received.mkdir(parents=True)
    mine = environment(work, servers)
    settings = {
        "NO_PROXY": "*",
        "SSL_CERT_FILE": mine["SSL_CERT_FILE"],
        "KIE_BENCH_URLS": " ".join(servers.urls(work)),
        "KIE_BENCH_FOLDER": str(received),
        # A file that does not change need not be read again and again.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "AIRFLOW__CORE__MAX_MAP_LENGTH": str(max(1024, work.count)),
        # The DAG's file imports from here.
        "PYTHONPATH": str(ROOT),
    }
    kie = mine["AIRFLOW_CONN_KIE_DEFAULT"]
    variables = airflow_environment(home, kie, dags=ROOT / "benchmarks/mapped_dags", settings=settings)
    log = home / "airflow.log"
    with (
        started([sys.executable, "-m", "airflow", "standalone"], variables, log) as process,
        httpx.Client(base_url=variables["AIRFLOW__API__BASE_URL"], timeout=60, trust_env=False) as api,
    ):
        wait_until_healthy(api, process, log)
        for dag_id in (WARM_UP, *DAGS):
            wait_for_dag(api, dag_id)
        _finish(WARM_UP, api)
        taken = [_run(dag_id, api, psutil.Process(process.pid), received) for dag_id in DAGS]
    check_copies(work, servers, received)
    return taken


def _run(dag_id: str, api: httpx.Client, airflow: psutil.Process, notes: Path) -> Mapped:
    print(f"once: {DAGS[dag_id]}", file=sys.stderr, flush=True)
    idle = _processor(airflow)
    time.sleep(IDLE_SECONDS)
    began, before = time.perf_counter(), _processor(airflow)
    idle = (before - idle) / IDLE_SECONDS
    _finish(dag_id, api)
    seconds = time.perf_counter() - began
    work = _processor(airflow) - before - idle * seconds
    files = sorted(notes.glob(f"{dag_id}-*.json"), key=lambda path: int(path.stem.rpartition("-")[2]))
    taken = [json.loads(path.read_text()) for path in files]
    return Mapped(
        DAGS[dag_id],
        seconds,
        work,
        [task["processor"] for task in taken],
        [task["peak"] for task in taken],
    )


def _finish(dag_id: str, api: httpx.Client) -> None:
    """Run a DAG to its end."""
    url = f"/api/v2/dags/{dag_id}/dagRuns"
    run = api.post(url, json={"logical_date": None}).raise_for_status().json()["dag_run_id"]
    for _ in every_second(RUN_SECONDS):
        state = api.get(f"{url}/{run}").raise_for_status().json()["state"]
        if state not in ("queued", "running"):
            break
    if state != "success":
        raise RuntimeError(f"the run of {dag_id} ended as {state}")


def _processor(airflow: psutil.Process) -> float:
    """Give the seconds of processor time of all processes, and of those that have ended."""
    total = 0.0
    for process in (airflow, *airflow.children(recursive=True)):
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.Error:
            continue
    return total
