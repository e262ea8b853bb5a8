"""Real Airflow processes for the scripts: each Airflow in a folder of its own, ended with all it started."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

DEADLINE_SECONDS = 300


@contextmanager
def standalone(
    home: Path, connection: str, *, dags: Path, settings: Mapping[str, str] | None = None
) -> Iterator[httpx.Client]:
    """
    Run ``airflow standalone`` (scheduler, triggerer, API server, sqlite) on free loopback ports.

    :param home: Folder for everything that Airflow writes.
    :param connection: Airflow connection ``kie_default``.
    :param dags: Folder of the DAGs.
    :param settings: More environment variables.
    :return: Client of its REST API, which answers; the DAGs may still have to be read.
    """
    variables = environment(home, connection, dags=dags, settings=settings)
    log = home / "airflow.log"
    with (
        started([sys.executable, "-m", "airflow", "standalone"], variables, log) as process,
        httpx.Client(base_url=variables["AIRFLOW__API__BASE_URL"], timeout=30, trust_env=False) as api,
    ):
        wait_until_healthy(api, process, log)
        yield api


def environment(
    home: Path, connection: str, *, dags: Path, settings: Mapping[str, str] | None = None
) -> dict[str, str]:
    """
    Make the environment of an Airflow that shares nothing with any other on this machine.

    :param home: Folder for everything that Airflow writes.
    :param connection: Airflow connection ``kie_default``.
    :param dags: Folder of the DAGs.
    :param settings: More environment variables.
    :return: All environment variables.
    """
    port, worker_logs, trigger_logs = free_ports(3)
    base_url = f"http://127.0.0.1:{port}"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    return clean | {
        # Airflow starts its parts by the name `airflow`, which has to be this environment's.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{clean.get('PATH', '')}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONN_KIE_DEFAULT": connection,
        "AIRFLOW__API__BASE_URL": base_url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base_url}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_logs),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_logs),
        **(settings or {}),
    }


@contextmanager
def started(command: list[str], variables: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """
    Run a process and end it with all that it started.

    :param command: Command line.
    :param variables: Its environment.
    :param log: File that gets its output.
    :return: The process; it leads a group of its own.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - the commands are ours
            command, env=dict(variables), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process
    finally:
        end_group(process)


def wait_until_healthy(api: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for Airflow's parts, and log in."""
    parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
    for _ in every_second():
        if process.poll() is not None:
            raise SystemExit(f"Airflow ended with code {process.returncode}:\n{log.read_text()[-3000:]}")
        try:
            health = api.get("/api/v2/monitor/health").json()
            if all(health[part]["status"] == "healthy" for part in parts):
                api.headers["Authorization"] = f"Bearer {api.get('/auth/token').json()['access_token']}"
                return
        except (httpx.TransportError, KeyError, ValueError):
            continue
    raise SystemExit(f"Airflow did not become healthy:\n{log.read_text()[-3000:]}")


def wait_for_dag(api: httpx.Client, dag_id: str) -> None:
    """Wait until Airflow has read a DAG, and let it run."""
    for _ in every_second():
        if api.get(f"/api/v2/dags/{dag_id}").status_code == 200:
            api.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": False}).raise_for_status()
            return
    raise SystemExit(f"Airflow did not find the DAG {dag_id}")


def end_on_signals() -> None:
    """Let SIGTERM, or a closed terminal, end a script and all it started as Ctrl-C does; nohup stays."""
    for sign in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(sign) is not signal.SIG_IGN:
            signal.signal(sign, signal.default_int_handler)


def every_second(seconds: float = DEADLINE_SECONDS) -> Iterator[None]:
    """Tick until the deadline."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(1)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started; it leads a group of its own."""
    for sign, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 2.0)):
        end = time.monotonic() + patience
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
            # The group lives as long as any process in it.
            while time.monotonic() < end:
                process.poll()
                os.killpg(process.pid, 0)
                time.sleep(0.2)
            continue
        return


def free_ports(count: int) -> list[int]:
    """Find free loopback ports, none of which the system gives to a client before they are used."""
    found: list[int] = []
    for port in random.sample(range(10_000, 30_000), 1000):
        with socket.socket() as trial, suppress(OSError):
            trial.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise SystemExit("there is no free port between 10000 and 30000")


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)
