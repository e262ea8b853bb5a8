"""Sensors that wait for 1, 2, 3, ... credits."""

from __future__ import annotations

import importlib
import os

from airflow.sdk import DAG

THRESHOLDS = range(1, int(os.environ["KIE_BENCH_SENSORS"]) + 1)
INTERVAL = float(os.environ["KIE_BENCH_INTERVAL"])

with DAG("waiting", schedule=None, catchup=False):
    if os.environ["KIE_BENCH_SENSOR"] == "HttpSensor":
        # By name, because types are also checked where it is not installed.
        module = importlib.import_module("airflow.providers.http.sensors.http")
        module.HttpSensor.partial(
            task_id="wait", deferrable=True, poke_interval=INTERVAL, http_conn_id="gate"
        ).expand(endpoint=[f"enough/{threshold}" for threshold in THRESHOLDS])
    else:
        from airflow_provider_kie.sensors.credits import KieCreditsSensor

        KieCreditsSensor.partial(task_id="wait", deferrable=True, poke_interval=INTERVAL).expand(
            threshold=list(THRESHOLDS)
        )
