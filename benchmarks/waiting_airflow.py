"""An Airflow in which sensors wait, seen from outside: its database, its logs, its triggerer's processes."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from benchmarks.processes import family, find
from scripts.running import environment, started, wait_for_dag, wait_until_healthy

ROOT = Path(__file__).resolve().parent.parent
DAGS = Path(__file__).resolve().parent / "waiting_dags"
RUN = "bench"
TASK = "wait"
# What the triggerer's watchdog logs.
BLOCKED = re.compile(r"(\d{4}-\S+Z) .*async thread was blocked for ([\d.]+) seconds")
COLOURS = re.compile(r"\x1b\[[\d;]*m")


class Blocked(NamedTuple):
    """
    A warning that the event loop was blocked.

    :param end: When it was logged; seconds since the epoch.
    :param seconds: How long it says.
    """

    end: float
    seconds: float


@dataclass
class Airflow:
    """
    An Airflow that runs one DAG of waiting sensors.

    :param home: Its folder.
    :param dag_id: Its DAG.
    :param api: Client of its REST API.
    :param variables: Its environment.
    :param pid: Of ``airflow standalone``, or of the triggerer that was started after its own.
    """

    home: Path
    dag_id: str
    api: httpx.Client
    variables: dict[str, str]
    pid: int
    more: ExitStack = field(repr=False)

    def begin(self) -> None:
        """Start the DAG's run."""
        body = {"dag_run_id": RUN, "logical_date": None}
        self.api.post(f"/api/v2/dags/{self.dag_id}/dagRuns", json=body).raise_for_status()

    def states(self) -> dict[int, str]:
        """Give the state of each sensor by its index."""
        query = "SELECT map_index, state FROM task_instance WHERE dag_id = ? AND map_index >= 0"
        return {int(index): str(state) for index, state in self._ask(query, self.dag_id)}

    def counted(self) -> Counter[str]:
        """Count the sensors in each state."""
        return Counter(self.states().values())

    def taken(self) -> int:
        """Count the triggers that a triggerer has taken."""
        return int(self._ask("SELECT count(*) FROM trigger WHERE triggerer_id IS NOT NULL")[0][0])

    def _ask(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        # Read only, and Airflow's sqlite writes ahead: looking delays nobody.
        database = sqlite3.connect(f"file:{self.home}/airflow.db?mode=ro", uri=True, timeout=30)
        with closing(database):
            return database.execute(query, values).fetchall()

    def triggerer(self) -> list[int]:
        """List the triggerer's processes: for the database, for the event loop, for logs."""
        pid = find(self.pid, "triggerer")
        if pid is None:
            raise SystemExit(f"There is no triggerer:\n{(self.home / 'airflow.log').read_text()[-3000:]}")
        return family(pid)

    def event_loop(self) -> int | None:
        """Find the one of these that runs the triggers: it is spoken to through its standard input."""
        for pid in family(find(self.pid, "triggerer") or self.pid):
            with suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/0").startswith("socket:"):
                    return pid
        return None

    def kill_triggerer(self) -> int:
        """Give all its processes no chance to say goodbye, as when a container is killed."""
        pids = self.triggerer()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return len(pids)

    def start_triggerer(self) -> None:
        """Start one beside what is left of ``airflow standalone``."""
        command = [sys.executable, "-m", "airflow", "triggerer"]
        process = self.more.enter_context(started(command, self.variables, self.home / "triggerer.log"))
        self.pid = process.pid

    def blocked(self) -> list[Blocked]:
        """Give the triggerers' warnings so far that their event loop was blocked."""
        logs = [self.home / name for name in ("airflow.log", "triggerer.log")]
        texts = [COLOURS.sub("", log.read_text(errors="replace")) for log in logs if log.exists()]
        found = [warning for text in texts for warning in BLOCKED.findall(text)]
        return [Blocked(datetime.fromisoformat(end).timestamp(), float(seconds)) for end, seconds in found]

    def fired(self) -> dict[int, float]:
        """Give the time at which each sensor's trigger fired, by its log; seconds since the epoch."""
        times = {}
        for log in (self.home / "logs").glob(
            f"dag_id={self.dag_id}/run_id={RUN}/task_id={TASK}/*/*.trigger.*"
        ):
            index = int(log.parent.name.partition("=")[2])
            for line in log.read_text().splitlines():
                entry = json.loads(line)
                if entry.get("event") == "Trigger fired event":
                    times[index] = datetime.fromisoformat(entry["timestamp"]).timestamp()
        return times


@contextmanager
def waiting_airflow(
    home: Path, dag_id: str, kie: str, gate: str, *, sensors: int, interval: float, parallel: int
) -> Iterator[Airflow]:
    """
    Run an Airflow whose DAG is read and not yet begun.

    :param home: Folder for everything that it writes; must exist.
    :param dag_id: One of the DAGs in ``waiting_dags``.
    :param kie: Airflow connection to the simulator.
    :param gate: URL of the gate.
    :param sensors: How many the DAG has.
    :param interval: Seconds between their polls.
    :param parallel: How many tasks run at once.
    :return: The Airflow.
    """
    settings = {
        # The DAGs import this package, in Airflow's own processes.
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        "KIE_BENCH_SENSORS": str(sensors),
        "KIE_BENCH_INTERVAL": str(interval),
        "AIRFLOW_CONN_GATE": json.dumps({"conn_type": "http", "host": gate}),
        "AIRFLOW__CORE__PARALLELISM": str(parallel),
        "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(parallel),
        "AIRFLOW__CORE__MAX_MAP_LENGTH": str(max(1024, sensors)),
        # Files that do not change need not be read again and again.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "AIRFLOW__TRIGGERER__CAPACITY": str(max(1000, sensors)),
    }
    variables = environment(home, kie, dags=DAGS, settings=settings)
    log = home / "airflow.log"
    with (
        started([sys.executable, "-m", "airflow", "standalone"], variables, log) as process,
        httpx.Client(base_url=variables["AIRFLOW__API__BASE_URL"], timeout=60, trust_env=False) as api,
        ExitStack() as more,
    ):
        wait_until_healthy(api, process, log)
        wait_for_dag(api, dag_id)
        yield Airflow(home, dag_id, api, variables, process.pid, more)
