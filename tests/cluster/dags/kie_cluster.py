"""The DAGs of the cluster test."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, AssetWatcher, ObjectStoragePath, task, task_group

from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator
from airflow_provider_kie.operators.jobs import KieGenerateOperator
from airflow_provider_kie.sensors.credits import KieCreditsSensor
from airflow_provider_kie.triggers.credits import KieCreditsEventTrigger

RETRIES: dict[str, Any] = {"retries": 3, "retry_delay": timedelta(seconds=2)}
WAITING: dict[str, Any] = {"deferrable": True, "poke_interval": timedelta(seconds=5), "timeout": 600}

# Many sensors that wait for two balances.
with DAG("kie_cluster_credits", schedule=None, max_active_tasks=64, default_args=RETRIES):
    KieCreditsSensor.partial(task_id="wait", **WAITING).expand(threshold=[100, 1000] * 50)

# Sensors on a connection whose key is revoked while they wait.
with DAG("kie_cluster_key", schedule=None, default_args={**WAITING, "kie_conn_id": "kie_other"}):
    fails = KieCreditsSensor(task_id="fails", threshold=100, retries=1, retry_delay=timedelta(seconds=2))
    waits_on = KieCreditsSensor(task_id="waits_on", threshold=100, silent_fail=True)
    [fails, waits_on] >> EmptyOperator(task_id="end", trigger_rule="all_done")

# An asset that has an event when the balance falls below 50 credits.
trigger = KieCreditsEventTrigger(50, "below", poke_interval=2)
credits_low = Asset("kie_cluster_credits_low", watchers=[AssetWatcher(name="balance", trigger=trigger)])

with DAG("kie_cluster_events", schedule=[credits_low]):
    EmptyOperator(task_id="tell")

# Jobs that are waited for on a worker, and begin before whatever else waits for one.
with DAG("kie_cluster_jobs", schedule=None, default_args={**RETRIES, "priority_weight": 1000}):
    KieGenerateOperator.partial(task_id="generate", model="cluster/slow", deferrable=False).expand(
        input=[{"prompt": "a fox"}, {"prompt": "an owl"}]
    )

# Many files from object storage to kie.ai and back, each on its own way. What has been uploaded is
# downloaded first, so that both kinds are always under way.
with DAG(
    "kie_cluster_files",
    schedule=None,
    max_active_tasks=64,
    default_args={**RETRIES, "weight_rule": "upstream"},
):

    @task
    def list_files(folder: str) -> list[str]:
        """List the files to move."""
        return sorted(str(path) for path in ObjectStoragePath(folder, conn_id="aws_default").iterdir())

    @task_group
    def move(source: str) -> None:
        """Move one file."""
        upload = KieUploadOperator(
            task_id="upload", source=source, source_conn_id="aws_default", upload_path="cluster"
        )
        download = KieDownloadOperator(
            task_id="download",
            file_url="{{ ti.xcom_pull('move.upload', map_indexes=ti.map_index)['download_url'] }}",
            destination="s3://kie/out/{{ '%03d' % ti.map_index }}.bin",
            destination_conn_id="aws_default",
        )
        upload >> download

    move.expand(source=list_files("s3://kie/in/"))
