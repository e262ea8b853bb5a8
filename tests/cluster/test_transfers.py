"""Files and jobs, while kie.ai answers badly and a worker is killed; an example DAG."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kie.simulator import KieSimulator

from .conftest import BUCKET, WORKERS
from .jobs import HOLD, PRICE, check_paid_once, end_jobs, submit_jobs
from .parts import Cluster
from .runs import Run

# Small ones go as base64, larger ones are streamed, and the largest come back in several parts.
SIZES = [20_000] * 88 + [1_500_000] * 8 + [20_000_000] * 4
# Each makes one try of one task fail; the connection allows no retries within a try.
FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("file-base64-upload", {"status": 500}),
    ("file-base64-upload", {"code": 429, "retry_after": 1}),
    ("file-base64-upload", {"drop_after": 0}),  # kie.ai has the file, and nobody is told
    ("file-stream-upload", {"code": 455}),
    ("file", {"status": 503}),
    ("file", {"drop_after": -1}),
    ("file", {"drop_after": 10_000}),
]
DONE_BEFORE_KILL = 30
UNDER_WAY = 3
# As in the DAG.
RETRIES = 3
UPLOAD, DOWNLOAD = "move.upload", "move.download"

log = logging.getLogger(__name__)


@pytest.fixture
def files(s3: Any) -> list[str]:
    """Files in the bucket's folder ``in``: their SHA-256, in the order of their names."""
    hashes = []
    for number in range(len(SIZES)):
        # The large ones are spread, so that some are under way whenever a worker dies.
        data = os.urandom(SIZES[number * 7919 % len(SIZES)])
        s3.put_object(Bucket=BUCKET, Key=f"in/{number:03}.bin", Body=data)
        hashes.append(hashlib.sha256(data).hexdigest())
    return hashes


def test_files_arrive_once_and_whole_and_jobs_are_paid_once_though_a_worker_is_killed(
    cluster: Cluster, kie: KieSimulator, s3: Any, files: list[str]
) -> None:
    for call, fault in FAULTS:
        kie.fail_next(call, **fault)
    begin = time.monotonic()
    run = Run(cluster, "kie_cluster_files")
    run.follow(lambda: run.count("success", task_id=DOWNLOAD) >= DONE_BEFORE_KILL)
    jobs = submit_jobs(cluster, kie)
    victim, killed_at = kill_a_worker(cluster, kie, run, jobs)
    cluster.start_worker("worker-3")
    end_jobs(kie, jobs, victim)
    tasks = run.wait_for_success()
    log.info("%d uploads and downloads in %.0f s", len(files), time.monotonic() - begin)
    check_paid_once(kie, jobs, "generate")

    assert {task["hostname"] for task in tasks} == {*WORKERS, "worker-3"}
    earlier = [one for task in tasks for one in run.earlier_tries(task)]
    on_victim = [one for one in earlier if one["hostname"] == victim]
    cut = [one for one in on_victim if datetime.fromisoformat(one["end_date"]) > killed_at]
    failed = [(one["task_id"], one["map_index"], one["hostname"]) for one in earlier if one not in cut]
    log.info("%d tries failed by what kie.ai answered, %d by the kill", len(failed), len(cut))
    assert len(failed) == len(FAULTS), f"kie.ai made {len(FAULTS)} tries fail, and these failed: {failed}"
    assert cut, "the kill hit no task"
    tries = {(task["task_id"], task["map_index"]): task["try_number"] for task in tasks}
    assert max(tries.values()) <= RETRIES + 1
    check_uploads(kie, files, [tries[UPLOAD, number] for number in range(len(files))])
    check_bucket(s3, files, [tries[DOWNLOAD, number] for number in range(len(files))])
    # What ``kill -9`` may leave: parts of an upload that S3 shows to nobody, and temporary files.
    downloads_cut = [f"out/{one['map_index']:03}.bin" for one in cut if one["task_id"] == DOWNLOAD]
    unfinished = s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    assert {upload["Key"] for upload in unfinished} <= set(downloads_cut)
    assert len(list((cluster.home / "tmp").glob("**/kie-*"))) <= len(downloads_cut)


