"""One mapped task that downloads a file each, and one that does nothing: what Airflow itself takes."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_kie.operators.files import KieDownloadOperator

URLS = os.environ["KIE_BENCH_URLS"].split()
FOLDER = Path(os.environ["KIE_BENCH_FOLDER"])


def note(context: Any) -> None:
    """Write down what this task's process has taken."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    instance = context["ti"]
    taken = {"processor": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss * 1024}
    (FOLDER / f"{instance.dag_id}-{instance.map_index}.json").write_text(json.dumps(taken))


with DAG("first", schedule=None, catchup=False):
    # Twice as many as there are workers at once: each of them takes longer for its first.
    first = KieDownloadOperator.partial(task_id="file", destination=f"{FOLDER}/", sign="never")
    first.expand(file_url=URLS[:8])

with DAG("files", schedule=None, catchup=False):
    KieDownloadOperator.partial(
        task_id="file", destination=f"{FOLDER}/", sign="never", on_success_callback=note
    ).expand(file_url=URLS)

with DAG("nothing", schedule=None, catchup=False):

    @task(on_success_callback=note)
    def nothing(url: str) -> None:
        """Return at once."""

    nothing.expand(url=URLS)
