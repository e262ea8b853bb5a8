"""Files on their way into S3 when their work is stopped: no object afterwards, and nothing to pay for."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_kie.client.errors import KieCancelledError
from airflow_provider_kie.files.local import Unfinished
from airflow_provider_kie.files.storage import open_target
from tests.s3 import bucket_at, connection_to

from .road import Road
from .server import BIG, Reply
from .trial import OLD, Trial
from .worker import Zygote

# Warnings of the libraries between Airflow and S3 are not what is tested here.
pytestmark = pytest.mark.filterwarnings("default")

# Airflow waits for 5 seconds; some of them are for the rest of the task.
WITHIN = 3.0
MB = 1_000_000


@pytest.fixture
def s3(s3_url: str) -> Any:
    """A bucket with an older version of the file in it."""
    client = bucket_at(s3_url)
    client.put_object(Bucket="bucket", Key="0.bin", Body=OLD)
    yield client
    for entry in client.list_objects_v2(Bucket="bucket").get("Contents", []):
        client.delete_object(Bucket="bucket", Key=entry["Key"])
    abort_uploads(client)


def abort_uploads(s3: Any) -> None:
    """Do what a lifecycle rule of the bucket does with open uploads."""
    for upload in s3.list_multipart_uploads(Bucket="bucket").get("Uploads", []):
        s3.abort_multipart_upload(Bucket="bucket", Key=upload["Key"], UploadId=upload["UploadId"])


def judge_bucket(trial: Trial, s3: Any) -> None:
    """Check that there is the older version and nothing else, not even an open upload."""
    found = [entry["Key"] for entry in s3.list_objects_v2(Bucket="bucket").get("Contents", [])]
    if found != ["0.bin"]:
        trial.lose("leftover file", f"{found} in the bucket")
    if s3.get_object(Bucket="bucket", Key="0.bin")["Body"].read() != OLD:
        trial.lose("old file lost", "in the bucket")
    if uploads := s3.list_multipart_uploads(Bucket="bucket").get("Uploads", []):
        trial.lose("leftover file", f"{len(uploads)} open uploads in the bucket")


class Work:
    """
    Threads that write files into the bucket until they are stopped.

    :param road: Their way to S3.
    :param size: Of each file.
    :param count: How many there are.
    """

    def __init__(self, road: Road, size: int, count: int) -> None:
        self.stopped = threading.Event()
        self.unfinished = Unfinished(self._check_running)
        self.handed_over = threading.Semaphore(0)
        targets = [
            open_target(f"s3://bucket/{number}.bin", f"aws_{road.url[-5:]}", "x") for number in range(count)
        ]
        self._executor = ThreadPoolExecutor(count)
        self._futures = [self._executor.submit(self._write, target, size) for target in targets]

    def _check_running(self) -> None:
        if self.stopped.is_set():
            raise KieCancelledError("stopped")

    def _write(self, target: Any, size: int) -> None:
        with target.writing(self.unfinished) as sink:
            sink.write(os.urandom(size))
            self.handed_over.release()

    def stop(self) -> list[Exception | None]:
        """Stop them; give what each of those ended with that did end."""
        self.stopped.set()
        self._executor.shutdown(wait=False)
        errors = [future.exception() for future in wait(self._futures, WITHIN + 1).done]
        return [error if isinstance(error, Exception) else None for error in errors]

    def end(self) -> None:
        """Wait for all of them."""
        self._executor.shutdown()


@dataclass(frozen=True)
class Case:
    """
    A moment at which work is stopped.

    :param name: The moment.
    :param size: Of each file.
    :param rate: Of the road to S3, in bytes a second for each connection; 0 for any.
    :param stuck_after: After how many bytes a connection carries no more.
    :param passed: How many bytes pass before the stop.
    :param count: How many files there are.
    :param blocked: Whether S3 is not to be reached from the stop on; what is open there stays.
    """

    name: str
    size: int
    rate: int = 0
    stuck_after: int | None = None
    passed: int = MB // 4
    count: int = 1
    blocked: bool = False


CASES = [
    Case("small file on a slow road", MB, rate=MB),
    Case("large file on a slow road", 10 * MB, rate=8 * MB, passed=4 * MB),
    Case("large file in its second part", 20 * MB, rate=16 * MB, passed=12 * MB),
    Case("large file stuck in a part", 20 * MB, stuck_after=MB // 2),
    Case("many small files on a slow road", MB, rate=MB, passed=MB, count=6),
    Case("many large files stuck in a part", 10 * MB, stuck_after=MB // 2, passed=MB, count=6),
    Case("large file and S3 is gone", 10 * MB, stuck_after=MB // 2, blocked=True),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name.replace(" ", "-") for case in CASES])
def test_a_file_that_is_stopped_on_its_way_never_arrives(
    case: Case, trial: Trial, s3: Any, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Road(s3_url, rate=case.rate, stuck_after=case.stuck_after) as road:
        monkeypatch.setenv(f"AIRFLOW_CONN_AWS_{road.url[-5:]}", json.dumps(connection_to(road.url)))
        work = Work(road, case.size, case.count)
        for _ in range(case.count):
            work.handed_over.acquire(timeout=10)
        if not road.wait_for(case.passed):
            trial.lose("other ending than promised", f"only {road.passed} bytes passed")
        if case.blocked:
            road.block()
        began = time.monotonic()
        errors = work.stop()
        trial.seconds = time.monotonic() - began
        if len(errors) < case.count:
            trial.lose("too slow", f"{len(errors)} of {case.count} threads had ended")
        for error in errors:
            trial.judge_ending(
                error if isinstance(error, Exception) else None, KieCancelledError, within=WITHIN
            )
        trial.judge_leftovers()
        road.wait_until_empty()
    work.end()
    if not case.blocked:
        judge_bucket(trial, s3)
    trial.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("count", [1, 4], ids=["one file", "a batch"])
def test_a_task_that_is_ended_during_a_hand_over_shows_no_object(
    count: int, number: signal.Signals, trial: Trial, s3: Any, s3_url: str, zygote: Zygote
) -> None:
    api, files = trial.host(trusted=True), trial.host([Reply(file=BIG)] * count)
    trial.connect(api.url, api.url)
    with Road(s3_url, stuck_after=MB) as road:
        urls = [f"{files.url}/{number}.bin" for number in range(count)]
        zygote.start(
            "download",
            os.environ["AIRFLOW_CONN_KIE_DEFAULT"],
            environment={
                "AIRFLOW_CONN_AWS_STORE": json.dumps(connection_to(road.url)),
                "TMPDIR": str(trial.spool),
            },
            file_url=urls if count > 1 else urls[0],
            destination="s3://bucket/" if count > 1 else "s3://bucket/0.bin",
            destination_conn_id="aws_store",
            sign="never",
        )
        if not road.wait_for(MB * count):
            trial.lose("other ending than promised", f"only {road.passed} bytes passed")
        zygote.kill(number)
        ended = zygote.end()
    if ended["status"] not in (1, -number):
        trial.lose("other ending than promised", f"{ended}")
    if ended["seconds"] > 5:
        trial.lose("too slow", f"{ended['seconds']:.1f} s")
    if number == signal.SIGKILL:
        # Nobody is left who could; the download page says so.
        abort_uploads(s3)
        for path in trial.spool.glob("kie-*.part"):
            path.unlink()
    trial.judge_leftovers()
    judge_bucket(trial, s3)
    trial.judge_secrets()
    trial.close()
