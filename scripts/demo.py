"""
Run the example DAG ``kie_demo`` on a real Airflow: scheduler, triggerer, API server, sqlite; no containers.

Without an account it talks to a simulated kie.ai on loopback; with ``KIE_API_KEY`` set, to the real one, with
free calls only, unless ``KIE_DEMO_MODEL`` names a model to pay for (``KIE_DEMO_PROMPT`` says what it makes).
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from airflow_provider_kie.simulator import KieSimulator
from scripts.running import end_on_signals, every_second, say, standalone, wait_for_dag

ROOT = Path(__file__).resolve().parent.parent
THRESHOLD = 50
MODEL, PRICE = "demo/video", 12


def main() -> int:
    """Run the demo; 0 if every byte came back."""
    end_on_signals()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kie-demo-")))
        kie: KieSimulator | None = None
        if key := os.environ.get("KIE_API_KEY"):
            model = os.environ.get("KIE_DEMO_MODEL", "")
            paid = f"one job of {model} will be paid for" if model else "free calls only"
            say(f"Using the real kie.ai with your KIE_API_KEY; {paid}.")
            connection = json.dumps({"conn_type": "kie", "password": key})
            params: dict[str, Any] = {"threshold": 0, "work_dir": f"{home}/files", "model": model}
            if prompt := os.environ.get("KIE_DEMO_PROMPT"):
                params["prompt"] = prompt
        else:
            kie = stack.enter_context(KieSimulator(credits=0))
            say(f"No KIE_API_KEY: a simulated kie.ai runs on {kie.api_url}, with 0 credits.")
            connection = kie.connection()
            generated = os.urandom(5_000_000)
            kie.add_model(MODEL, seconds=8, credits=PRICE, files={"generated.mp4": generated})
            params = {
                "threshold": THRESHOLD,
                "work_dir": f"{home}/files",
                "model": MODEL,
                "generated_sha256": hashlib.sha256(generated).hexdigest(),
            }
        say(f"Starting Airflow in {home} (this takes half a minute) ...")
        api = stack.enter_context(standalone(home, connection, dags=ROOT / "example_dags"))
        wait_for_dag(api, "kie_demo")
        state = run_dag(api, params, kie)
        report(api, state, kie)
    return 0 if state == "success" else 1


def run_dag(api: httpx.Client, params: dict[str, Any], kie: KieSimulator | None) -> str:
    """Trigger the DAG and follow it to its end; the simulated account is topped up while the sensor waits."""
    say("Airflow is up. Running the DAG kie_demo ...")
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
        paid = sum(job.charged for job in kie.jobs)
        say(f"Jobs that were paid: {len(kie.jobs)}, for {paid:g} credits; {kie.credits:g} are left.")
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


if __name__ == "__main__":
    sys.exit(main())