def kill_a_worker(cluster: Cluster, kie: KieSimulator, run: Run, jobs: Run) -> tuple[str, datetime]:
    """Kill a worker that waits for a job and has files under way; give its name and when."""
    for call in ("file-base64-upload", "file"):
        kie.fail_next(call, delay=10, times=UNDER_WAY)
    hanging = 2 * UNDER_WAY
    run.follow(lambda: sum(request.status is None for request in kie.requests) >= hanging)
    hosts = [task["hostname"] for task in run.tasks(state="running")]
    victim = max({task["hostname"] for task in jobs.tasks(state="running")}, key=hosts.count)
    log.info("%s is killed with %d of %d tasks under way", victim, hosts.count(victim), len(hosts))
    cluster.parts.pop(victim).kill()
    return victim, datetime.now(UTC)


def check_uploads(kie: KieSimulator, files: list[str], tries: list[int]) -> None:
    """Check that no file was sent again but for a try that was cut or not answered."""
    copies = Counter(upload.sha256 for upload in kie.uploads.values())
    wrong = [number for number, name in enumerate(files) if not 1 <= copies[name] <= tries[number]]
    assert not wrong, "files that are not at kie.ai, or were sent again without a reason"
    requests = sum(len(kie.requests_to(call)) for call in ("file-base64-upload", "file-stream-upload"))
    log.info("%d upload requests; the files are %d times at kie.ai", requests, copies.total())
    assert len(files) <= requests <= sum(tries), "a try sent more than one request"


def check_bucket(s3: Any, files: list[str], tries: list[int]) -> None:
    """Check that all came back whole, once, and was never there by halves."""
    found = versions(s3)
    assert [found.pop(f"in/{number:03}.bin", []) for number in range(len(files))] == [[one] for one in files]
    assert sorted(found) == [f"out/{number:03}.bin" for number in range(len(files))]
    copies = [found[key] for key in sorted(found)]
    halves = [number for number, file in enumerate(files) if set(copies[number]) != {file}]
    assert not halves, "objects of which a version has not all bytes"
    again = [number for number, count in enumerate(tries) if len(copies[number]) > count]
    assert not again, "objects that were written again without a reason"


def versions(s3: Any) -> dict[str, list[str]]:
    """Read all versions of all objects; give their SHA-256 by their keys."""
    found: dict[str, list[str]] = {}
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
        for version in page.get("Versions", []):
            key = version["Key"]
            body = s3.get_object(Bucket=BUCKET, Key=key, VersionId=version["VersionId"])["Body"]
            found.setdefault(key, []).append(hashlib.sha256(body.read()).hexdigest())
    return found


def test_example_of_a_nightly_batch_takes_a_local_folder_to_s3(
    cluster: Cluster, kie: KieSimulator, s3: Any, tmp_path: Path
) -> None:
    kie.credits = 8 * HOLD
    results = {"night.png": os.urandom(60_000), "day.png": os.urandom(70_000)}
    kie.add_model("demo/edit", seconds=5, credits=PRICE, hold=HOLD, files=results)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    files = [os.urandom(50_000 + number) for number in range(8)]
    for number, data in enumerate(files):
        (inbox / f"{number}.png").write_bytes(data)
    run = Run(
        cluster,
        "kie_nightly_batch",
        inbox=str(inbox),
        done=str(tmp_path / "done"),
        outbox="s3://aws_default@kie/nightly",
        credits_per_file=HOLD,
    )
    tasks = run.wait_for_success("too_few_credits")
    assert not [task["task_id"] for task in tasks if task["try_number"] > 1]
    check_paid_once(kie, run, "process.generate", "too_few_credits")
    inputs = [url for job in kie.jobs for url in job.input["image_urls"]]
    assert len(set(inputs)) == len(inputs) == len(files), "not one job for each file"
    assert sorted(upload.sha256 for upload in kie.uploads.values()) == hashes_of(files)
    came = versions(s3)
    assert all(key.startswith("nightly/") for key in came)
    copies = [[sha256] for sha256 in hashes_of(results.values()) for _ in files]
    assert sorted(came.values()) == copies, "not once and whole"
    assert not list(inbox.iterdir()), "the next night would take these again"


def hashes_of(files: Iterable[bytes]) -> list[str]:
    """Give the SHA-256 of files, sorted."""
    return sorted(hashlib.sha256(data).hexdigest() for data in files)
