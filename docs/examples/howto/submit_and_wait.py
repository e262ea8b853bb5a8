from airflow.sdk import DAG

from airflow_provider_kie.operators.jobs import KieGenerateOperator
from airflow_provider_kie.sensors.jobs import KieJobSensor

with DAG("submit_and_wait", schedule="@daily"):
    submit = KieGenerateOperator(
        task_id="submit",
        model="bytedance/seedream",
        input={"prompt": "a cat on a bicycle"},
        wait_for_completion=False,
    )
    KieJobSensor(
        task_id="wait",
        job_id=submit.output["job_id"],
        deferrable=True,
        timeout=3600,
    )
