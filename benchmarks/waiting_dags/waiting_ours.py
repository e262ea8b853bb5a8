"""Sensors that share a poll."""

from __future__ import annotations

import os

from airflow.sdk import DAG

from airflow_provider_kie.sensors.credits import KieCreditsSensor

with DAG("waiting_ours", schedule=None, catchup=False):
    KieCreditsSensor.partial(
        task_id="wait", deferrable=True, poke_interval=float(os.environ["KIE_BENCH_INTERVAL"])
    ).expand(threshold=[number + 1 for number in range(int(os.environ["KIE_BENCH_SENSORS"]))])
