"""The documentation's DAGs: read from the files that its pages show, and run to their ends."""

from __future__ import annotations

import gc
import json
import runpy
import shutil
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from airflow.sdk import BaseOperator

from airflow_provider_kie.client import KieSettings
from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.simulator import KieSimulator
from tests.dags.asset_runs import run_to_its_end, runs_that_the_scheduler_makes
from tests.s3 import bucket_at, connection_to

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
FILES = {path.stem: path for name in ("howto", "coming_from") for path in (EXAMPLES / name).glob("*.py")}
# A plain program, DAGs that events start, and one that writes to S3 have tests of their own.
NAMES = sorted(set(FILES) - {"client", "events", "first", "outlets"})
# The files that are there in the end, and how many are at kie.ai.
BROUGHT = {
    "download": ["film.mp4"],
    "download_each": ["a.mp4", "b.mp4"],
    "fetch_job": ["image.png"],
    "generate": ["image.png"],
    "generate_each": ["image.png", "image.png"],
    "quickstart": ["image.png", "photo.png"],
}
UPLOADS = {
    "quickstart": 1,
    "upload": 1,
    "upload_each": 2,
    "upload_inbox": 2,
    "upload_pattern": 2,
    "with_curl": 1,
    "with_requests": 1,
}

RunDag = Callable[..., Any]


def conf_of(name: str, kie: KieSimulator) -> dict[str, Any]:
    """What a person has to fill in to start a run."""
    if name == "download":
        return {"file_url": kie.add_generated_file("film.mp4", b"film")}
    if name == "download_each":
        return {"file_urls": [kie.add_generated_file(f"{n}.mp4", b"film") for n in "ab"]}
    if name == "fetch_job":
        return {"job_id": KieHook().submit_job({"prompt": "a fox"}, model="bytedance/seedream")}
    return {"job_ids": []} if name == "many_calls" else {}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Make the folder that is /data in the documentation."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for path in (tmp_path / "photo.png", inbox / "a.png", inbox / "b.png"):
        path.write_bytes(b"a photo")
    return tmp_path


def here(name: str, data: Path, kie: KieSimulator) -> Path:
    """Put a folder of this test's in the place of /data, and a simulator in that of kie.ai."""
    path = data / "dags" / f"{name}.py"
    path.parent.mkdir()
    text = FILES[name].read_text().replace("/data/", f"{data}/")
    text = text.replace("https://api.kie.ai", kie.api_url)
    path.write_text(text.replace("https://kieai.redpandaai.co", kie.upload_url))
    return path


# BashOperator leaves its pipe for the garbage collector to close.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("name", NAMES)
def test_a_documented_dag_runs_as_it_stands_there(
    name: str, run_dag: RunDag, kie_simulator: KieSimulator, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "with_curl" and not shutil.which("curl"):
        pytest.skip("there is no curl")
    if name == "retry_policy" and not hasattr(BaseOperator, "retry_policy"):
        pytest.skip("before Airflow 3.3 a task has no policy")
    key, url = kie_simulator.api_key, kie_simulator.api_url
    http = {"conn_type": "http", "host": url, "extra": {"Authorization": f"Bearer {key}"}}
    monkeypatch.setenv("KIE_API_KEY", key)
    monkeypatch.setenv("AIRFLOW_CONN_KIE_HTTP", json.dumps(http))
    for model in ("bytedance/seedream", "grok-imagine/image-to-video"):
        kie_simulator.add_model(model, seconds=0.1)
    kie_simulator.add_chat_model("gemini-2.5-flash", text='{"name": "fox", "colours": ["red"]}')
    run = run_dag(here(name, data, kie_simulator), dated=False, **conf_of(name, kie_simulator))

    gc.collect()
    assert run.state == "success"
    results = [path.name for path in (data / "results").rglob("*") if path.is_file()]
    assert sorted(results) == BROUGHT.get(name, [])
    assert len(kie_simulator.uploads) == UPLOADS.get(name, 0)


def test_the_first_dag_of_the_documentation_brings_its_result_to_s3(
    run_dag: RunDag,
    returned: RunDag,
    kie_simulator: KieSimulator,
    data: Path,
    s3_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection_to(s3_url)))
    s3 = bucket_at(s3_url, "my-bucket")
    kie_simulator.credits = 500
    kie_simulator.add_model("grok-imagine/image-to-video", seconds=0.1, files={"film.mp4": b"film"})
    run = run_dag(here("first", data, kie_simulator), dated=False)

    assert run.state == "success"
    (object_,) = s3.list_objects_v2(Bucket="my-bucket")["Contents"]
    assert object_["Key"] == f"results/{run.run_id}/film.mp4"
    (upload,) = kie_simulator.uploads.values()
    assert kie_simulator.jobs[0].input["image_urls"] == [upload.download_url]


def test_the_documented_outlet_starts_the_dag_that_reads_the_jobs_result(
    load_dag: RunDag, run_dag: RunDag, returned: RunDag, kie_simulator: KieSimulator
) -> None:
    from airflow.utils.session import create_session

    kie_simulator.add_model("grok-imagine/text-to-video", seconds=0.1)
    dags = runpy.run_path(str(FILES["outlets"]))
    after = load_dag(dags["list_movies"])
    made = run_dag(dags["make_movie"])
    assert made.state == "success"
    with warnings.catch_warnings():
        # Airflow's own database code is not what is tested here.
        warnings.simplefilter("ignore")
        with create_session() as session:
            [started] = runs_that_the_scheduler_makes(session, after.dag_id)
        assert returned(run_to_its_end(after, started), "list_urls") == returned(made, "make")["urls"]


def test_the_documented_watcher_tells_what_its_event_says(load_dag: RunDag) -> None:
    dag = load_dag(FILES["events"])
    (asset,) = dag.timetable.asset_condition.objects
    assert asset.watchers[0].trigger.serialize()[1]["threshold"] == 50
    happened = MagicMock()
    happened.__getitem__.return_value = [SimpleNamespace(extra={"payload": {"balance": 40.0}})]
    assert dag.get_task("tell").python_callable(triggering_asset_events=happened) == "40.0 credits are left"


def test_the_documented_client_says_the_balance(
    kie: KieSimulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KIE_API_KEY", kie.api_key)
    at_the_simulator = partial(KieSettings, base_url=kie.api_url)
    monkeypatch.setattr("airflow_provider_kie.client.KieSettings", at_the_simulator)
    runpy.run_path(str(FILES["client"]))
    assert capsys.readouterr().out == "100.0\n"
