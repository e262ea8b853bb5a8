from airflow.sdk import DAG, Param, task

from airflow_provider_kie.operators.files import KieDownloadOperator

with DAG("download_each", schedule=None, params={"file_urls": Param(type="array")}):

    @task
    def list_urls(params=None) -> list[str]:
        return params["file_urls"]

    KieDownloadOperator.partial(
        task_id="download",
        destination="/data/results/{{ run_id }}/",
        if_exists="skip",
        max_active_tis_per_dag=8,
    ).expand(file_url=list_urls())
