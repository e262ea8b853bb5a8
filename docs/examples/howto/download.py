from airflow.sdk import DAG, Param

from airflow_provider_kie.operators.files import KieDownloadOperator

with DAG(
    "download", schedule=None, params={"file_url": Param(type="string", format="uri")}
):
    KieDownloadOperator(
        task_id="download",
        file_url="{{ params.file_url }}",
        destination="/data/results/",
    )
