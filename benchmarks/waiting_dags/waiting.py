"""Sensors that wait for 1, 2, 3, ... credits; tasks that each wait for a job."""

from __future__ import annotations

import importlib
import os

from airflow.sdk import DAG, task

KIND = os.environ["KIE_BENCH_KIND"]
COUNT = int(os.environ["KIE_BENCH_COUNT"])
INTERVAL = float(os.environ["KIE_BENCH_INTERVAL"])
THRESHOLDS = range(1, COUNT + 1)
MODELS = os.environ["KIE_BENCH_MODELS"].split()
JOBS = [{"model": MODELS[number % len(MODELS)], "input": {"number": number}} for number in range(COUNT)]

with DAG("waiting", schedule=None, catchup=False):
    if KIND == "http-sensors":
        # By name, because types are also checked where it is not installed.
        module = importlib.import_module("airflow.providers.http.sensors.http")
        module.HttpSensor.partial(
            task_id="wait", deferrable=True, poke_interval=INTERVAL, http_conn_id="gate"
        ).expand(endpoint=[f"enough/{threshold}" for threshold in THRESHOLDS])
    elif KIND == "sensors":
        from airflow_provider_kie.sensors.credits import KieCreditsSensor

        KieCreditsSensor.partial(task_id="wait", deferrable=True, poke_interval=INTERVAL).expand(
            threshold=list(THRESHOLDS)
        )
    elif KIND == "jobs":
        from airflow_provider_kie.operators.jobs import KieGenerateOperator

        KieGenerateOperator.partial(task_id="wait", deferrable=True).expand_kwargs(JOBS)
    elif KIND in ("together", "plain-together"):
        # benchmarks/waiting_defer.py lets them wait.
        @task(pool="closed")
        def wait(number: int) -> None: ...

        wait.expand(number=list(range(COUNT)))
    else:
        from benchmarks.plain_jobs import PlainJobOperator

        PlainJobOperator.partial(task_id="wait").expand_kwargs(JOBS)
