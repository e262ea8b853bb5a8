"""
Wait for credits, branch on them, upload by all three methods, generate, download again, compare every byte.

``make demo`` runs it on a real Airflow, against a simulated kie.ai or, with ``KIE_API_KEY`` set, the real
one. There it makes only free calls, unless the param ``model`` names a model to pay for.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, task

from airflow_provider_kie.operators.credits import KieCreditsBranchOperator
from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator
from airflow_provider_kie.operators.jobs import KieGenerateOperator
from airflow_provider_kie.sensors.credits import KieCreditsSensor

WORK_DIR = "{{ params.work_dir }}/{{ run_id }}"

with DAG(
    "kie_demo",
    description="Files to kie.ai and back, byte for byte",
    schedule=None,
    catchup=False,
    params={
        "work_dir": Param("/tmp/kie_demo", type="string", description="Folder for the files"),
        "threshold": Param(1, type="number", description="Credits to wait for"),
        "model": Param("", type="string", description="Model to pay for, if any"),
        "prompt": Param("a cat on a bicycle", type="string"),
        "generated_sha256": Param("", type="string", description="What its result hashes to, if known"),
    },
    tags=["kie"],
) as dag:
    wait_for_credits = KieCreditsSensor(
        task_id="wait_for_credits",
        threshold="{{ params.threshold }}",
        poke_interval=5,
        timeout=600,
        deferrable=True,
    )

    enough_credits = KieCreditsBranchOperator(
        task_id="enough_credits",
        threshold="{{ params.threshold }}",
        follow_task_ids_if_true="make_files",
        follow_task_ids_if_false="too_few_credits",
    )

    too_few_credits = EmptyOperator(task_id="too_few_credits")

    @task
    def make_files(folder: str) -> dict[str, str]:
        """Make a small file and a large one, of random bytes, so that no two runs are alike."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        sizes = {"small.png": 20_000, "large.mp4": 20_000_000}
        for name, size in sizes.items():
            Path(folder, name).write_bytes(os.urandom(size))
        return {"small": f"{folder}/small.png", "large": f"{folder}/large.mp4"}

    files = make_files(WORK_DIR)

    upload_base64 = KieUploadOperator(
        task_id="upload_base64",
        source=files["small"],
        upload_path="airflow/demo",
        method="base64",
    )
    upload_stream = KieUploadOperator(
        task_id="upload_stream",
        source=files["large"],
        upload_path="airflow/demo",
        multiple_outputs=True,  # so that the next task can take a single key of the result
    )
    # kie.ai fetches this one itself; what was uploaded is public, so it can stand for any public URL.
    upload_url = KieUploadOperator(
        task_id="upload_url",
        source=upload_stream.output["download_url"],
        upload_path="airflow/demo",
    )

    @task.short_circuit(ignore_downstream_trigger_rules=False)
    def may_pay(model: str) -> bool:
        """Generate only if there is a model to pay for."""
        return bool(model)

    generate = KieGenerateOperator(
        task_id="generate",
        model="{{ params.model }}",
        input={"prompt": "{{ params.prompt }}"},
        timeout=1800,
        deferrable=True,
    )

    @task(trigger_rule="none_failed")
    def list_files(*uploads: dict[str, str], generated: list[str] | None) -> list[str]:
        """List the files to fetch back."""
        return [upload["download_url"] for upload in uploads] + (generated or [])

    urls = list_files(
        upload_base64.output,
        upload_stream.output,
        upload_url.output,
        generated=generate.output["urls"],
    )

    download = KieDownloadOperator.partial(
        task_id="download",
        destination=WORK_DIR + "/back/",
        map_index_template="{{ task.file_url.rpartition('/')[2] }}",
    ).expand(file_url=urls)

    @task
    def compare(
        originals: dict[str, str], downloads: list[dict[str, str]], generated_sha256: str
    ) -> list[str]:
        """Compare what came back with what was sent, byte for byte."""
        small, large = (Path(originals[name]).read_bytes() for name in ("small", "large"))
        expected = [hashlib.sha256(sent).hexdigest() for sent in (small, large, large)]
        report = []
        for number, download in enumerate(downloads):
            path = Path(download["path"])
            wanted = expected[number] if number < len(expected) else generated_sha256
            if wanted and hashlib.sha256(path.read_bytes()).hexdigest() != wanted:
                raise ValueError(f"{path} is not what was sent")
            same = "are the same" if wanted else "were generated"
            report.append(f"{path.name.split('-')[-1]}: all {download['size']} bytes {same}")
        return report

    wait_for_credits >> enough_credits >> [files, too_few_credits]
    files >> may_pay("{{ params.model }}") >> generate
    compare(files, download.output, "{{ params.generated_sha256 }}")
