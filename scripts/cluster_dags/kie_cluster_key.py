"""Sensors on a connection whose key is revoked while they wait, for the cluster test."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_provider_kie.sensors.credits import KieCreditsSensor

with DAG(
    "kie_cluster_key",
    schedule=None,
    default_args={"deferrable": True, "poke_interval": timedelta(seconds=5), "timeout": 600},
) as dag:
    fails = KieCreditsSensor(
        task_id="fails", kie_conn_id="kie_other", threshold=100, retries=1, retry_delay=timedelta(seconds=2)
    )
    waits_on = KieCreditsSensor(task_id="waits_on", kie_conn_id="kie_other", threshold=100, silent_fail=True)
    [fails, waits_on] >> EmptyOperator(task_id="end", trigger_rule="all_done")
