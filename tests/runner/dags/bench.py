"""The one DAG of the test bench: its task is what the file in ``KIE_BENCH_TASK`` says."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_kie.operators.chat import KieChatOperator
from airflow_provider_kie.operators.credits import KieCreditsBranchOperator
from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator
from airflow_provider_kie.operators.jobs import KieGenerateOperator
from airflow_provider_kie.sensors.credits import KieCreditsSensor
from airflow_provider_kie.sensors.jobs import KieJobSensor


class DeniedFileSystem(MemoryFileSystem):
    """A storage that refuses as S3 does: with an error that a library's own has caused."""

    def info(self, path: str, **kwargs: Any) -> Any:
        try:
            raise RuntimeError("AccessDenied, as the library says")
        except RuntimeError as error:
            raise PermissionError(13, "Access denied") from error


KINDS: dict[str, Any] = {
    "upload": KieUploadOperator,
    "download": KieDownloadOperator,
    "generate": KieGenerateOperator,
    "chat": KieChatOperator,
    "branch": KieCreditsBranchOperator,
    "sensor": KieCreditsSensor,
    "job_sensor": KieJobSensor,
}

attach(protocol="memory", fs=DeniedFileSystem())  # type: ignore[no-untyped-call]

task = json.loads(Path(os.environ["KIE_BENCH_TASK"]).read_text())
if seconds := task["arguments"].pop("execution_timeout", None):
    task["arguments"]["execution_timeout"] = timedelta(seconds=seconds)

with DAG("bench", schedule=None):
    expanded = task["arguments"].pop("expand", None)
    how = {"task_id": "bench", "retries": task["retries"], **task["arguments"]}
    kind = KINDS[task["kind"]]
    bench = kind(**how) if expanded is None else kind.partial(**how).expand_kwargs(expanded)
    if task["kind"] == "branch":
        bench >> [BaseOperator(task_id="enough"), BaseOperator(task_id="too_few")]
