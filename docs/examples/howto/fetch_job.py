from airflow.sdk import DAG, Param

from airflow_provider_kie.operators.files import KieDownloadOperator
from airflow_provider_kie.sensors.jobs import KieJobSensor

with DAG("fetch_job", schedule=None, params={"job_id": Param(type="string")}):
    wait = KieJobSensor(
        task_id="wait",
        job_id="{{ params.job_id }}",
        timeout=3600,
        deferrable=True,
        multiple_outputs=True,
    )
    KieDownloadOperator(
        task_id="download",
        file_url=wait.output["urls"],
        destination="/data/results/{{ params.job_id }}/",
    )
