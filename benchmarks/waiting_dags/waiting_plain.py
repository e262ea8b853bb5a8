"""The same sensors, each with a poll of its own."""

from __future__ import annotations

import os

from airflow.sdk import DAG

from benchmarks.alone import AloneSensor

with DAG("waiting_plain", schedule=None, catchup=False):
    AloneSensor.partial(
        task_id="wait", deferrable=True, poke_interval=float(os.environ["KIE_BENCH_INTERVAL"])
    ).expand(threshold=[number + 1 for number in range(int(os.environ["KIE_BENCH_SENSORS"]))])
