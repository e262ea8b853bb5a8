"""The bench itself: it runs tasks to the ends that Airflow gives them."""

from __future__ import annotations

import signal
from pathlib import Path

from airflow_provider_kie.simulator import KieSimulator

from .conftest import Put


def test_a_task_succeeds_and_airflow_has_its_result(put: Put, kie: KieSimulator, tmp_path: Path) -> None:
    source = tmp_path / "a.bin"
    source.write_bytes(b"some bytes")
    ended = put("upload", source=str(source), upload_path="bench").run()
    assert (ended.state, ended.exit_code, ended.left) == ("success", 0, [])
    assert ended.result["sha256"] == kie.uploads[ended.result["file_path"]].sha256
    assert "Uploaded" in ended.log


def test_a_task_that_fails_is_retried_as_often_as_it_says(put: Put, kie: KieSimulator) -> None:
    task = put("sensor", retries=1, threshold=1, poke_interval=0.01)
    # Three odd answers in a row end a try.
    kie.fail_next("credit", body="{}", times=6)
    assert [task.run().state for _ in range(2)] == ["up_for_retry", "failed"]
    task.airflow.clear()
    assert task.run().state == "success"
    assert task.airflow.try_number == 3


def test_a_rescheduled_sensor_pokes_again_in_the_same_try(put: Put, kie: KieSimulator) -> None:
    kie.credits = 0
    task = put("sensor", threshold=1, mode="reschedule", poke_interval=1)
    assert task.run().state == "up_for_reschedule"
    kie.credits = 5
    ended = task.run(again=True)
    assert (ended.state, ended.result) == ("success", 5)
    assert task.airflow.try_number == 1


def test_a_task_that_is_marked_failed_is_told_so_by_its_heartbeat(
    put: Put, kie: KieSimulator, tmp_path: Path
) -> None:
    url = kie.add_generated_file("a.bin", b"0" * 1000)
    kie.fail_next("file", delay=30)
    task = put("download", file_url=url, destination=f"{tmp_path}/out/", sign="never")
    running = task.start()
    task.airflow.wait_for("connection")
    task.airflow.end()
    assert task.airflow.is_gone.wait(5)
    assert task.airflow.is_told_to_end.is_set()
    assert "Terminating process" in running.log


def test_a_task_can_be_killed(put: Put, kie: KieSimulator) -> None:
    kie.credits = 0
    task = put("sensor", retries=1, threshold=1)
    running = task.start()
    task.airflow.wait_for("connection")
    running.send(signal.SIGKILL)
    assert running.wait().exit_code == -signal.SIGKILL
