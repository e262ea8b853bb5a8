"""
Run the example DAG ``kie_demo`` on a real Airflow: scheduler, triggerer, API server, sqlite; no containers.

Without an account it talks to a simulated kie.ai on loopback; with ``KIE_API_KEY`` set, to the real one, with
free calls only.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from airflow_provider_kie.simulator import KieSimulator

ROOT = Path(__file__).resolve().parent.parent
THRESHOLD = 50
DEADLINE_SECONDS = 300


def main() -> int:
    """Run the demo; 0 if every byte came back."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kie-demo-")))
        kie: KieSimulator | None = None
        if key := os.environ.get("KIE_API_KEY"):
            say("Using the real kie.ai with your KIE_API_KEY; free calls only.")
            connection = json.dumps({"conn_type": "kie", "password": key})
            params: dict[str, Any] = {"threshold": 0, "work_dir": f"{home}/files"}
        else:
            kie = stack.enter_context(KieSimulator(credits=0))
            say(f"No KIE_API_KEY: a simulated kie.ai runs on {kie.api_url}, with 0 credits.")
            connection = kie.connection()
            generated = os.urandom(5_000_000)
            params = {
                "threshold": THRESHOLD,
                "work_dir": f"{home}/files",
                "generated_file_url": kie.add_generated_file("generated.mp4", generated),
                "generated_sha256": hashlib.sha256(generated).hexdigest(),
            }
        api = stack.enter_context(airflow(home, connection))
        state = run_dag(api, params, kie)
        report(api, state, kie)
    return 0 if state == "success" else 1


@contextmanager
def airflow(home: Path, connection: str) -> Iterator[httpx.Client]:
    """Start Airflow in a folder of its own, and end it with all its processes."""
    say(f"Starting Airflow in {home} (this takes half a minute) ...")
    port, worker_logs, trigger_logs = free_ports(3)
    base_url = f"http://127.0.0.1:{port}"
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONN_KIE_DEFAULT": connection,
        "AIRFLOW__API__BASE_URL": base_url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base_url}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_logs),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_logs),
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    # Airflow starts its parts by the name `airflow`, which has to be this environment's.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    log = home / "airflow.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "standalone"],
            env=environment | settings,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            with httpx.Client(base_url=base_url, timeout=30, trust_env=False) as api:
                wait_until_healthy(api, process, log)
                yield api
        finally:
            end_group(process)


def wait_until_healthy(api: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for the scheduler, the triggerer and the example DAG."""
    parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
    for _ in every_second():
        if process.poll() is not None:
            raise SystemExit(f"Airflow ended with code {process.returncode}:\n{log.read_text()[-3000:]}")
        try:
            health = api.get("/api/v2/monitor/health").json()
            if not all(health[part]["status"] == "healthy" for part in parts):
                continue
            if "Authorization" not in api.headers:
                api.headers["Authorization"] = f"Bearer {api.get('/auth/token').json()['access_token']}"
            if api.get("/api/v2/dags/kie_demo").status_code == 200:
                return
        except (httpx.TransportError, KeyError, ValueError):
            continue
    raise SystemExit(f"Airflow did not become healthy:\n{log.read_text()[-3000:]}")


def run_dag(api: httpx.Client, params: dict[str, Any], kie: KieSimulator | None) -> str:
    """Trigger the DAG and follow it to its end; the simulated account is topped up while the sensor waits."""
    say("Airflow is up. Running the DAG kie_demo ...")
    api.patch("/api/v2/dags/kie_demo", json={"is_paused": False}).raise_for_status()
    body = {"dag_run_id": "demo", "conf": params, "logical_date": None}
    api.post("/api/v2/dags/kie_demo/dagRuns", json=body).raise_for_status()
    seen: dict[str, str] = {}
    for _ in every_second():
        for task in task_instances(api):
            name = task["task_id"] + (f"[{task['map_index']}]" if task["map_index"] >= 0 else "")
            if seen.get(name) != task["state"]:
                seen[name] = task["state"]
                if task["state"] in ("success", "failed", "skipped", "deferred", "up_for_retry"):
                    say(f"  {name:<20} {task['state']}")
        if kie and kie.credits == 0 and seen.get("wait_for_credits") == "deferred":
            say("  The sensor waits in the triggerer, without a worker. Topping up the account.")
            kie.credits = 2 * THRESHOLD
        run = api.get("/api/v2/dags/kie_demo/dagRuns/demo").json()
        if run["state"] in ("success", "failed"):
            return str(run["state"])
    return "timeout"


def report(api: httpx.Client, state: str, kie: KieSimulator | None) -> None:
    """Say what came of it."""
    if kie:
        calls = Counter(request.call for request in kie.requests)
        say("kie.ai was asked: " + ", ".join(f"{count}x {call}" for call, count in sorted(calls.items())))
    if state == "success":
        proof = api.get("/api/v2/dags/kie_demo/dagRuns/demo/taskInstances/compare/xcomEntries/return_value")
        value = proof.json()["value"]
        for line in value if isinstance(value, list) else json.loads(value):
            say(f"  {line}")
        say("Done: everything came back as it was sent.")
        return
    for task in task_instances(api):
        if task["state"] == "failed":
            path = f"/api/v2/dags/kie_demo/dagRuns/demo/taskInstances/{task['task_id']}/logs/1"
            logs = api.get(path, params={"map_index": task["map_index"]})
            say(f"{task['task_id']} failed:\n{logs.text[-3000:]}")
    say(f"The DAG ended as: {state}")


def task_instances(api: httpx.Client) -> list[dict[str, Any]]:
    """Give the tasks of the demo's run."""
    answer = api.get("/api/v2/dags/kie_demo/dagRuns/demo/taskInstances").raise_for_status()
    tasks: list[dict[str, Any]] = answer.json()["task_instances"]
    return sorted(tasks, key=lambda task: task["end_date"] or "9")


def every_second() -> Iterator[None]:
    """Tick until the deadline."""
    end = time.monotonic() + DEADLINE_SECONDS
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
    """Find free loopback ports."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
