"""
A nightly batch: wait until the account can pay, upload a folder, generate, fetch the results.

Each file goes its own way and leaves the inbox at the end of it, so that no night pays again for what another
has finished; failed files stay for the next night. If the credits do not come within six hours, the run takes
the other branch, ``too_few_credits``, and the whole inbox waits. It needs the connection
``kie_default``, and a triggerer.

Generating costs credits: on a real account, put a model and its price into the params first. From Airflow 3.3
on a retry does not pay again for what a file has cost, whatever happened to its worker; the next night does,
if the file has failed after that.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, task, task_group

from airflow_provider_kie.operators.credits import KieCreditsBranchOperator
from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator
from airflow_provider_kie.operators.jobs import KieGenerateOperator
from airflow_provider_kie.sensors.credits import KieCreditsSensor

with DAG(
    "kie_nightly_batch",
    description="Credit gate, upload, generate, download, put away: mapped tasks for each file",
    schedule="@daily",
    catchup=False,
    max_active_runs=1,  # two runs would take the same files
    params={
        "inbox": Param("/tmp/kie/inbox", type="string", description="Folder of files to upload"),
        "done": Param("/tmp/kie/done", type="string", description="Where finished files go"),
        "outbox": Param("/tmp/kie/outbox", type="string", description="Folder for the results"),
        "model": Param("demo/edit", type="string", description="Model that takes an image and a prompt"),
        "prompt": Param("the same, at night", type="string"),
        "credits_per_file": Param(5, type="number", description="The model's price"),
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
        """Return how many credits tonight's batch needs."""
        return len(files) * float(credits_per_file)

    files = list_inbox("{{ params.inbox }}")
    needed = price(files, "{{ params.credits_per_file }}")

    wait_for_credits = KieCreditsSensor(
        task_id="wait_for_credits",
        threshold=needed,
        poke_interval=timedelta(minutes=1),
        timeout=timedelta(hours=6),
        soft_fail=True,  # for the timeout only; with a wrong key, say, the run fails
        deferrable=True,
    )

    enough_credits = KieCreditsBranchOperator(
        task_id="enough_credits",
        threshold=needed,
        follow_task_ids_if_true="process.upload",
        follow_task_ids_if_false="too_few_credits",
        trigger_rule="none_failed",
    )

    too_few_credits = EmptyOperator(task_id="too_few_credits")  # or tell somebody

    @task
    def put_away(uploaded: dict[str, str], done: str) -> str:
        """Take a finished file out of the inbox, but not another one that has taken its place meanwhile."""
        source, target = Path(uploaded["source"]), Path(done, Path(uploaded["source"]).name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.exists():  # or an earlier try has moved it
            with source.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            if sha256 == uploaded["sha256"]:
                source.replace(target)
        return str(target)

    @task_group
    def process(source: str) -> None:
        """Take one file all the way, whatever becomes of the others."""
        upload = KieUploadOperator(
            task_id="upload",
            source=source,
            upload_path="nightly/{{ dag_run.run_after.strftime('%Y-%m-%d') }}",
            max_active_tis_per_dag=8,
            map_index_template="{{ task.source }}",
            multiple_outputs=True,  # so that the next task can take a single key of the result
        )
        generate = KieGenerateOperator(
            task_id="generate",
            model="{{ params.model }}",
            input={"prompt": "{{ params.prompt }}", "image_urls": [upload.output["download_url"]]},
            deferrable=True,
            max_active_tis_per_dag=20,
        )
        download = KieDownloadOperator(
            task_id="download",
            file_url=generate.output["urls"],
            destination="{{ params.outbox }}/{{ run_id }}/{{ ti.map_index }}/",
            max_active_tis_per_dag=8,
        )
        download >> put_away(upload.output, "{{ params.done }}/{{ run_id }}")

    processed = process.expand(source=files)

    wait_for_credits >> enough_credits >> [processed, too_few_credits]
