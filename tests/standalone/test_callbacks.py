"""From a job that nobody waits for to the file at its destination, by way of kie.ai's callback."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.simulator import Callback, KieSimulator
from scripts.running import every_second

from .conftest import Receiver

RUNS = "/api/v2/dags/kie_callback_results/dagRuns"


@pytest.fixture(autouse=True)
def _connection(kie: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", kie.connection())


def until(condition: Callable[[], object], log: Path) -> None:
    for _ in every_second(60):
        if condition():
            return
    pytest.fail(f"It did not happen in time. The receiver says:\n{log.read_text()}")


def events(airflow: httpx.Client) -> Counter[str]:
    """How often Airflow was told of each job."""
    answer = airflow.get("/api/v2/assets/events", params={"limit": 1000}).raise_for_status()
    return Counter(event["extra"]["job_id"] for event in answer.json()["asset_events"])


def run_states(airflow: httpx.Client) -> list[str]:
    runs = airflow.get(RUNS, params={"limit": 1000}).raise_for_status().json()["dag_runs"]
    assert {run["run_type"] for run in runs} <= {"asset_triggered"}
    return [run["state"] for run in runs]


def results(outbox: Path, job_id: str) -> list[bytes]:
    return [path.read_bytes() for path in outbox.glob(f"{job_id}/[!.]*")]


def callback_of(kie: KieSimulator, job_id: str) -> Callback:
    return next(one for one in kie.callbacks if one.body and one.body["data"]["taskId"] == job_id)


def post(receiver: Receiver, headers: dict[str, str], body: Any) -> int:
    url = f"{receiver.url}/kie/market"
    return httpx.post(url, json=body, headers=headers, verify=False, trust_env=False).status_code


def submit(receiver: Receiver, api: str = "market", model: str | None = "a/model") -> str:
    url = f"{receiver.url}/kie/{api}"
    return KieHook().submit_job({"prompt": "a fox"}, model=model, api=api, callback_url=url)


def test_a_job_that_nobody_waits_for_becomes_a_file_once(
    kie: KieSimulator, airflow: httpx.Client, receiver: Receiver, outbox: Path
) -> None:
    generated = os.urandom(100_000)
    kie.add_model("a/model", seconds=1, files={"generated.mp4": generated})
    conf = {"model": "a/model", "receiver": receiver.url}
    body = {"dag_run_id": "submit", "conf": conf, "logical_date": None}
    airflow.post("/api/v2/dags/kie_submit/dagRuns", json=body).raise_for_status()
    until(lambda: "success" in run_states(airflow), receiver.log)

    (job,) = kie.jobs
    assert results(outbox, job.job_id) == [generated]
    assert [callback.status for callback in kie.callbacks] == [200]
    assert events(airflow) == {job.job_id: 1}

    # kie.ai repeats itself; somebody else tries as well.
    callback = callback_of(kie, job.job_id)
    assert post(receiver, callback.headers, callback.body) == 200
    forged = callback.headers | {"X-Webhook-Signature": "A" * 43 + "="}
    assert post(receiver, forged, callback.body) == 403
    assert post(receiver, callback.headers, {"taskId": "another"}) == 403
    assert events(airflow) == {job.job_id: 1}

    # A receiver that was started anew does not know what it has told, and the example's run is a quiet one.
    fetched = len(kie.requests_to("file"))
    receiver.stop()
    receiver.start()
    assert post(receiver, callback.headers, callback.body) == 200
    until(lambda: run_states(airflow) == ["success"] * 2, receiver.log)
    assert events(airflow) == {job.job_id: 2}
    assert results(outbox, job.job_id) == [generated]
    assert len(kie.requests_to("file")) == fetched


def test_jobs_that_end_together_while_the_receiver_is_down_lose_nothing(
    kie: KieSimulator, airflow: httpx.Client, receiver: Receiver, outbox: Path
) -> None:
    kie.add_model("a/model", seconds=0, files={"generated.png": b"an image"})
    kie.add_model("suno", seconds=0, files={"song.mp3": b"a song"})
    before = len(kie.callbacks)
    receiver.stop()
    job_ids = [submit(receiver) for _ in range(4)]
    song_id = submit(receiver, "suno", None)
    until(lambda: len(kie.callbacks) >= before + 5, receiver.log)
    assert {callback.status for callback in kie.callbacks[before:]} == {None}

    receiver.start()
    until(lambda: all(results(outbox, job_id) for job_id in [*job_ids, song_id]), receiver.log)
    assert [results(outbox, job_id) for job_id in job_ids] == [[b"an image"]] * 4
    assert results(outbox, song_id) == [b"a song"]
    until(lambda: set(run_states(airflow)) == {"success"}, receiver.log)
    # Suno's three callbacks are about one job, and Airflow is told of it once.
    until(lambda: sum(bool(one.status) for one in kie.callbacks[before:]) == 4 + 3, receiver.log)
    assert {job_id: events(airflow)[job_id] for job_id in [*job_ids, song_id]} == dict.fromkeys(
        [*job_ids, song_id], 1
    )
