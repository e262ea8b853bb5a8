"""Lists of files in one task: all tried, one error, nothing done twice, ended within seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kie._compat import AirflowFailException
from airflow_provider_kie.client.errors import (
    KieBatchError,
    KieCancelledError,
    KieTransferError,
    KieUnavailableError,
)
from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator
from airflow_provider_kie.simulator import KieSimulator


def context() -> Any:
    return {}


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    paths = [tmp_path / f"{name}.png" for name in "abcde"]
    for path in paths:
        path.write_bytes(os.urandom(5000))
    return [str(path) for path in paths]


def upload(source: Any, **kwargs: Any) -> KieUploadOperator:
    return KieUploadOperator(task_id="up", source=source, upload_path="a", **kwargs)


def test_many_files_go_up_and_come_back_in_the_order_given(
    kie_simulator: KieSimulator, photos: list[str], tmp_path: Path
) -> None:
    uploaded: Any = upload(photos, max_concurrency=3).execute(context())
    assert [result["source"] for result in uploaded] == photos
    urls = [result["download_url"] for result in uploaded]
    operator = KieDownloadOperator(task_id="down", file_url=urls, destination=str(tmp_path / "back"))
    downloaded: Any = operator.execute(context())
    assert [result["file_url"] for result in downloaded] == urls
    for photo, up, down in zip(photos, uploaded, downloaded, strict=True):
        assert Path(down["path"]).read_bytes() == Path(photo).read_bytes()
        assert up["sha256"] == down["sha256"]
        assert down["verified"] is True


def test_no_files_are_no_error_and_no_request(kie_simulator: KieSimulator, tmp_path: Path) -> None:
    assert upload([]).execute(context()) == []
    operator = KieDownloadOperator(task_id="down", file_url=[], destination=str(tmp_path))
    assert operator.execute(context()) == []
    assert kie_simulator.requests == []


def test_files_of_the_same_name_do_not_collide(kie_simulator: KieSimulator, tmp_path: Path) -> None:
    urls = [kie_simulator.add_generated_file("out.mp4", bytes([number])) for number in range(3)]
    operator = KieDownloadOperator(task_id="down", file_url=urls, destination=str(tmp_path / "out.d"))
    results: Any = operator.execute(context())
    names = [Path(result["path"]).name for result in results]
    assert names == ["out.mp4", "out-2.mp4", "out-3.mp4"]
    assert [Path(result["path"]).read_bytes() for result in results] == [b"\0", b"\1", b"\2"]


def test_a_bad_file_does_not_stop_the_others_and_one_error_says_all(
    kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    good = [kie_simulator.add_generated_file(f"{name}.bin", b"x") for name in "ab"]
    urls = [good[0], f"{kie_simulator.upload_url}/kieai/gone.bin", good[1], "https://127.0.0.1:9/x.bin"]
    operator = KieDownloadOperator(task_id="down", file_url=urls, destination=str(tmp_path))
    with pytest.raises(AirflowFailException) as caught:
        operator.execute(context())
    error = caught.value.__context__
    assert isinstance(error, KieBatchError)
    assert [file for file, _ in error.failures] == [urls[1], urls[3]]
    message = str(error)
    assert "2 of 4 files failed, 2 are done" in message
    assert f"{urls[1]}: KieNotFoundError" in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "b.bin"]


def test_a_batch_that_may_pass_is_left_to_airflows_retries(
    kie_simulator: KieSimulator, photos: list[str]
) -> None:
    kie_simulator.fail_next("file-base64-upload", code=500, times=50)
    with pytest.raises(KieBatchError) as caught:
        upload(photos[:2]).execute(context())
    assert caught.value.transient
    assert all(isinstance(error, KieUnavailableError) for _, error in caught.value.failures)


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_what_this_transfer_cannot_mend_is_left_to_airflows_retries_alone_or_in_a_list(
    many: bool, kie_simulator: KieSimulator, photos: list[str], tmp_path: Path
) -> None:
    public: Any = upload(photos[0]).execute(context())
    kie_simulator.fail_next("file", status=403, times=5)
    url = public["download_url"]
    operator = KieDownloadOperator(
        task_id="d", file_url=[url] if many else url, destination=f"{tmp_path}/back/"
    )
    with pytest.raises(KieBatchError if many else KieTransferError, match="refuses the file"):
        operator.execute(context())


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"file_name": "a.png"}, "single source"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"max_concurrency": "8"}, "max_concurrency"),
    ],
)
def test_bad_arguments_of_a_batch_are_refused(
    arguments: dict[str, Any], reason: str, kie_simulator: KieSimulator, photos: list[str]
) -> None:
    with pytest.raises(ValueError, match=reason):
        upload(photos, **arguments).execute(context())
    assert kie_simulator.requests == []


def test_one_rate_limit_slows_all_threads(kie_simulator: KieSimulator, photos: list[str]) -> None:
    kie_simulator.fail_next("file-base64-upload", code=429, retry_after=0.3)
    upload(photos, max_concurrency=1).execute(context())
    refused, *others = kie_simulator.requests_to("file-base64-upload")
    assert len(others) == 5
    assert refused.status == 200


def test_a_url_that_kie_ai_cannot_fetch_fails_without_retry_and_names_the_way_out(
    kie_simulator: KieSimulator, photos: list[str]
) -> None:
    public: Any = upload(photos[0]).execute(context())
    for fault in ({"code": 400}, {"code": 451}, {"code": 413}, {"code": 500, "msg": "Failed to download"}):
        kie_simulator.fail_next("file-url-upload", **fault)
        with pytest.raises(AirflowFailException, match="method='stream' has this worker fetch it"):
            upload(public["download_url"]).execute(context())
    assert kie_simulator.requests_to("file") == []
    result: Any = upload(public["download_url"], method="stream").execute(context())
    assert result["method"] == "stream"
    assert result["sha256"] == public["sha256"]
    assert result["source"] == public["download_url"]


@pytest.mark.parametrize("expected", [{"expected_size": 4}, {"expected_sha256": "0" * 64}])
def test_a_file_that_is_not_the_expected_one_is_an_error(
    expected: dict[str, Any], kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    url = kie_simulator.add_generated_file("a.bin", b"abc")
    operator = KieDownloadOperator(task_id="d", file_url=url, destination=str(tmp_path / "a"), **expected)
    with pytest.raises(Exception, match="not the expected"):
        operator.execute(context())
    assert list(tmp_path.iterdir()) == []


def test_expectations_are_read_after_templating(kie_simulator: KieSimulator, tmp_path: Path) -> None:
    url = kie_simulator.add_generated_file("a.bin", b"abc")
    target = str(tmp_path / "a")
    KieDownloadOperator(task_id="d", file_url=url, destination=target, expected_size="3").execute(context())  # type: ignore[arg-type]
    for wrong in ({"expected_size": "many"}, {"expected_sha256": "abc"}):
        operator = KieDownloadOperator(task_id="d", file_url=url, destination=target, **wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="expected_"):
            operator.execute(context())


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_a_task_that_is_ended_before_it_begins_moves_nothing(
    many: bool, kie_simulator: KieSimulator, photos: list[str]
) -> None:
    operator = upload(photos if many else photos[0])
    operator.on_kill()
    with pytest.raises(KieCancelledError):
        operator.execute(context())
    assert kie_simulator.uploads == {}


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
@pytest.mark.parametrize("fault", [{"chunk_delay": 0.2}, {"delay": 60.0}], ids=["slow", "silent"])
def test_a_task_that_is_ended_ends_within_seconds_and_leaves_no_part(
    many: bool, fault: dict[str, Any], kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    urls = [kie_simulator.add_generated_file(f"{name}.bin", os.urandom(3_000_000)) for name in "abc"]
    kie_simulator.fail_next("file", **fault, times=3)
    target = tmp_path / "out"
    code = f"""
        import signal, time
        from airflow_provider_kie.operators.files import KieDownloadOperator

        operator = KieDownloadOperator(
            task_id="d", file_url={urls if many else urls[0]!r}, destination={f"{target}/"!r}
        )
        signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
        print("ready", flush=True)
        try:
            operator.execute({{}})
        finally:
            print(time.monotonic())
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline() != b"ready\n":
            pass
        deadline = time.monotonic() + 20
        while len(kie_simulator.requests_to("file")) < (3 if many else 1) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        ended, errors = process.communicate(timeout=60)
        assert process.returncode == 1
        assert b"KieCancelledError" in errors
        # The same clock; without the interpreter's end, which takes seconds on a busy machine.
        assert float(ended.splitlines()[-1]) - started < 5
    assert list(target.iterdir()) == []


