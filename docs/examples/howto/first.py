from airflow.sdk import DAG

from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator
from airflow_provider_kie.operators.jobs import KieGenerateOperator
from airflow_provider_kie.sensors.credits import KieCreditsSensor

with DAG("movies", schedule="@daily"):
    wait = KieCreditsSensor(
        task_id="wait", threshold=500, deferrable=True, timeout=6 * 3600
    )
    upload = KieUploadOperator(
        task_id="upload", source="/data/photo.png", upload_path="movies"
    )
    generate = KieGenerateOperator(
        task_id="generate",
        model="grok-imagine/image-to-video",
        input={
            "image_urls": ["{{ ti.xcom_pull('upload')['download_url'] }}"],
            "prompt": "wind in the trees",
        },
        deferrable=True,
    )
    fetch = KieDownloadOperator(
        task_id="fetch",
        file_url=generate.output["urls"],
        destination="s3://my-bucket/results/{{ run_id }}/",
        destination_conn_id="aws_default",
    )
    wait >> upload >> generate >> fetch
