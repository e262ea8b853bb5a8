"""Submits a job and does not wait for it: its end is announced to a receiver."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_kie.operators.jobs import KieGenerateOperator

with DAG("kie_submit", schedule=None, catchup=False):
    KieGenerateOperator(
        task_id="generate",
        model="{{ params.model }}",
        input={"prompt": "a fox"},
        callback_url="{{ params.receiver }}/kie/market",
        wait_for_completion=False,
    )
