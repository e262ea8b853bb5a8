from airflow.sdk import DAG

from airflow_provider_kie.operators.files import KieDownloadOperator
from airflow_provider_kie.operators.jobs import KieGenerateOperator

with DAG("generate_each", schedule="@daily"):
    generate = KieGenerateOperator.partial(
        task_id="generate",
        model="bytedance/seedream",
        deferrable=True,
    ).expand(input=[{"prompt": "a cat"}, {"prompt": "a dog"}])
    KieDownloadOperator.partial(
        task_id="download",
        # Models like to give all their files the same name.
        destination="/data/results/{{ run_id }}/{{ ti.map_index }}/",
    ).expand(file_url=generate.output.map(lambda job: job["urls"]))
