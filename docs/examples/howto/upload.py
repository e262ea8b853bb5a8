from airflow.sdk import DAG, task

from airflow_provider_kie.operators.files import KieUploadOperator

with DAG("upload", schedule="@daily"):
    upload = KieUploadOperator(
        task_id="upload",
        source="/data/photo.png",
        upload_path="photos",
        multiple_outputs=True,
    )

    @task
    def use(url: str) -> None:
        print(f"kie.ai's models can read {url}")

    use(upload.output["download_url"])
