"""What a try of a task does again: a table over retries, clears and what happened in between."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from airflow_provider_kie._compat import AirflowFailException
from airflow_provider_kie.client.errors import KieBatchError, KieCancelledError
from airflow_provider_kie.operators import _finished
from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator
from airflow_provider_kie.simulator import KieSimulator
from tests.unit.state_store import StateStore

NAMES = "abcde"


@dataclass
class TaskInstance:
    try_number: int
    max_tries: int


def context(store: StateStore | None, try_number: int = 1, max_tries: int = 3) -> Any:
    given: dict[str, Any] = {"ti": TaskInstance(try_number, max_tries)}
    return given | ({"task_state_store": store} if store is not None else {})


class Night:
    """A task that moves five files, over its tries; a file named ``e`` fails as long as it is told to."""

    def __init__(self, kie: KieSimulator, folder: Path, verb: str) -> None:
        self.kie, self.verb = kie, verb
        self.store: Any = StateStore()
        self.target = folder / "target"
        self.arguments: dict[str, Any] = {}
        if verb == "upload":
            (folder / "source").mkdir()
            self.files = [folder / "source" / f"{name}.bin" for name in NAMES]
            for path in self.files:
                path.write_bytes(path.name.encode() * 100)
        else:
            self.urls = [kie.add_generated_file(f"{name}.bin", name.encode() * 100) for name in NAMES]
            self.files = [self.target / f"{name}.bin" for name in NAMES]

    @property
    def call(self) -> str:
        return "file-base64-upload" if self.verb == "upload" else "file"

    def operator(self) -> KieUploadOperator | KieDownloadOperator:
        how = {"task_id": "t", "max_concurrency": 1, "retries": 3, **self.arguments}
        if self.verb == "upload":
            return KieUploadOperator(source=[str(path) for path in self.files], upload_path="a", **how)
        return KieDownloadOperator(file_url=self.urls, destination=f"{self.target}/", **how)

    def play(
        self, try_number: int, max_tries: int = 3, *, fails: bool = False, well: int = 4
    ) -> tuple[Any, int]:
        """Run a try, where ``well`` files go well if it fails; give result or error, and the files moved."""
        self.kie.reset()
        if fails:
            self.kie.fail_next(self.call, delay=0.001, times=well)
            self.kie.fail_next(self.call, status=500, times=5)
        try:
            result: Any = self.operator().execute(context(self.store, try_number, max_tries))
        except Exception as error:
            result = error
        # A look at one byte, to see whether a file is still there, moves nothing.
        moved = [each for each in self.kie.requests_to(self.call) if "range" not in each.headers]
        return result, len(moved)


@pytest.fixture(params=["upload", "download"])
def night(request: pytest.FixtureRequest, kie_simulator: KieSimulator, tmp_path: Path) -> Night:
    return Night(kie_simulator, tmp_path, request.param)


def test_a_retry_moves_only_what_is_missing(night: Night, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    error, _ = night.play(1, fails=True)
    assert isinstance(error, KieBatchError)
    assert len(error.failures) == 1
    results, moved = night.play(2)
    assert moved == 1
    assert "Earlier tries have finished 4 files" in caplog.text
    names = [Path(result.get("path") or result["source"]).name for result in results]
    assert names == [f"{name}.bin" for name in NAMES]
    assert night.store.values == {}


def test_a_third_try_knows_what_the_first_and_the_second_have_done(night: Night) -> None:
    night.play(1, fails=True)
    night.files[0].write_bytes(b"another")
    error, _ = night.play(2, fails=True, well=1)
    assert isinstance(error, KieBatchError)
    assert night.play(3)[1] == 1


def test_a_success_leaves_nothing_in_the_store(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_finished, "SAVE_FILES", 1)
    night.store.on_call = lambda: time.sleep(0.01)
    night.play(1)
    assert "set" in night.store.calls
    assert night.store.values == {}


@pytest.mark.parametrize("fails", [True, False], ids=["failed", "succeeded"])
def test_a_cleared_task_does_its_work_again(night: Night, fails: bool) -> None:
    night.play(1, fails=fails)
    # What Airflow makes of it: the clear gives the task as many tries again.
    results, moved = night.play(2, max_tries=4)
    assert (moved, len(results)) == (5, 5)


def test_a_retry_of_a_cleared_task_uses_only_what_was_done_since(night: Night) -> None:
    night.play(1, fails=True)
    night.play(2, max_tries=4, fails=True)
    _, moved = night.play(3, max_tries=4)
    assert moved == 1


def test_a_clear_after_the_retries_were_lowered_is_no_retry(night: Night) -> None:
    night.play(1, max_tries=3, fails=True)
    night.arguments["retries"] = 2
    # One try and two more are three again.
    assert night.play(2, max_tries=3)[1] == 5


def test_a_page_that_cannot_be_read_is_not_written_over(night: Night) -> None:
    night.play(1, fails=True)
    kept = dict(night.store.values)

    def fail() -> None:
        if night.store.calls[-1] == "get":
            raise RuntimeError("the database is away")

    night.store.on_call = fail
    night.play(2, fails=True, well=1)
    night.store.on_call = lambda: None
    assert kept.items() <= night.store.values.items()
    # The first try knows of all but the last file, the second of all but the second.
    assert night.play(3)[1] == 0


def test_a_store_that_hangs_does_not_hold_up_a_task_that_has_no_time_left(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_finished, "SAVE_FILES", 1)
    hangs = threading.Event()
    night.store.on_call = lambda: hangs.wait(20) and None
    night.kie.fail_next(night.call, delay=0.001, times=2)
    night.kie.fail_next(night.call, delay=20.0, times=5)

    class Timeout(BaseException):
        """As Airflow's own, which a signal handler raises."""

    def on_alarm(number: int, frame: FrameType | None) -> None:
        raise Timeout

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    began = time.monotonic()
    try:
        with pytest.raises(Timeout):
            night.operator().execute(context(night.store))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        hangs.set()
    assert time.monotonic() - began < 10


