"""
What Airflow's OpenLineage provider writes of our tasks, on a real Airflow, to a file.

It is not among the pins of the other tests: put ``requirements/ai-providers.txt`` beside them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, task

from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator
from airflow_provider_kie.operators.jobs import KieGenerateOperator
from airflow_provider_kie.simulator import KieSimulator
from tests.s3 import bucket_at, connection_to

pytest.importorskip("airflow.providers.openlineage")
lineage = pytest.importorskip("airflow.sdk.lineage")

EVENTS = Path(os.environ["AIRFLOW_HOME"]) / "openlineage.jsonl"
TRANSPORT = {"type": "file", "log_file_path": str(EVENTS), "append": True}
# Read when Airflow loads its plugins, which is before any fixture.
os.environ["AIRFLOW__OPENLINEAGE__TRANSPORT"] = json.dumps(TRANSPORT)
# The provider forks to write an event, and this process has threads.
pytestmark = pytest.mark.filterwarnings("default")

Dataset = tuple[str, str]


@pytest.fixture
def told(run_dag: Callable[..., Any]) -> Callable[[Callable[[], BaseOperator]], dict[str, Any]]:
    """Run one task, and give the event of its end."""

    def run(make: Callable[[], Any]) -> dict[str, Any]:
        # Outside a test each task has a process of its own, and so a collector of its own.
        lineage.get_hook_lineage_collector.cache_clear()
        EVENTS.unlink(missing_ok=True)
        with DAG("lineage", schedule=None) as dag:
            make()
        run = run_dag(dag)
        assert run.state == "success"
        assert "a-secret" not in EVENTS.read_text()
        events = [json.loads(line) for line in EVENTS.read_text().splitlines()]
        ends: list[dict[str, Any]] = [
            event
            for event in events
            if event["eventType"] == "COMPLETE" and event["job"]["name"].startswith("lineage.")
        ]
        (end,) = ends
        return end

    return run


def names(datasets: list[dict[str, Any]]) -> list[Dataset]:
    return [(dataset["namespace"], dataset["name"]) for dataset in datasets]


def tags(dataset: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in dataset["facets"]["tags"]["tags"]}


def at_kie(url: str) -> Dataset:
    scheme, _, rest = url.partition("?")[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}", f"{slash}{path}"


def test_an_upload_reads_a_file_and_makes_one_at_kie(
    told: Callable[..., Any], kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(b"abc")
    event = told(lambda: KieUploadOperator(task_id="up", source=str(tmp_path / "*.png"), upload_path="x"))
    assert names(event["inputs"]) == [("file", f"{tmp_path}/a.png")]
    [output] = event["outputs"]
    assert tags(output)["kie.size"] == "3"
    assert len(tags(output)["kie.sha256"]) == 64


def test_an_object_has_its_storages_name(
    told: Callable[..., Any], kie_simulator: KieSimulator, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_STORE", json.dumps(connection_to(s3_url)))
    bucket_at(s3_url).put_object(Bucket="bucket", Key="in/a.png", Body=b"abc")
    source = "s3://aws_store@bucket/in/a.png"
    event = told(lambda: KieUploadOperator(task_id="up", source=source, upload_path="x", method="stream"))
    assert names(event["inputs"]) == [("s3://bucket", "in/a.png")]
    assert len(event["outputs"]) == 1


@pytest.mark.parametrize("deferrable", [False, True], ids=["on a worker", "deferred"])
def test_a_job_reads_its_inputs_files_and_makes_its_result(
    told: Callable[..., Any], kie_simulator: KieSimulator, deferrable: bool
) -> None:
    given = "https://cdn.example/in/a.png"
    event = told(
        lambda: KieGenerateOperator(
            task_id="make",
            model="demo/edit",
            input={"image_urls": [f"{given}?X-Signature=a-secret"], "prompt": "wind"},
            deferrable=deferrable,
        )
    )
    assert names(event["inputs"]) == [at_kie(given)]
    [output] = event["outputs"]
    [job] = kie_simulator.jobs
    assert at_kie(job.urls[0]) == (output["namespace"], output["name"])
    assert tags(output)["kie.job_id"] == job.job_id
    assert tags(output)["kie.model"] == "demo/edit"
    assert float(tags(output)["kie.credits"]) > 0


def test_a_download_reads_at_kie_and_makes_a_file(
    told: Callable[..., Any], kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(b"abc")
    url = KieHook().upload_file(tmp_path / "a.png", "x", file_name="a.png").download_url
    event = told(
        lambda: KieDownloadOperator(
            task_id="down", file_url=f"{url}?token=a-secret", destination=f"{tmp_path}/out/"
        )
    )
    [input] = event["inputs"]
    assert (input["namespace"], input["name"]) == at_kie(url)
    assert tags(input)["kie.size"] == "3"
    assert names(event["outputs"]) == [("file", f"{tmp_path}/out/a.png")]


def test_a_task_function_with_the_hook_tells_the_same(
    told: Callable[..., Any], kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    url = kie_simulator.add_generated_file("a.png", b"abc")

    @task
    def fetch() -> None:
        KieHook().download_file(url, tmp_path / "b.png")

    event = told(fetch)
    assert names(event["inputs"]) == [at_kie(url)]
    assert names(event["outputs"]) == [("file", f"{tmp_path}/b.png")]
