"""Hosts that are slow without an end: what they bring is seen, and only real progress counts."""

from __future__ import annotations

import gzip
import threading
import time
from dataclasses import dataclass, replace

import pytest

from airflow_provider_kie.client.errors import KieCancelledError, KieConnectionError, KieTransferError
from airflow_provider_kie.client.http import sockets
from airflow_provider_kie.client.transfer import progress
from airflow_provider_kie.client.transfer.download import download
from airflow_provider_kie.hooks.kie import KieHook

from .server import BIG, FILE, Reply
from .trial import OLD, Trial

# A hundred bytes at a time, in all a second and a half.
DRIP = Reply(sent=3_000, at_once=100, drip=0.05)
B = replace(DRIP, file=BIG)
GZIP = {"Content-Encoding": "gzip", "ETag": None}

SLOW = {
    "announced": (DRIP, Reply(), FILE),
    "chunked": (replace(DRIP, framing="chunked"), Reply(), FILE),
    "packed": (replace(DRIP, body=gzip.compress(FILE), headers=GZIP), Reply(), FILE),
    "without-length": (replace(DRIP, framing="none", file=FILE[:3_000]), Reply(), FILE[:3_000]),
    "big": (B, Reply(file=BIG), BIG),
}


@pytest.mark.parametrize("case", SLOW)
def test_a_slow_download_is_seen_in_its_file_and_in_the_log(
    case: str, trial: Trial, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sockets, "PIECE_SECONDS", 0.2)
    monkeypatch.setattr(progress, "FIRST_SECONDS", 0.3)
    slow, rest, expected = SLOW[case]
    files = trial.host([slow, rest])
    trial.connect(files.url, files.url)
    sizes = set[int]()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            sizes.update(part.stat().st_size for part in trial.folder.glob(".*.part"))

    watcher = threading.Thread(target=look)
    watcher.start()
    result, error = trial.play(
        lambda hook: hook.download_file(f"{files.url}/a.bin", trial.target, sign="never")
    )
    over.set()
    watcher.join()
    trial.judge_ending(error, None)
    trial.judge_file(result, expected)
    if not any(0 < size < 3_000 for size in sizes):
        trial.lose("other ending than promised", f"the unfinished file was seen with {sorted(sizes)} bytes")
    lines = [record.getMessage() for record in caplog.records if record.name == progress.__name__]
    if not lines or not lines[0].endswith(f": {files.url}/a.bin") or " B/s" not in lines[0]:
        trial.lose("other ending than promised", f"the log tells {lines}")
    trial.judge_leftovers()
    trial.close()


@dataclass(frozen=True)
class Case:
    """
    A host that hangs up again and again.

    :param name: How.
    :param replies: What it does.
    :param asked: How many requests there are.
    :param expected: The bytes of a success; None for an error.
    """

    name: str
    replies: tuple[Reply, ...]
    asked: int
    expected: bytes | None


HUNG_UP = [
    Case("a byte for each try", (Reply(sent=1),) * 60, 2, None),
    Case("a byte for each try, chunked", (Reply(sent=10, framing="chunked"),) * 60, 2, None),
    Case("a byte for each try, big", (Reply(file=BIG, sent=1),) * 60, 2, None),
    Case("less than a twentieth for each try", (Reply(sent=4_000),) * 60, 2, None),
    Case("a twentieth for each try", (Reply(sent=10_000),) * 60, 20, FILE),
    Case("256 KiB for each try", (Reply(file=BIG, sent=262_144),) * 60, 46, BIG),
]


@pytest.mark.parametrize("case", HUNG_UP, ids=[case.name.replace(" ", "-") for case in HUNG_UP])
def test_only_real_progress_renews_the_tries(case: Case, trial: Trial) -> None:
    files = trial.host(case.replies)
    trial.connect(files.url, files.url, max_retries=1)
    result, error = trial.play(
        lambda hook: hook.download_file(f"{files.url}/a.bin", trial.target, sign="never")
    )
    trial.judge_ending(error, (KieConnectionError, KieTransferError) if case.expected is None else None)
    trial.judge_file(result, case.expected or OLD)
    trial.judge_requests(files, case.asked)
    trial.judge_leftovers()
    trial.close()


STOPPED = {
    "small": Reply(sent=1_000, then="silence"),
    "big": Reply(file=BIG, sent=9_000_000, then="silence"),
    "chunked": Reply(sent=1_000, framing="chunked", then="silence"),
    "head": Reply(head=20, then="silence"),
    "drip": Reply(sent=100_000, at_once=10, drip=0.01),
}


@pytest.mark.parametrize("case", STOPPED)
def test_a_download_that_is_stopped_is_cancelled_and_not_tried_again(
    case: str, trial: Trial, caplog: pytest.LogCaptureFixture
) -> None:
    files = trial.host([STOPPED[case]] * 9)
    trial.connect(files.url, files.url)
    with KieHook().get_conn() as client, trial.target.open("r+b") as sink:

        def stop() -> None:
            files.arrived.acquire()
            time.sleep(0.2)
            client.stop()

        thread = threading.Thread(target=stop)
        thread.start()
        _, error = trial.play(lambda hook: download(client, f"{files.url}/a.bin", sink, signed=False))
        thread.join()
    trial.judge_ending(error, KieCancelledError, within=3)
    trial.judge_requests(files, 1)
    if "retry" in caplog.text:
        trial.lose("other ending than promised", "the log tells of a retry")
    trial.close()
