"""Processes that are killed in the middle: by SIGKILL at random moments, by SIGTERM as Airflow does it."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kie.simulator import KieSimulator
from tests.faults import FULL, SEED

from .ledger import Ledger
from .server import HALF, Reply, signs
from .trial import OLD, Trial
from .worker import Zygote

ROUNDS = 50 if FULL else 3
NEW = random.Random(5).randbytes(2_000_000)
# What a transfer takes here, and a little more, so that some kills come too late.
SECONDS = 0.5


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def moments(ledger: Ledger, request: pytest.FixtureRequest) -> random.Random:
    """Give the random moments of a test, and tell the seed that they come from."""
    print(f"KIE_FAULTS_SEED={SEED}")
    if (note := f"kills: KIE_FAULTS_SEED={SEED}") not in ledger.notes:
        ledger.notes.append(note)
    return random.Random(f"{SEED} {request.node.name}")


@dataclass(frozen=True)
class Killed:
    """
    A download that was sent a signal.

    :param ended: How it ended.
    :param after: Seconds that it had, in words.
    :param content: What is under the final name.
    """

    ended: Mapping[str, Any]
    after: str
    content: bytes


def downloads(
    number: signal.Signals, url: str, trial: Trial, kie: KieSimulator, zygote: Zygote, moments: random.Random
) -> Iterator[Killed]:
    """Send a signal to one download after the other, each at its own moment."""
    trial.connect(kie.api_url, kie.upload_url, key=kie.api_key)
    connection = os.environ["AIRFLOW_CONN_KIE_DEFAULT"]
    for _ in range(ROUNDS):
        trial.target.write_bytes(OLD)
        kie.reset()
        kie.fail_next("file", chunk_delay=0.002)
        moment = moments.uniform(0, SECONDS)
        zygote.start("download", connection, file_url=url, destination=str(trial.target))
        time.sleep(moment)
        zygote.kill(number)
        yield Killed(zygote.end(), f"ended after {moment:.4f} s", trial.target.read_bytes())


def test_a_download_that_is_killed_leaves_the_old_file_or_the_new_one(
    trial: Trial, kie: KieSimulator, zygote: Zygote, moments: random.Random
) -> None:
    url = kie.add_generated_file("a.bin", NEW)
    killed = 0
    for each in downloads(signal.SIGKILL, url, trial, kie, zygote, moments):
        status = each.ended["status"]
        killed += status == -signal.SIGKILL
        if status not in (0, -signal.SIGKILL):
            trial.lose("other ending than promised", f"{each.after}: {each.ended}")
        if each.content not in (OLD, NEW) or (status == 0 and each.content != NEW):
            trial.lose("half file", f"{len(each.content)} bytes, {each.after}")
        if strange := [path.name for path in trial.folder.iterdir() if path.suffix not in (".bin", ".part")]:
            trial.lose("leftover file", f"{strange}")
        kie.reset()
        result, error = trial.play(lambda hook: hook.download_file(url, trial.target))
        trial.judge_ending(error, None)
        trial.judge_file(result, NEW)
    for path in trial.folder.glob(".*.part"):
        path.unlink()
    trial.judge_leftovers()
    if FULL and not killed:
        trial.lose("other ending than promised", "every download was done before it was killed")
    trial.ledger.notes.append(f"{trial.case}: {killed} of {ROUNDS} were killed before they were done")
    trial.judge_secrets()
    trial.close(rounds=ROUNDS)


def test_a_download_that_airflow_ends_at_any_moment_leaves_nothing_else(
    trial: Trial, kie: KieSimulator, zygote: Zygote, moments: random.Random
) -> None:
    url = kie.add_generated_file("a.bin", NEW)
    for each in downloads(signal.SIGTERM, url, trial, kie, zygote, moments):
        # Before the task has begun, and after it is done, there is nothing to end.
        if each.ended["status"] not in (0, 1, -signal.SIGTERM):
            trial.lose("other ending than promised", f"{each.after}: {each.ended}")
        if each.ended["seconds"] > 5:
            trial.lose("too slow", f"{each.ended['seconds']:.1f} s, {each.after}")
        # It may be ended after the file is in its place, too.
        if each.content not in {0: (NEW,), 1: (OLD, NEW)}.get(each.ended["status"], (OLD,)):
            trial.lose("half file", f"{len(each.content)} bytes, {each.after}")
        trial.judge_leftovers()
    trial.judge_secrets()
    trial.close(rounds=ROUNDS)


@pytest.mark.parametrize("method", ["stream", "base64"])
def test_an_upload_that_is_killed_leaves_nothing_or_the_whole_file(
    method: str, trial: Trial, kie: KieSimulator, zygote: Zygote, moments: random.Random, tmp_path: Path
) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(NEW * (10 if method == "stream" else 1))
    whole = sha256(source)
    trial.connect(kie.api_url, kie.upload_url, key=kie.api_key)
    how: dict[str, Any] = {"upload_path": "faults", "file_name": "a.bin", "method": method}
    killed = 0
    rounds = ROUNDS if method == "stream" else max(1, ROUNDS // 10)
    for _ in range(rounds):
        kie.reset()
        kie.expire_uploads()
        moment = moments.uniform(0, SECONDS)
        zygote.start("upload", os.environ["AIRFLOW_CONN_KIE_DEFAULT"], source=str(source), **how)
        time.sleep(moment)
        zygote.kill(signal.SIGKILL)
        ended = zygote.end()
        killed += ended["status"] == -signal.SIGKILL
        if ended["status"] not in (0, -signal.SIGKILL):
            trial.lose("other ending than promised", f"killed after {moment:.4f} s: {ended}")
        known = [stored.sha256 for stored in kie.uploads.values()]
        if known not in ([], [whole]) or (ended["status"] == 0 and known != [whole]):
            trial.lose("half file", f"kie.ai holds {len(known)} other files, killed after {moment:.4f} s")
        result, error = trial.play(lambda hook: hook.upload_file(source, **how))
        trial.judge_ending(error, None)
        if [stored.sha256 for stored in kie.uploads.values()] != [whole] or result.sha256 != whole:
            trial.lose("wrong byte", f"after a retry, killed after {moment:.4f} s")
    if sha256(source) != whole:
        trial.lose("old file lost", "the source is another")
    if FULL and method == "stream" and not killed:
        trial.lose("other ending than promised", "every upload was done before it was killed")
    trial.ledger.notes.append(f"{trial.case}: {killed} of {rounds} were killed before they were done")
    trial.judge_leftovers()
    trial.judge_secrets()
    trial.close(rounds=rounds)


@dataclass(frozen=True)
class Stop:
    """
    A moment at which Airflow ends a task.

    :param name: The moment.
    :param verb: What the task does.
    :param api: What the API host does.
    :param files: What the file host does; for uploads, the upload host.
    :param at: Which of the two has the request that the signal waits for.
    :param arrives: The number of that request.
    :param how: Arguments of the operator.
    :param batch: How many files there are, where there are many.
    """

    name: str
    verb: str
    api: tuple[Reply, ...] = ()
    files: tuple[Reply, ...] = ()
    at: str = "files"
    arrives: int = 1
    how: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 0


SILENT = Reply(head=0, then="silence")
SLOW = Reply(status=429, body=b"", headers={"Retry-After": "60"})
STOPS = [
    Stop("signing is silent", "download", (SILENT,), at="api"),
    Stop("signing says wait a minute", "download", (SLOW,), at="api"),
    Stop("file host is silent", "download", (signs(),), (SILENT,)),
    Stop("file host is silent in the middle", "download", (signs(),), (Reply(sent=HALF, then="silence"),)),
    Stop("file comes slowly", "download", (signs(),), (Reply(file=NEW, drip=0.1),)),
    Stop("file host says wait a minute", "download", (signs(),), (SLOW,)),
    Stop(
        "file host says wait a minute in the middle",
        "download",
        (signs(),),
        (Reply(sent=HALF), SLOW),
        arrives=2,
    ),
    Stop("upload host is silent", "upload", (), (SILENT,), how={"method": "stream"}),
    Stop(
        "upload host does not read",
        "upload",
        (),
        (Reply(head=0, then="silence", read=9),),
        how={"method": "stream"},
    ),
    Stop("upload host says wait a minute", "upload", (), (SLOW,), how={"method": "stream"}),
    Stop("batch of silent files", "download", (), (SILENT,) * 4, arrives=4, batch=4),
    Stop("batch of slow files", "download", (), (Reply(file=NEW, drip=0.1),) * 4, arrives=4, batch=4),
    # One that has to wait makes all wait.
    Stop("batch of files that wait a minute", "download", (), (SLOW,) * 4, batch=4),
    Stop(
        "batch with files waiting for their turn",
        "download",
        (),
        (SILENT,) * 2,
        arrives=2,
        batch=6,
        how={"max_concurrency": 2},
    ),
    Stop(
        "batch of uploads that are silent",
        "upload",
        (),
        (SILENT,) * 4,
        arrives=4,
        batch=4,
        how={"method": "stream"},
    ),
    Stop("upload host is silent after base64", "upload", (), (SILENT,), how={"method": "base64"}),
]


@pytest.mark.parametrize("stop", STOPS, ids=[stop.name.replace(" ", "-") for stop in STOPS])
def test_a_task_that_airflow_ends_is_over_in_5_seconds_and_leaves_nothing(
    stop: Stop, trial: Trial, zygote: Zygote, tmp_path: Path
) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(NEW * 4)
    api = trial.host(stop.api, trusted=True)
    files = trial.host(stop.files, trusted=stop.verb == "upload", small=True)
    trial.words["link"] = f"{files.url}/store/a.bin?X-Amz-Signature={trial.signature}"
    trial.connect(api.url, files.url, timeout=60)
    how: dict[str, Any] = {"source": str(source), "upload_path": "faults", **stop.how}
    if stop.verb == "download":
        how = {
            "file_url": f"{files.url}/a.bin",
            "destination": str(trial.target),
            "sign": "always",
            **stop.how,
        }
    if stop.batch and stop.verb == "download":
        urls = [f"{files.url}/{number}.bin" for number in range(stop.batch)]
        how |= {"file_url": urls, "destination": f"{trial.folder}/", "sign": "never"}
    elif stop.batch:
        how["source"] = [str(source)] * stop.batch
    zygote.start(stop.verb, os.environ["AIRFLOW_CONN_KIE_DEFAULT"], **how)
    server = api if stop.at == "api" else files
    for _ in range(stop.arrives):
        if not server.arrived.acquire(timeout=10):
            trial.lose("other ending than promised", "no request came")
    time.sleep(0.15)
    zygote.kill(signal.SIGTERM)
    ended = zygote.end()
    if ended["status"] != 1 or not ended.get("error"):
        trial.lose("other ending than promised", f"{ended}")
    if ended["seconds"] > 5:
        trial.lose("too slow", f"{ended['seconds']:.1f} s")
    trial.judge_file(None, NEW)
    trial.judge_leftovers()
    for number, host in enumerate((api, files)):
        trial.judge_requests(host, len((stop.api, stop.files)[number]), or_fewer=bool(stop.batch))
    told = str(ended.get("told", ""))
    if trial.key in told or trial.signature in told:
        trial.lose("key or signed link told", "in the error")
    trial.judge_secrets()
    trial.close()
