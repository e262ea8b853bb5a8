"""Many sensors that wait for two balances, for the cluster test."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_kie.sensors.credits import KieCreditsSensor

with DAG(
    "kie_cluster_credits",
    schedule=None,
    max_active_tasks=64,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=2)},
) as dag:
    KieCreditsSensor.partial(
        task_id="wait", deferrable=True, poke_interval=timedelta(seconds=5), timeout=600
    ).expand(threshold=[100, 1000] * 50)
