from pathlib import Path

from airflow.sdk import DAG, task

from airflow_provider_kie.operators.files import KieUploadOperator

with DAG("upload_each", schedule="@daily"):

    @task
    def list_inbox() -> list[str]:
        return sorted(
            str(path) for path in Path("/data/inbox").iterdir() if path.is_file()
        )

    KieUploadOperator.partial(
        task_id="upload",
        upload_path="inbox",
        max_active_tis_per_dag=8,
        map_index_template="{{ task.source }}",
    ).expand(source=list_inbox())
