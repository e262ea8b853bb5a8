"""
A nightly batch: wait until the account can pay, upload a folder, generate, fetch the results.

If the credits do not come within six hours, the night goes the other way, to ``too_few_credits``, and the
inbox waits for the next one. It needs the connection ``kie_default``, and a triggerer.

The generating itself is left out: it costs credits. ``generate`` stands where your own step goes, and the
batch downloads what was uploaded, so that it runs as it is.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, task

from airflow_provider_kie.operators.credits import KieCreditsBranchOperator
from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator
from airflow_provider_kie.sensors.credits import KieCreditsSensor

with DAG(
    "kie_nightly_batch",
    description="Credit-gated uploads and downloads, one mapped task a file",
    schedule="@daily",
    catchup=False,
    params={
        "inbox": Param("/tmp/kie/inbox", type="string", description="Folder of files to upload"),  # noqa: S108
        "outbox": Param("/tmp/kie/outbox", type="string", description="Folder for the results"),  # noqa: S108
        "credits_per_file": Param(5, type="number"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["kie"],
) as dag:

    @task
    def list_inbox(folder: str) -> list[str]:
        """List the files to upload."""
        return sorted(str(path) for path in Path(folder).iterdir() if path.is_file())

    @task
    def price(files: list[str], credits_per_file: str) -> float:
        """Say how many credits tonight's batch needs."""
        return len(files) * float(credits_per_file)

    files = list_inbox("{{ params.inbox }}")
    needed = price(files, "{{ params.credits_per_file }}")

    wait_for_credits = KieCreditsSensor(
        task_id="wait_for_credits",
        threshold=needed,
        poke_interval=timedelta(minutes=1),
        timeout=timedelta(hours=6),
        soft_fail=True,  # only of the timeout; with a wrong key, say, the run fails
        deferrable=True,
    )

    enough_credits = KieCreditsBranchOperator(
        task_id="enough_credits",
        threshold=needed,
        follow_task_ids_if_true="upload",
        follow_task_ids_if_false="too_few_credits",
        trigger_rule="none_failed",
    )

    too_few_credits = EmptyOperator(task_id="too_few_credits")  # or tell somebody

    # [START howto_operator_kie_upload_mapped]
    upload = KieUploadOperator.partial(
        task_id="upload",
        upload_path="nightly/{{ dag_run.run_after.strftime('%Y-%m-%d') }}",
        max_active_tis_per_dag=8,
        map_index_template="{{ task.source }}",
    ).expand(source=files)
    # [END howto_operator_kie_upload_mapped]

    @task
    def generate(uploaded: dict[str, str]) -> str:
        """Give the URL of a result: here, of the upload itself."""
        return uploaded["download_url"]

    # [START howto_operator_kie_download_mapped]
    download = KieDownloadOperator.partial(
        task_id="download",
        destination="{{ params.outbox }}/",
        if_exists="skip",
        max_active_tis_per_dag=8,
    ).expand(file_url=generate.expand(uploaded=upload.output))
    # [END howto_operator_kie_download_mapped]

    wait_for_credits >> enough_credits >> [upload, too_few_credits]
