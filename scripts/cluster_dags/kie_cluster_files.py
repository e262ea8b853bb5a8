"""Many files from object storage to kie.ai and back, each on its own way, for the cluster test."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, ObjectStoragePath, task, task_group

from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator

with DAG(
    "kie_cluster_files",
    schedule=None,
    max_active_tasks=64,
    default_args={
        "retries": 3,
        "retry_delay": timedelta(seconds=2),
        # What has been uploaded is downloaded first, so that both kinds are always under way.
        "weight_rule": "upstream",
    },
) as dag:

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
