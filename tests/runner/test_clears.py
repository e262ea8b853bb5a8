"""What a retry and a cleared task do again, as a table: nothing is reused that does not hold any longer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kie.simulator import KieSimulator
from tests.faults import FULL

from .bench import Outcome, Task
from .conftest import Put, needs_state_store

VERBS = ["upload", "download"] if FULL else ["upload"]
COUNT = 4
FIRST, LAST = 0, COUNT - 1
ALL = set(range(COUNT))


class Job:
    """
    A task that moves a few files one after the other, the last of which fails as often as wanted.

    :param verb: ``upload`` or ``download``.
    :param put: Puts it on the bench.
    :param kie: The simulator.
    :param folder: Where its files are.
    """

    def __init__(self, verb: str, put: Put, kie: KieSimulator, folder: Path) -> None:
        self.verb, self.kie, self.folder = verb, kie, folder
        if verb == "upload":
            self.call = "file-base64-upload"
            for number in range(COUNT):
                self.file(number).write_bytes(self.bytes(number))
            sources = [str(self.file(number)) for number in range(COUNT)]
            arguments: dict[str, Any] = {"source": sources, "upload_path": "first"}
        else:
            self.call = "file"
            urls = [kie.add_generated_file(f"{number}.bin", self.bytes(number)) for number in range(COUNT)]
            arguments = {"file_url": urls, "destination": f"{folder}/", "sign": "never"}
        self.task: Task = put(verb, retries=3, max_concurrency=1, **arguments)
        self.connections = self.task.airflow.connections
        self.connections["kie_default"]["extra"]["max_retries"] = 0
        self.connections["kie_other"] = self.connections["kie_default"]

    @staticmethod
    def bytes(number: int) -> bytes:
        return f"file number {number}\n".encode() * 100

    def file(self, number: int) -> Path:
        return self.folder / f"{number}.bin"

    def run(self, *, fails: bool = False) -> Outcome:
        """Run a try."""
        self.kie.reset()
        if fails:
            self.kie.fail_next(self.call, delay=0.001, times=COUNT - 1)
            self.kie.fail_next(self.call, status=500)
        return self.task.run()

    @property
    def moved(self) -> set[int]:
        """Numbers of the files that the last try has moved."""
        if self.verb == "upload":
            return {int(each.json["fileName"][-5]) for each in self.kie.requests_to(self.call)}
        # Whoever asks for a byte just looks whether the file is there.
        whole = [each for each in self.kie.requests_to(self.call) if "range" not in each.headers]
        return {int(each.path[-5]) for each in whole}


@pytest.fixture
def job(request: pytest.FixtureRequest, put: Put, kie: KieSimulator, tmp_path: Path) -> Job:
    (tmp_path / "files").mkdir()
    return Job(request.param, put, kie, tmp_path / "files")


@dataclass(frozen=True)
class Between:
    """
    What happens between two tries.

    :param name: It.
    :param verbs: Of the tasks that it concerns.
    :param again: The files that the second try has to move.
    :param happens: Makes it happen.
    """

    name: str
    verbs: str
    again: set[int]
    happens: Callable[[Job], Any]


def replace_keeping_size_and_time(job: Job) -> None:
    path = job.file(FIRST)
    status = path.stat()
    path.write_bytes(b"x" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def arguments(**changed: Any) -> Callable[[Job], None]:
    return lambda job: job.task.arguments.update(changed)


BOTH = "upload download"
BETWEENS = [
    Between("nothing", BOTH, {LAST}, lambda job: None),
    Between("the task is cleared", BOTH, ALL, lambda job: job.task.airflow.clear()),
    Between("a file is truncated", BOTH, {FIRST, LAST}, lambda job: job.file(FIRST).write_bytes(b"short")),
    Between(
        "a file gets other bytes",
        BOTH,
        {FIRST, LAST},
        lambda job: job.file(FIRST).write_bytes(b"x" * len(job.bytes(FIRST))),
    ),
    Between("a file is damaged unseen", "download", {FIRST, LAST}, replace_keeping_size_and_time),
    Between("a file is deleted", "download", {FIRST, LAST}, lambda job: job.file(FIRST).unlink()),
    Between("kie.ai loses the files", "upload", ALL, lambda job: job.kie.expire_uploads()),
    Between("another account", BOTH, ALL, arguments(kie_conn_id="kie_other")),
    Between("another place", "upload", ALL, arguments(upload_path="second")),
    Between("another storage connection", "upload", ALL, arguments(source_conn_id="other")),
    Between("another storage connection", "download", ALL, arguments(destination_conn_id="other")),
    Between(
        "another place",
        "download",
        ALL,
        lambda job: job.task.arguments.update(destination=f"{job.folder}/second/"),
    ),
    # What is there is skipped, which the result says.
    Between("files may not be replaced", "download", {LAST}, arguments(if_exists="skip")),
]
# The others are in the unit tests, too.
ALWAYS = ("nothing", "the task is cleared", "a file is damaged unseen")
TABLE = [(each, verb) for each in BETWEENS for verb in each.verbs.split() if FULL or each.name in ALWAYS]


@needs_state_store
@pytest.mark.parametrize(
    ("between", "job"),
    TABLE,
    ids=[f"{verb}, {each.name}".replace(" ", "-") for each, verb in TABLE],
    indirect=["job"],
)
def test_a_retry_reuses_only_what_still_holds(between: Between, job: Job) -> None:
    assert job.run(fails=True).state == "up_for_retry"
    between.happens(job)
    ended = job.run()
    assert (ended.state, job.moved) == ("success", between.again)
    assert len(ended.result) == COUNT
    if job.verb == "upload":
        kept = [job.kie.uploads[result["file_path"]] for result in ended.result]
        assert [each.sha256 for each in kept] == [result["sha256"] for result in ended.result]
    else:
        folder = Path(job.task.arguments["destination"])
        assert [(folder / f"{number}.bin").read_bytes() for number in ALL] == [*map(job.bytes, ALL)]
    if between.name == "files may not be replaced":
        assert [result["skipped"] for result in ended.result] == [True, True, True, False]
    assert job.task.airflow.store == {}


@pytest.mark.parametrize("job", VERBS, indirect=True)
def test_a_batch_that_is_cleared_after_its_success_does_everything_again(job: Job) -> None:
    job.run()
    assert job.task.airflow.store == {}
    job.task.airflow.clear()
    ended = job.run()
    assert (ended.state, job.moved) == ("success", ALL)


@pytest.mark.parametrize("job", VERBS, indirect=True)
def test_a_retry_of_a_cleared_batch_knows_nothing_of_the_time_before(job: Job) -> None:
    job.run(fails=True)
    job.task.airflow.clear()
    # It fails at the first file.
    job.kie.reset()
    job.kie.fail_next(job.call, status=500, times=COUNT)
    assert job.task.run().state == "up_for_retry"
    ended = job.run()
    assert (ended.state, job.moved) == ("success", ALL)


def test_a_single_upload_is_done_again_by_every_clear_and_stores_nothing(
    put: Put, kie: KieSimulator, tmp_path: Path
) -> None:
    source = tmp_path / "a.bin"
    source.write_bytes(b"some bytes")
    task = put("upload", retries=2, source=str(source), upload_path="single")
    task.airflow.connections["kie_default"]["extra"]["max_retries"] = 0
    kie.fail_next("file-base64-upload", status=500)
    assert task.run().state == "up_for_retry"
    paths = set()
    for _ in range(2):
        ended = task.run()
        assert ended.state == "success"
        assert ended.result["file_path"] in kie.uploads
        paths.add(ended.result["file_path"])
        task.airflow.clear()
        kie.expire_uploads()
        assert task.airflow.asked("store", "PUT") == []
    assert len(paths) == 2
    assert task.airflow.store == {}


def test_a_single_download_is_done_again_by_every_clear_and_stores_nothing(
    put: Put, kie: KieSimulator, tmp_path: Path
) -> None:
    data = b"generated bytes" * 100
    url = kie.add_generated_file("a.bin", data)
    path = tmp_path / "a.bin"
    task = put("download", retries=2, file_url=url, destination=str(path))
    for damage in (b"", b"x" * len(data)):
        path.write_bytes(damage)
        ended = task.run()
        assert (ended.state, ended.result["verified"], path.read_bytes()) == ("success", True, data)
        assert task.airflow.asked("store", "PUT") == []
        task.airflow.clear()
    task.arguments["expected_sha256"] = "0" * 64
    assert task.run().state != "success"
    assert task.airflow.store == {}


def test_a_cleared_download_asks_the_account_that_it_is_now_given(
    put: Put, kie: KieSimulator, tmp_path: Path
) -> None:
    task = put("download", file_url=kie.add_generated_file("a.bin", b"data"), destination=f"{tmp_path}/a.bin")
    task.airflow.connections["other"] = json.loads(kie.connection()) | {"password": "wrong"}
    assert task.run().state == "success"
    task.airflow.clear()
    task.arguments["kie_conn_id"] = "other"
    assert task.run().state == "failed"