def test_a_folder_or_a_pattern_goes_up_as_a_list_also_for_one_file(
    kie_simulator: KieSimulator, photos: list[str], tmp_path: Path
) -> None:
    for source in (str(tmp_path), tmp_path, f"{tmp_path}/*.png"):
        uploaded: Any = upload(source).execute(context())
        assert [result["source"] for result in uploaded] == photos
    assert len({result["file_path"] for result in uploaded}) == len(photos)
    single: Any = upload(f"{tmp_path}/a*").execute(context())
    assert [result["source"] for result in single] == photos[:1]
    mixed: Any = upload([photos[4], f"{tmp_path}/[ab].png", tmp_path / "c.png"]).execute(context())
    assert [result["source"] for result in mixed] == [photos[4], *photos[:3]]


def test_a_folder_without_files_sends_nothing_and_is_no_success(
    kie_simulator: KieSimulator, photos: list[str], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "empty", f"{tmp_path}/*.gif", [photos[0], f"{tmp_path}/*.gif"]):
        with pytest.raises(FileNotFoundError, match="there is no such file"):
            upload(source).execute(context())
    with pytest.raises(ValueError, match="many files get unique names"):
        upload(tmp_path, file_name="a.png").execute(context())
    assert kie_simulator.requests == []


def test_a_task_that_is_ended_does_not_wait_for_a_listing(
    kie_simulator: KieSimulator, photos: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, listed = threading.Event(), threading.Event()
    operator = upload(tmp_path)

    def hanging(*_: Any) -> None:
        operator.on_kill()
        released.wait(30)
        listed.set()

    monkeypatch.setattr("airflow_provider_kie.files.upload.list_files", hanging)
    with pytest.raises(KieCancelledError):
        operator.execute(context())
    assert not listed.is_set()
    released.set()
    assert kie_simulator.requests == []
