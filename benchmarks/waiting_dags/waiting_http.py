"""The http provider's sensors, which wait until a URL is no longer 404."""

from __future__ import annotations

import importlib
import os

from airflow.sdk import DAG

# By name, because types are also checked where it is not installed.
HttpSensor = importlib.import_module("airflow.providers.http.sensors.http").HttpSensor

with DAG("waiting_http", schedule=None, catchup=False):
    HttpSensor.partial(
        task_id="wait",
        deferrable=True,
        http_conn_id="gate",
        poke_interval=float(os.environ["KIE_BENCH_INTERVAL"]),
    ).expand(endpoint=[f"enough/{number + 1}" for number in range(int(os.environ["KIE_BENCH_SENSORS"]))])
