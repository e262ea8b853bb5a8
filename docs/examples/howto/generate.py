from airflow.sdk import DAG

from airflow_provider_kie.operators.files import KieDownloadOperator
from airflow_provider_kie.operators.jobs import KieGenerateOperator

with DAG("generate", schedule="@daily"):
    generate = KieGenerateOperator(
        task_id="generate",
        model="bytedance/seedream",
        input={"prompt": "a cat on a bicycle"},
        timeout=1800,
        deferrable=True,
    )
    KieDownloadOperator(
        task_id="download",
        file_url=generate.output["urls"],
        destination="/data/results/{{ run_id }}/",
    )