def test_a_cleared_task_whose_memory_could_not_be_removed_does_its_work_again(night: Night) -> None:
    night.play(1, fails=True)
    kept = dict(night.store.values)
    night.play(2)
    night.store.values = kept
    _, moved = night.play(3, max_tries=4)
    assert moved == 5


def test_what_another_account_has_is_not_used(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    night.play(1, fails=True)
    monkeypatch.setenv("AIRFLOW_CONN_KIE_OTHER", night.kie.connection())
    night.arguments["kie_conn_id"] = "kie_other"
    assert night.play(2)[1] == 5


@pytest.mark.parametrize(
    ("verb", "change"),
    [
        ("upload", {"method": "stream"}),
        ("upload", {"source_conn_id": "other"}),
        ("download", {"if_exists": "overwrite", "destination_conn_id": "other"}),
        ("download", {"sign": "always"}),
    ],
)
def test_what_was_done_in_another_way_is_not_used(
    verb: str, change: dict[str, str], kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    night = Night(kie_simulator, tmp_path, verb)
    night.play(1, fails=True)
    night.arguments |= change
    _, moved = night.play(2)
    assert moved + len(kie_simulator.requests_to("file-stream-upload")) == 5


def damage(night: Night) -> None:
    """Change a file and nothing that a directory shows of it but the time."""
    night.files[0].write_bytes(b"x" * night.files[0].stat().st_size)


def remove(night: Night) -> None:
    night.files[0].unlink()


@pytest.mark.parametrize("change", [damage, remove])
def test_a_download_that_was_damaged_since_is_fetched_again(
    change: Callable[[Night], None], kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    night = Night(kie_simulator, tmp_path, "download")
    night.play(1, fails=True)
    change(night)
    results, moved = night.play(2)
    assert moved == 2
    assert [path.read_bytes() for path in night.files] == [name.encode() * 100 for name in NAMES]
    assert results[0]["verified"]


def test_an_upload_whose_source_has_changed_is_sent_again(
    kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    night = Night(kie_simulator, tmp_path, "upload")
    night.play(1, fails=True)
    damage(night)
    assert night.play(2)[1] == 2


def test_what_kie_ai_has_lost_is_sent_again(kie_simulator: KieSimulator, tmp_path: Path) -> None:
    night = Night(kie_simulator, tmp_path, "upload")
    night.play(1, fails=True)
    kie_simulator.expire_uploads()
    results, moved = night.play(2)
    assert moved == 5
    assert len(kie_simulator.uploads) == len({result["file_path"] for result in results}) == 5


def test_an_upload_that_will_soon_be_deleted_is_sent_again(
    kie_simulator: KieSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = json.loads(kie_simulator.connection())
    connection["extra"]["upload_retention_hours"] = 0.4
    monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", json.dumps(connection))
    night = Night(kie_simulator, tmp_path, "upload")
    night.play(1, fails=True)
    assert night.play(2)[1] == 5


def test_a_file_that_cannot_be_looked_at_fails_alone(kie_simulator: KieSimulator, tmp_path: Path) -> None:
    night = Night(kie_simulator, tmp_path, "upload")
    night.files[2].unlink()
    for number in (1, 2):
        error, moved = night.play(number)
        assert isinstance(error, KieBatchError)
        assert [file for file, _ in error.failures] == [str(night.files[2])]
        assert moved == (4 if number == 1 else 0)


def test_a_skipped_file_is_looked_for_again(kie_simulator: KieSimulator, tmp_path: Path) -> None:
    night = Night(kie_simulator, tmp_path, "download")
    night.arguments["if_exists"] = "skip"
    night.target.mkdir()
    night.files[0].write_bytes(b"there already")
    kie_simulator.fail_next("file", delay=0.001, times=3)
    kie_simulator.fail_next("file", status=500, times=9)
    with pytest.raises(KieBatchError):
        night.operator().execute(context(night.store))
    night.files[0].unlink()
    results, moved = night.play(2)
    assert moved == 2
    assert not results[0]["skipped"]


def test_single_files_ask_the_store_for_nothing(kie_simulator: KieSimulator, tmp_path: Path) -> None:
    night = Night(kie_simulator, tmp_path, "upload")
    uploaded: Any = KieUploadOperator(task_id="u", source=str(night.files[0]), upload_path="a").execute(
        context(night.store, 2)
    )
    KieDownloadOperator(
        task_id="d", file_url=uploaded["download_url"], destination=f"{tmp_path}/back"
    ).execute(context(night.store, 2))
    assert night.store.calls == []


def test_without_a_state_store_every_try_begins_anew(night: Night) -> None:
    night.store = None
    night.play(1, fails=True)
    assert night.play(2)[1] == 5


@pytest.mark.parametrize("broken", ["get", "set", "delete", "all"])
def test_a_store_that_fails_touches_no_result(
    broken: str, night: Night, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        if broken in ("all", night.store.calls[-1]):
            raise RuntimeError("the database is away")

    monkeypatch.setattr(_finished, "SAVE_FILES", 1)
    night.store.on_call = fail
    error, _ = night.play(1, fails=True)
    assert isinstance(error, KieBatchError)
    results, _ = night.play(2)
    assert len(results) == 5
    assert "the database is away" in caplog.text


def test_what_another_version_has_stored_is_no_reason_to_fail(night: Night) -> None:
    night.play(1, fails=True)
    [page] = night.store.values
    for files in ("nothing", {key: {"other": 1} for key in json.loads(night.store.values[page])["files"]}):
        night.store.values[page] = json.dumps({"files": files})
        results, moved = night.play(2)
        assert (moved, len(results)) == (5, 5)


def test_many_results_share_a_value_and_few_requests_store_them(
    kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    sources = [tmp_path / f"{number}.bin" for number in range(450)]
    for path in sources:
        path.write_bytes(b"x")
    store = StateStore()
    kie_simulator.fail_next("file-base64-upload", code=422)
    operator = KieUploadOperator(
        task_id="u", source=[str(path) for path in sources], upload_path="a", retries=3
    )
    with pytest.raises(AirflowFailException, match="1 of 450 files failed"):
        operator.execute(context(store, 1))
    assert 4 <= len(store.values) <= 10
    assert len(store.calls) <= 40
    assert max(map(len, store.values.values())) < 64 * 1024
    store.calls.clear()
    kie_simulator.reset()
    operator.execute(context(store, 2))
    assert len(kie_simulator.requests_to("file-base64-upload")) == 1
    assert len(store.calls) <= 30
    assert store.values == {}


def test_the_store_is_asked_in_the_background(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_finished, "SAVE_FILES", 1)
    operator = night.operator()

    # Airflow asks the task to end while it waits for the store, which does not answer before that.
    def keep_waiting() -> None:
        operator.on_kill()
        time.sleep(0.5)

    night.store.on_call = keep_waiting
    with pytest.raises(KieCancelledError):
        operator.execute(context(night.store))
    assert list(night.target.glob(".*")) == []


def test_a_batch_of_which_the_worker_dies_remembers_all_but_the_last_moments(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_finished, "SAVE_SECONDS", 0.05)
    night.kie.fail_next(night.call, delay=0.001, times=4)
    night.kie.fail_next(night.call, delay=0.5)
    stored: list[int] = []
    before_set = night.store.set

    def set_(key: str, value: Any, **how: Any) -> None:
        stored.append(len(value["files"]))
        before_set(key, value, **how)

    monkeypatch.setattr(night.store, "set", set_)
    night.operator().execute(context(night.store))
    # Long before the last file was there: they would be remembered had the worker died then.
    assert 4 in stored
