"""An asset that has an event when the balance falls below 50 credits, for the cluster test."""

from __future__ import annotations

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_provider_kie.triggers.credits import KieCreditsEventTrigger

credits_low = Asset(
    "kie_cluster_credits_low",
    watchers=[AssetWatcher(name="balance", trigger=KieCreditsEventTrigger(50, "below", poke_interval=2))],
)

with DAG("kie_cluster_events", schedule=[credits_low]) as dag:
    EmptyOperator(task_id="tell")
