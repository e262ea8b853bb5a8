"""What the demo lacks: a wrong key, mapped uploads and jobs, a download that takes its time."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator
from airflow_provider_kie.operators.jobs import KieGenerateOperator

PROMPTS = [{"prompt": "a fox"}, {"prompt": "a hen"}]

with DAG("kie_ui", schedule=None, catchup=False, params={"work_dir": "/tmp/kie_ui"}):
    generate = KieGenerateOperator(task_id="generate", model="ui/video", input=PROMPTS[0])
    download = KieDownloadOperator(
        task_id="download",
        file_url="{{ ti.xcom_pull('generate')['urls'][0] }}",
        destination="{{ params.work_dir }}/",
    )
    generate >> download
    KieGenerateOperator.partial(task_id="generate_each", model="ui/picture", deferrable=True).expand(
        input=PROMPTS
    )
    KieUploadOperator.partial(
        task_id="upload", upload_path="ui", map_index_template="{{ task.source.rpartition('/')[2] }}"
    ).expand(source=["{{ params.work_dir }}/hen.png", "{{ params.work_dir }}/fox.png"])
    KieGenerateOperator(
        task_id="refused", model="ui/picture", input=PROMPTS[0], kie_conn_id="kie_wrong_key", retries=2
    )
