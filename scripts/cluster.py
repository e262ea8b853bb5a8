"""An Airflow of many processes on one machine, whose workers and triggerer can be killed and replaced."""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from scripts import services
from scripts.running import environment, every_second, started, wait_until_healthy

ROOT = Path(__file__).resolve().parent.parent
DAG_FOLDERS = {"examples": ROOT / "example_dags", "cluster": ROOT / "scripts" / "cluster_dags"}
SLOTS = 4
# Modules that every task would import anew; a worker imports them once, and its tasks are forks of it.
PRELOADED = ["airflow_provider_kie.hooks.kie", "airflow.providers.amazon.aws.fs.s3", "s3fs"]
NAME = "KIE_CLUSTER_NAME"


def host_name() -> str:
    """Name the process that asks; Airflow notes it as the host that a try ran on."""
    return os.environ.get(NAME) or socket.gethostname()


class Cluster:
    """
    The parts of Airflow; each ends with the stack at the latest.

    :param home: Folder for all that they write.
    :param variables: Their environment.
    :param stack: What ends them.
    """

    def __init__(self, home: Path, variables: Mapping[str, str], stack: ExitStack) -> None:
        self.home = home
        self._variables = variables
        self._stack = stack
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._families: dict[str, list[psutil.Process]] = {}
        self._ends: dict[str, ExitStack] = {}
        self.api = stack.enter_context(
            httpx.Client(base_url=variables["AIRFLOW__API__BASE_URL"], timeout=60, trust_env=False)
        )

    def run(self, *arguments: str) -> None:
        """Run a command of Airflow to its end."""
        command = [sys.executable, "-m", "airflow", *arguments]
        with self.log("commands").open("ab") as log:
            ended = subprocess.run(command, env=dict(self._variables), stdout=log, stderr=log)  # noqa: S603
        if ended.returncode:
            raise SystemExit(f"airflow {' '.join(arguments)} failed:\n{self.tail('commands')}")

    def start(self, name: str, *arguments: str) -> None:
        """Start a part of Airflow."""
        command = [sys.executable, "-m", "airflow", *arguments]
        self._ends[name] = self._stack.enter_context(ExitStack())
        self._families[name] = []
        self._processes[name] = self._ends[name].enter_context(
            _with_family(command, {**self._variables, NAME: name}, self.log(name), self._families[name])
        )

    def start_worker(self, name: str) -> None:
        """Start a Celery worker."""
        options = ["--celery-hostname", name, "--concurrency", str(SLOTS), "--pid", f"{self.home}/{name}.pid"]
        self.start(name, "celery", "worker", *options, "--skip-serve-logs", "--without-gossip")

    def wait_for_worker(self, name: str) -> None:
        """Wait until a worker takes tasks."""
        for _ in every_second(120):
            self.check()
            if f"{name} ready." in self.log(name).read_text():
                return
        raise SystemExit(f"{name} is not ready:\n{self.tail(name)}")

    def wait_until_healthy(self) -> None:
        """Wait for all parts but the workers, and log in."""
        wait_until_healthy(self.api, self._processes["api-server"], self.log("api-server"))

    def kill(self, name: str) -> None:
        """End a process and all it has started without a warning, with ``kill -9``."""
        _look(self._processes[name], self._families[name])
        _kill(self._families[name])
        self.end(name)

    def end(self, name: str) -> None:
        """Ask a process and all it has started to end."""
        del self._processes[name]
        self._ends.pop(name).close()
        del self._families[name]

    def check(self) -> None:
        """Fail if a part of Airflow has ended by itself; what it had started is ended all the same."""
        for name, process in self._processes.items():
            _look(process, self._families[name])
            if process.poll() is not None:
                raise SystemExit(f"{name} ended with {process.returncode}:\n{self.tail(name)}")

    def log(self, name: str) -> Path:
        """Give the file with a process's output."""
        return self.home / f"{name}.log"

    def tail(self, name: str) -> str:
        """Give the end of a process's output."""
        return self.log(name).read_text(errors="replace")[-3000:]


@contextmanager
def running_cluster(
    home: Path, connections: Mapping[str, str], *, settings: Mapping[str, str], workers: list[str]
) -> Iterator[Cluster]:
    """
    Run PostgreSQL, Redis and all parts of Airflow with the Celery executor.

    :param home: Folder for all that they write.
    :param connections: Airflow connections by their id.
    :param settings: More settings, as environment variables.
    :param workers: Names of the workers to begin with.
    :return: What has started and takes tasks.
    """
    with ExitStack() as stack:
        database = stack.enter_context(services.postgres(home / "postgres.log"))
        broker = stack.enter_context(services.redis(home / "redis.log"))
        variables = {**_environment(home, database, broker, connections), **settings}
        cluster = Cluster(home, variables, stack)
        cluster.run("db", "migrate")
        for part in ("api-server", "scheduler", "dag-processor", "triggerer"):
            cluster.start(part, part)
        for worker in workers:
            cluster.start_worker(worker)
        for worker in workers:
            cluster.wait_for_worker(worker)
        cluster.wait_until_healthy()
        yield cluster


def _environment(home: Path, database: str, broker: str, connections: Mapping[str, str]) -> dict[str, str]:
    bundles = [
        {
            "name": name,
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(folder)},
        }
        for name, folder in DAG_FOLDERS.items()
    ]
    settings = {
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(),
        "AIRFLOW__CELERY__BROKER_URL": broker,
        "AIRFLOW__CELERY__EXTRA_CELERY_CONFIG": json.dumps({"imports": PRELOADED}),
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2://{database}",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "scripts.cluster.host_name",
        # A few more than there are slots: a slot that falls free has its next task at once.
        "AIRFLOW__CORE__PARALLELISM": "14",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database}",
        # A worker that died is noticed by its tasks' silence, and by tasks that it had taken but not begun.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
        # The example DAGs run when they are told to, not by their schedules.
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        # The triggers of one that was killed are another's after that many seconds.
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(home / "tmp"),
    }
    settings |= {f"AIRFLOW_CONN_{name.upper()}": text for name, text in connections.items()}
    (home / "tmp").mkdir()
    return environment(home, connections["kie_default"], dags=DAG_FOLDERS["cluster"], settings=settings)


@contextmanager
def _with_family(
    command: list[str], variables: Mapping[str, str], log: Path, family: list[psutil.Process]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process and end it with all that it started, what leads groups of its own too."""
    try:
        with started(command, variables, log) as process:
            try:
                yield process
            finally:
                _look(process, family)
    finally:
        _kill(family)


def _look(process: subprocess.Popen[bytes], family: list[psutil.Process]) -> None:
    """
    Note a process and all that descends from it: every task leads a group of its own.

    Of a process that has ended nothing descends any more; what was noted last is what it has left behind.
    """
    if process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(process.pid)
            family[:] = [parent, *parent.children(recursive=True)]


def _kill(family: list[psutil.Process]) -> None:
    for process in family:
        # psutil compares the time of the start: what has another's number by now is left alone.
        with suppress(psutil.NoSuchProcess):
            process.kill()
