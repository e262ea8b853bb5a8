"""
A backlog of files, drained every hour, some at a time; finished files leave it, so nothing is done twice.

A file that fails is tried again by the next run, and stays at the head of the line: look at failed runs,
because each of them may have paid. It needs the connection ``kie_default``, a triggerer and the pool ``kie``,
which bounds how many of its tasks, and of other DAGs' in the same pool, use kie.ai at a time; with deferred
tasks included, how many jobs run there, too:

    airflow pools set kie 20 "Tasks that use kie.ai" --include-deferred

The folders in its params are on a disk that all workers share; files must arrive there complete, by being
renamed.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param, task, task_group

from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator
from airflow_provider_kie.operators.jobs import KieGenerateOperator
from airflow_provider_kie.sensors.credits import KieCreditsSensor

with DAG(
    "kie_backlog",
    description="Generates from a folder, some files a run, and moves what is done",
    schedule="@hourly",
    catchup=False,
    max_active_runs=1,  # two runs would take the same files
    params={
        "backlog": Param("/tmp/kie/backlog", type="string", description="Folder to drain"),
        "done": Param("/tmp/kie/done", type="string", description="Where finished files go"),
        "outbox": Param("/tmp/kie/outbox", type="string", description="Folder for the results"),
        "model": Param("demo/edit", type="string", description="Model that takes an image and a prompt"),
        "prompt": Param("the same, at night", type="string"),
        "least_credits": Param(50, type="number", description="What a run needs to begin"),
        "files_per_run": Param(100, type="integer", minimum=1),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["kie"],
) as dag:
    wait_for_credits = KieCreditsSensor(
        task_id="wait_for_credits",
        threshold="{{ params.least_credits }}",
        poke_interval=timedelta(minutes=1),
        timeout=timedelta(minutes=50),
        soft_fail=True,  # for the timeout only; the next run comes in an hour
        deferrable=True,
    )

    @task
    def take(backlog: str, files_per_run: str) -> list[str]:
        """List the files that have waited longest."""
        files = [path for path in Path(backlog).iterdir() if path.is_file()]
        files.sort(key=lambda path: (path.stat().st_mtime, path.name))
        return [str(path) for path in files[: int(files_per_run)]]

    @task
    def put_away(uploaded: dict[str, str], done: str) -> str:
        """Take a finished file out of the backlog, but not another one that has taken its place meanwhile."""
        source, target = Path(uploaded["source"]), Path(done, Path(uploaded["source"]).name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.exists():  # or an earlier try has moved it
            with source.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            if sha256 == uploaded["sha256"]:
                source.replace(target)
        return str(target)

    @task_group
    def drain(source: str) -> None:
        """Take one file all the way, whatever becomes of the others."""
        upload = KieUploadOperator(
            task_id="upload",
            source=source,
            upload_path="backlog",
            pool="kie",
            map_index_template="{{ task.source }}",
            multiple_outputs=True,
        )
        generate = KieGenerateOperator(
            task_id="generate",
            model="{{ params.model }}",
            input={"prompt": "{{ params.prompt }}", "image_urls": [upload.output["download_url"]]},
            deferrable=True,
            pool="kie",
        )
        download = KieDownloadOperator(
            task_id="download",
            file_url=generate.output["urls"],
            destination="{{ params.outbox }}/{{ run_id }}/{{ ti.map_index }}/",
            pool="kie",
        )
        download >> put_away(upload.output, "{{ params.done }}/{{ run_id }}")

    files = take("{{ params.backlog }}", "{{ params.files_per_run }}")
    wait_for_credits >> files
    drain.expand(source=files)
