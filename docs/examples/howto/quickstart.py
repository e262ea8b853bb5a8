from pathlib import Path

from airflow.sdk import DAG, task

from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator
from airflow_provider_kie.operators.jobs import KieGenerateOperator
from airflow_provider_kie.sensors.credits import KieCreditsSensor

RESULTS = Path(__file__).parent.parent / "results"

with DAG("quickstart", schedule=None):
    wait = KieCreditsSensor(
        task_id="wait", threshold=5, poke_interval=5, timeout=600, deferrable=True
    )

    @task
    def make_photo() -> str:
        RESULTS.mkdir(exist_ok=True)
        photo = RESULTS / "photo.png"
        photo.write_bytes(b"not much of a photo")
        return str(photo)

    upload = KieUploadOperator(
        task_id="upload",
        source=make_photo(),
        upload_path="quickstart",
        multiple_outputs=True,
    )
    generate = KieGenerateOperator(
        task_id="generate",
        model="demo/image-to-video",
        input={
            "prompt": "wind in the trees",
            "image_urls": [upload.output["download_url"]],
        },
        deferrable=True,
    )
    KieDownloadOperator(
        task_id="download",
        file_url=generate.output["urls"],
        destination=f"{RESULTS}/",
    )
    wait >> upload
