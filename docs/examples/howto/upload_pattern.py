from airflow.sdk import DAG

from airflow_provider_kie.operators.files import KieUploadOperator

with DAG("upload_pattern", schedule="@daily"):
    KieUploadOperator(
        task_id="upload",
        source="/data/inbox/*.png",
        upload_path="inbox",
    )
