"""An Airflow in which tasks wait, seen from outside: its database, its log, its triggerer's processes."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.waiting_loop import Blocked, LoopWatch
from scripts.running import environment, started, wait_for_dag, wait_until_healthy

ROOT = Path(__file__).resolve().parent.parent
DAG_ID = "waiting"
# A pool without slots, for tasks that no worker is to run.
CLOSED_POOL = "closed"
# Models, by the median of their jobs as a share of the run's.
MODELS = {"bench/fast": 0.8, "bench/medium": 1.0, "bench/slow": 1.25}
# What the triggerer's watchdog logs.
BLOCKED = re.compile(r"(\d{4}-\S+Z) .*async thread was blocked for ([\d.]+) seconds")
COLOURS = re.compile(r"\x1b\[[\d;]*m")


class Airflow:
    """
    An Airflow that runs one DAG of waiting tasks.

    :param home: Its folder.
    :param variables: Its environment.
    :param api: Client of its REST API.
    :param stack: Ends what is started later.
    :param pid: Of ``airflow standalone``.
    """

    def __init__(
        self, home: Path, variables: dict[str, str], api: httpx.Client, stack: ExitStack, pid: int
    ) -> None:
        self._home = home
        self._variables = variables
        self._api = api
        self._stack = stack
        self._root = psutil.Process(pid)
        self._loop = stack.enter_context(LoopWatch(self._event_loop))

    def begin(self) -> None:
        """Start the DAG's run."""
        self._api.post(f"/api/v2/dags/{DAG_ID}/dagRuns", json={"logical_date": None}).raise_for_status()

    def states(self) -> dict[int, str]:
        """Give the state of each task by its index; the sensor with the index 4 waits for 5 credits."""
        return dict(self._ask("SELECT map_index, state FROM task_instance WHERE map_index >= 0"))

    def results(self) -> list[Any]:
        """Give what the tasks have returned."""
        return [
            json.loads(value) for (value,) in self._ask("SELECT value FROM xcom WHERE key = 'return_value'")
        ]

    def events(self) -> dict[int, str]:
        """Give what tasks that no worker runs would resume with, by their index, as Airflow stores it."""
        return dict(self._ask("SELECT map_index, next_kwargs FROM task_instance WHERE map_index >= 0"))

    def defer(self, jobs: list[str]) -> None:
        """
        Let tasks that no worker runs wait, one after the other; returns before all of them do.

        :param jobs: What every other one of them waits for; the others are sensors.
        """
        self._api.post("/api/v2/pools", json={"name": CLOSED_POOL, "slots": 0}).raise_for_status()
        self.begin()
        command = [sys.executable, "-m", "benchmarks.waiting_defer", *jobs]
        self._stack.enter_context(started(command, self._variables, self._home / "airflow.log"))

    def taken(self) -> int:
        """Count the triggers that a triggerer has taken."""
        return int(self._ask("SELECT count(*) FROM trigger WHERE triggerer_id IS NOT NULL")[0][0])

    def _ask(self, query: str) -> list[tuple[Any, ...]]:
        # Read only, and Airflow's sqlite writes ahead: looking delays nobody.
        with closing(
            sqlite3.connect(f"file:{self._home}/airflow.db?mode=ro", uri=True, timeout=30)
        ) as database:
            return database.execute(query).fetchall()

    def triggerer(self) -> list[psutil.Process]:
        """List the triggerer's processes: for the database, for the event loop, for logs."""
        if found := self._triggerer():
            return found
        raise SystemExit(f"There is no triggerer:\n{self._log()[-3000:]}")

    def _triggerer(self) -> list[psutil.Process]:
        with suppress(psutil.Error):
            for process in (self._root, *self._root.children(recursive=True)):
                # A process that gives itself a title has blanks between the words.
                if "triggerer" in " ".join(process.cmdline()).split():
                    return [process, *process.children(recursive=True)]
        return []

    def _event_loop(self) -> int | None:
        """Find the process that runs the triggers: it is spoken to through its standard input."""
        for process in self._triggerer():
            with suppress(OSError):
                if os.readlink(f"/proc/{process.pid}/fd/0").startswith("socket:"):
                    return int(process.pid)
        return None

    def replace_triggerer(self) -> None:
        """Kill the triggerer without a warning, as a container is killed, and start another one."""
        for process in self.triggerer():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        command = [sys.executable, "-m", "airflow", "triggerer"]
        another = self._stack.enter_context(started(command, self._variables, self._home / "airflow.log"))
        self._root = psutil.Process(another.pid)

    def blocked(self) -> list[Blocked]:
        """Give the warnings so far that a triggerer's event loop was blocked."""
        found = BLOCKED.findall(COLOURS.sub("", self._log()))
        return [
            self._loop.blocked(float(seconds), datetime.fromisoformat(end).timestamp())
            for end, seconds in found
        ]

    def _log(self) -> str:
        return (self._home / "airflow.log").read_text(errors="replace")


@contextmanager
def waiting_airflow(
    home: Path, kie: str, gate: str, *, kind: str, count: int, interval: float
) -> Iterator[Airflow]:
    """
    Run an Airflow whose DAG is read and not yet begun.

    :param home: Folder for everything that it writes; must exist.
    :param kie: Airflow connection to the simulator.
    :param gate: URL of the gate.
    :param kind: Which kind waits, as the DAG calls it.
    :param count: How many of them wait.
    :param interval: Seconds between the polls of sensors.
    :return: The Airflow.
    """
    settings = {
        "KIE_BENCH_KIND": kind,
        "KIE_BENCH_COUNT": str(count),
        "KIE_BENCH_INTERVAL": str(interval),
        "KIE_BENCH_MODELS": " ".join(MODELS),
        "AIRFLOW_CONN_GATE": json.dumps({"conn_type": "http", "host": gate}),
        "AIRFLOW__CORE__MAX_MAP_LENGTH": str(max(1024, count)),
        # A file that does not change need not be read again and again.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "AIRFLOW__TRIGGERER__CAPACITY": str(max(1000, count)),
        # The DAG, and the triggerer, import from here.
        "PYTHONPATH": str(ROOT),
    }
    variables = environment(home, kie, dags=ROOT / "benchmarks/waiting_dags", settings=settings)
    log = home / "airflow.log"
    with (
        started([sys.executable, "-m", "airflow", "standalone"], variables, log) as process,
        httpx.Client(base_url=variables["AIRFLOW__API__BASE_URL"], timeout=60, trust_env=False) as api,
        ExitStack() as stack,
    ):
        wait_until_healthy(api, process, log)
        wait_for_dag(api, DAG_ID)
        yield Airflow(home, variables, api, stack, process.pid)
