"""What makes two transfers the same, and how little is asked of a storage to find out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_kie.client.errors import KieBatchError
from airflow_provider_kie.client.transfer.download import Expected
from airflow_provider_kie.files.download import Download
from airflow_provider_kie.files.upload import Upload
from airflow_provider_kie.operators._reuse import key_of
from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator
from airflow_provider_kie.simulator import KieSimulator
from tests.memory_storage import attached
from tests.unit.state_store import StateStore

URL = "https://cdn.example/a.png"
OLD, OTHER, LONGER = b"old" * 100, b"new" * 100, b"longer" * 100


class Storage(MemoryFileSystem):
    """An object storage that counts who looks at what, and where an object can change before it is read."""

    cachable = False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.looks: Counter[str] = Counter()
        self.changes: dict[str, bytes] = {}
        self.fixed: dict[str, Any] = {}

    def hold(self, name: str, content: bytes) -> None:
        self.pipe_file(f"/bucket/{name}", content)  # type: ignore[no-untyped-call]
        self.looks.clear()

    def info(self, path: Any, **kwargs: Any) -> Any:
        self.looks[path.rpartition("/")[2]] += 1
        return self.fixed or super().info(path, **kwargs)  # type: ignore[no-untyped-call]

    def open(self, path: Any, mode: Any = "rb", *args: Any, **kwargs: Any) -> Any:
        name = path.rpartition("/")[2]
        if mode == "rb" and name in self.changes:
            self.hold(name, self.changes.pop(name))
        return super().open(path, mode, *args, **kwargs)  # type: ignore[no-untyped-call]


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Storage:
    return attached(Storage, monkeypatch)


def play(operator: Any, store: StateStore, try_number: int) -> Any:
    """Run a try of a task that has three retries."""
    ti = SimpleNamespace(try_number=try_number, max_tries=3)
    return operator.execute({"ti": ti, "task_state_store": store})


def uploads(names: str) -> KieUploadOperator:
    sources = [f"memory://bucket/{name}.bin" for name in names]
    return KieUploadOperator(task_id="u", source=sources, upload_path="a", retries=3, max_concurrency=1)


@pytest.mark.parametrize(
    ("transfer", "key"),
    [
        (Upload.parse(f"{URL}?v=1", "images/nightly"), "0952241429f1452f4ae4895020e4450e"),
        (
            Upload.parse(f"{URL}?v=1", "/images/nightly/", method="stream", source_conn_id="store"),
            "4dc5daf993083e5e391484cbb0c9c1d4",
        ),
        (
            Upload.parse("memory://bucket/a.png", "a", file_name="b.png", method="base64"),
            "6741b4ff9425939f6aa962eb07d29224",
        ),
        (Download.parse(URL, "/tmp/out/", name_in_folder="a-2.png"), "091be11a4c6ff87bb6c714056ef68b4c"),
        (
            Download.parse(
                URL,
                Path("/tmp/out"),
                if_exists="skip",
                sign="never",
                destination_conn_id="store",
                expected=Expected.parse("3", "AB" * 32),
                name_in_folder="a.png",
            ),
            "471159c4d965eeb90f73489888314b10",
        ),
    ],
)
def test_a_retry_after_an_upgrade_finds_what_was_stored_before_it(
    transfer: Upload | Download, key: str, storage: Storage
) -> None:
    storage.fixed = {"name": "/bucket/a.png", "size": 3, "type": "file", "ETag": '"5d41402a"'}
    storage.fixed["LastModified"] = "2026-01-02 03:04:05+00:00"
    assert key_of(transfer.prepare(), "kie_default") == key


def test_a_local_source_is_known_by_what_its_folder_tells_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(OLD)
    there = path.stat()
    seen = f"{there.st_size}-{there.st_mtime_ns}-{there.st_ctime_ns}-{there.st_ino}"
    file = Upload.parse(path, "a").prepare().file
    assert file is not None
    assert file.version == seen


def test_each_source_is_looked_at_once_in_a_retry_too(kie_simulator: KieSimulator, storage: Storage) -> None:
    for name in "abc":
        storage.hold(f"{name}.bin", OLD)
    store, operator = StateStore(), uploads("abc")
    kie_simulator.fail_next("file-base64-upload", delay=0.001, times=2)
    kie_simulator.fail_next("file-base64-upload", status=500, times=5)
    with pytest.raises(KieBatchError):
        play(operator, store, 1)
    assert storage.looks == {"a.bin": 1, "b.bin": 1, "c.bin": 1}
    storage.looks.clear()
    kie_simulator.reset()
    assert len(play(operator, store, 2)) == 3
    assert storage.looks == {"a.bin": 1, "b.bin": 1, "c.bin": 1}
    assert len(kie_simulator.requests_to("file-base64-upload")) == 1


def test_each_target_is_looked_at_once_in_a_retry_too(kie_simulator: KieSimulator, storage: Storage) -> None:
    urls = [kie_simulator.add_generated_file(f"{name}.bin", OLD) for name in "abc"]
    operator = KieDownloadOperator(
        task_id="d",
        file_url=urls,
        destination="memory://bucket/out/",
        if_exists="skip",
        retries=3,
        max_concurrency=1,
    )
    store = StateStore()
    kie_simulator.fail_next("file", delay=0.001, times=2)
    kie_simulator.fail_next("file", status=500, times=5)
    with pytest.raises(KieBatchError):
        play(operator, store, 1)
    kie_simulator.reset()
    # Neither what was received nor missing: the earlier result does not hold, and it is skipped.
    storage.hold("out/b.bin", LONGER)
    results = play(operator, store, 2)
    assert [result["skipped"] for result in results] == [False, True, False]
    assert (storage.looks["a.bin"], storage.looks["b.bin"]) == (1, 1)
    assert len(kie_simulator.requests_to("file")) == 1


def test_a_source_that_grows_between_the_look_and_the_sending_is_not_sent(
    kie_simulator: KieSimulator, storage: Storage
) -> None:
    storage.hold("a.bin", OLD)
    storage.changes["a.bin"] = LONGER
    with pytest.raises(KieBatchError, match="changed while it was being sent"):
        play(uploads("a"), StateStore(), 1)
    assert kie_simulator.uploads == {}


def test_a_source_that_changes_between_the_look_and_the_sending_is_sent_again_by_a_retry(
    kie_simulator: KieSimulator, storage: Storage
) -> None:
    for name in "ab":
        storage.hold(f"{name}.bin", OLD)
    storage.changes["a.bin"] = OTHER
    store, operator = StateStore(), uploads("ab")
    kie_simulator.fail_next("file-base64-upload", delay=0.001)
    kie_simulator.fail_next("file-base64-upload", status=500, times=5)
    with pytest.raises(KieBatchError):
        play(operator, store, 1)
    kie_simulator.reset()
    play(operator, store, 2)
    assert len(kie_simulator.requests_to("file-base64-upload")) == 2


def test_a_retry_of_a_pattern_takes_what_has_come_meanwhile_and_nothing_twice(
    kie_simulator: KieSimulator, storage: Storage
) -> None:
    storage.hold("a.bin", OLD)
    storage.hold("b.bin", b"")
    operator = KieUploadOperator(task_id="u", source="memory://bucket/*.bin", upload_path="a", retries=3)
    store = StateStore()
    with pytest.raises(KieBatchError):
        play(operator, store, 1)
    storage.hold("b.bin", OTHER)
    storage.hold("c.bin", LONGER)
    sizes = [result["file_size"] for result in play(operator, store, 2)]
    assert sizes == [len(OLD), len(OTHER), len(LONGER)]
    assert len(kie_simulator.requests_to("file-base64-upload")) == 3
