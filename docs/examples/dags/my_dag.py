"""The DAG under test."""

from airflow.sdk import DAG, Param

from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator
from airflow_provider_kie.sensors.credits import KieCreditsSensor

with DAG(
    "my_dag",
    schedule=None,
    params={
        "source": Param("/data/photo.png", type="string"),
        "folder": Param("/data/back/", type="string"),
    },
) as dag:
    wait = KieCreditsSensor(task_id="wait", threshold=50, poke_interval=1, timeout=5)
    upload = KieUploadOperator(
        task_id="upload",
        source="{{ params.source }}",
        upload_path="my/files",
        file_name="photo.png",
        multiple_outputs=True,
    )
    download = KieDownloadOperator(
        task_id="download",
        file_url=upload.output["download_url"],
        destination="{{ params.folder }}",
    )
    wait >> upload
