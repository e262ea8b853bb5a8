"""What a batch asks of Airflow, and that nothing is lost when Airflow does not answer."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kie.simulator import KieSimulator
from tests.faults import FULL

from .bench import Run
from .conftest import Put, needs_state_store

LARGE = 2000 if FULL else 300
SMALL = 300


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("sources")
    for number in range(LARGE):
        (folder / f"{number}.txt").write_text(f"file {number}")
    return [str(folder / f"{number}.txt") for number in range(LARGE)]


def wait_until_sent(run: Run, kie: KieSimulator, count: int) -> float:
    """Wait for the uploads, and say when that was."""
    while len(kie.uploads) < count:
        assert not run.is_over.is_set()
        time.sleep(0.02)
    return time.monotonic()


@needs_state_store
def test_a_large_batch_asks_airflow_little_and_is_over_when_it_is_done(
    put: Put, kie: KieSimulator, sources: list[str]
) -> None:
    task = put("upload", source=sources[:SMALL], upload_path="books")
    task.airflow.fail("store", delay=0.02)
    run = task.start()
    sent_at = wait_until_sent(run, kie, SMALL)
    ended = run.wait()
    assert (ended.state, len(ended.result)) == ("success", SMALL)
    # Written twice and deleted, were each page of results full.
    assert len(task.airflow.asked("store")) < SMALL / 20
    assert max(each.size for each in task.airflow.asked("store")) < 64 * 1024
    assert ended.at - sent_at < 3
    assert task.airflow.store == {}


@needs_state_store
def test_a_large_batch_that_dies_near_its_end_sends_little_again(
    put: Put, kie: KieSimulator, sources: list[str]
) -> None:
    task = put("upload", retries=1, source=sources, upload_path="books")
    task.airflow.fail("store", delay=0.02)
    run = task.start()
    wait_until_sent(run, kie, int(LARGE * 0.95))
    run.send(signal.SIGKILL)
    assert run.wait().exit_code == -signal.SIGKILL
    sent = len(kie.uploads)
    kie.reset()
    ended = task.run()
    again = len(kie.requests_to("file-base64-upload")) - (LARGE - sent)
    # A hundred that nobody had told Airflow of, and what was sent while it was told of the hundred before.
    assert again < 150
    assert (ended.state, len(ended.result)) == ("success", LARGE)
    assert [result["source"] for result in ended.result] == sources
    assert {result["file_path"] for result in ended.result} <= set(kie.uploads)
    assert re.search(r"\b[1-9][0-9]+\b.*files", ended.log)
    assert len(task.airflow.asked("store", "GET")) < LARGE / 20


@pytest.fixture(params=["uploads", "download", "upload", "downloads"][: None if FULL else 2])
def work(request: pytest.FixtureRequest, kie: KieSimulator, tmp_path: Path) -> dict[str, Any]:
    """Give a kind of task, its arguments, and how many files it moves."""
    kind, count = request.param.rstrip("s"), 5 if request.param.endswith("s") else 1
    if kind == "upload":
        paths = [tmp_path / f"{number}.txt" for number in range(count)]
        for path in paths:
            path.write_text(path.name)
        what: list[str] = [str(path) for path in paths]
        arguments: dict[str, Any] = {"upload_path": "books"}
    else:
        what = [kie.add_generated_file(f"{number}.txt", b"generated") for number in range(count)]
        arguments = {"destination": f"{tmp_path}/out/"}
    name = "source" if kind == "upload" else "file_url"
    return {"kind": kind, name: what if count > 1 else what[0], **arguments}


@pytest.mark.parametrize("status", [500, 0] if FULL else [500])
def test_a_state_store_that_is_out_of_order_changes_no_result(
    status: int, work: dict[str, Any], put: Put, kie: KieSimulator
) -> None:
    task = put(retries=2, **work)
    task.airflow.connections["kie_default"]["extra"]["max_retries"] = 0
    task.airflow.fail("store", status)
    # The first try fails, so that there is something to be stored and asked for.
    for call in ("file-base64-upload", "file"):
        kie.fail_next(call, status=500)
    assert task.run().state == "up_for_retry"
    ended = task.run()
    assert ended.state == "success"
    results = ended.result if isinstance(ended.result, list) else [ended.result]
    assert all(result["sha256"] for result in results)


def test_metrics_that_are_out_of_order_change_no_result(work: dict[str, Any], put: Put) -> None:
    task = put(**work)
    task.metrics_fail = True
    ended = task.run()
    assert ended.state == "success"
    assert "no metrics today" in ended.log


@pytest.mark.parametrize("kind", ["sensor", "branch"])
def test_a_balance_is_told_though_metrics_are_out_of_order(kind: str, put: Put, kie: KieSimulator) -> None:
    kie.credits = 7
    ways: dict[str, Any] = {"follow_task_ids_if_true": "enough", "follow_task_ids_if_false": "too_few"}
    task = put(kind, threshold=5, **(ways if kind == "branch" else {}))
    task.metrics_fail = True
    assert task.run().state == "success"
