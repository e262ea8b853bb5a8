"""Processes that fork, as ``multiprocessing`` does in a task: nothing of the parent's hangs or mixes."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
import select
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from airflow_provider_kie.client.api import files
from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import KieCancelledError
from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.simulator import KieSimulator
from tests.faults import FULL
from tests.s3 import bucket_at, connection_to

from .trial import Trial

# From Python 3.12 on a fork beside threads brings a warning; here it is what is tested.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore"),
]

DATA = random.Random(9).randbytes(12_000_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
ROUNDS = 10 if FULL else 3
# A child that hangs does so for ever; on a busy machine one that works may take its time.
PATIENCE = 15.0


class Child:
    """
    A fork of this process.

    :param work: What it does; what this gives is its outcome.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        self._told, tells = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            # Whoever hangs goes by himself, were it a child's child.
            signal.alarm(20)
            try:
                outcome = str(work())
            except BaseException as error:
                outcome = f"{type(error).__name__}: {error}"
            os.write(tells, outcome[:4000].encode())
            os._exit(0)
        os.close(tells)

    def outcome(self) -> str:
        """Wait for what it gives; ``hangs`` if that takes too long."""
        with os.fdopen(self._told, "rb") as told:
            ended = select.select([told], [], [], PATIENCE)[0]
            outcome = told.read().decode() if ended else "hangs"
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        return outcome


def judge(trial: Trial, found: str, expected: str, who: str) -> None:
    if found == "hangs":
        trial.lose("too slow", f"{who} hangs")
    elif found != expected:
        trial.lose("other ending than promised", f"{who}: {found}")


def download(url: str, target: Path) -> str:
    KieHook().download_file(url, target)
    return hashlib.sha256(target.read_bytes()).hexdigest()


def upload(source: Path) -> str:
    return str(KieHook().upload_file(source, "forks", method="stream").sha256)


def test_a_child_downloads_and_uploads_after_its_parent_has(trial: Trial, kie: KieSimulator) -> None:
    url = kie.add_generated_file("a.bin", DATA)
    trial.connect(kie.api_url, kie.upload_url, key=kie.api_key)
    judge(trial, download(url, trial.target), SHA256, "the parent's download")
    judge(trial, upload(trial.target), SHA256, "the parent's upload")
    judge(trial, Child(lambda: download(url, trial.target)).outcome(), SHA256, "the child's download")
    judge(trial, Child(lambda: upload(trial.target)).outcome(), SHA256, "the child's upload")
    trial.judge_leftovers()
    trial.judge_secrets()
    trial.close()


def test_a_pool_of_multiprocessing_downloads(trial: Trial, kie: KieSimulator) -> None:
    url = kie.add_generated_file("a.bin", DATA)
    trial.connect(kie.api_url, kie.upload_url, key=kie.api_key)
    judge(trial, download(url, trial.target), SHA256, "the parent")
    targets = [trial.folder / f"{number}.bin" for number in range(4)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        try:
            found = pool.map_async(partial(download, url), targets).get(PATIENCE)
        except multiprocessing.TimeoutError:
            found = ["hangs"]
    for outcome in found:
        judge(trial, outcome, SHA256, "a child")
    trial.judge_leftovers(also=tuple(target.name for target in targets))
    trial.close()


def test_children_download_while_a_batch_is_under_way(trial: Trial, kie: KieSimulator) -> None:
    url = kie.add_generated_file("a.bin", DATA)
    trial.connect(kie.api_url, kie.upload_url, key=kie.api_key)
    batch = trial.folder / "batch"
    kie.fail_next("file", chunk_delay=0.003, times=2)
    thread = threading.Thread(target=lambda: KieHook().download_files([url] * 2, batch, max_concurrency=2))
    thread.start()
    # Not before: Python itself hangs in a child whose parent was importing something at the fork.
    while sum(path.stat().st_size > 1_000_000 for path in batch.glob(".*.part")) < 2 and thread.is_alive():
        time.sleep(0.01)
    for number in range(ROUNDS):
        target = trial.folder / f"{number}.bin"
        judge(trial, Child(partial(download, url, target)).outcome(), SHA256, "a child")
    thread.join()
    for path in batch.iterdir():
        judge(trial, hashlib.sha256(path.read_bytes()).hexdigest(), SHA256, "the parent")
    trial.judge_leftovers(also=("batch", *(f"{number}.bin" for number in range(ROUNDS))))
    trial.close(rounds=ROUNDS)


def own_answers(client: KieClient, name: str) -> str:
    """Send something again and again; say whether an answer was another's."""
    for number in range(20):
        receipt = client.send(files.upload_base64("forks", f"{name}-{number}.bin", "a2ll"))
        if receipt.file_name != f"{name}-{number}.bin":
            return f"sent {name}-{number}.bin, and the answer is about {receipt.file_name}"
    return "its own"


def test_a_client_from_before_the_fork_gets_its_own_answers(trial: Trial, kie: KieSimulator) -> None:
    trial.connect(kie.api_url, kie.upload_url, key=kie.api_key)
    with KieHook().get_conn(max_retries=0) as client:
        judge(trial, own_answers(client, "before"), "its own", "the parent before the fork")
        children = [Child(partial(own_answers, client, name)) for name in ("first", "second")]
        judge(trial, own_answers(client, "parent"), "its own", "the parent")
        for child in children:
            judge(trial, child.outcome(), "its own", "a child")
    trial.judge_secrets()
    trial.close()


def test_a_client_that_was_closed_or_stopped_before_the_fork_stays_so(
    trial: Trial, kie: KieSimulator
) -> None:
    trial.connect(kie.api_url, kie.upload_url, key=kie.api_key)
    closed = KieHook().get_conn()
    closed.close()
    with KieHook().get_conn() as stopped:
        stopped.stop()
        for client, kind in ((closed, RuntimeError), (stopped, KieCancelledError)):
            told = Child(partial(own_answers, client, "child")).outcome()
            if not told.startswith(kind.__name__):
                trial.lose("other ending than promised", told)
    trial.close()


@pytest.fixture
def bucket(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the URL of a bucket; the connection to it is called aws_forks."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_FORKS", json.dumps(connection_to(s3_url)))
    bucket_at(s3_url, "forks")
    return "s3://forks"


def test_a_child_writes_to_s3_after_its_parent_has(trial: Trial, kie: KieSimulator, bucket: str) -> None:
    url = kie.add_generated_file("a.bin", DATA)
    trial.connect(kie.api_url, kie.upload_url, key=kie.api_key)

    def there_and_back(name: str) -> str:
        hook = KieHook()
        path = f"{bucket}/{name}"
        hook.download_file(url, path, destination_conn_id="aws_forks")
        return str(hook.upload_file(path, "forks", method="stream", source_conn_id="aws_forks").sha256)

    judge(trial, there_and_back("parent.bin"), SHA256, "the parent")
    judge(trial, Child(lambda: there_and_back("child.bin")).outcome(), SHA256, "the child")
    judge(trial, there_and_back("again.bin"), SHA256, "the parent again")
    trial.judge_leftovers()
    trial.close()
