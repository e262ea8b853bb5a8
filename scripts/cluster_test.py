"""
Play what happens to a cluster at work: a worker is killed, a triggerer restarted, kie.ai has bad minutes.

PostgreSQL, Redis, an S3 and every part of Airflow run as processes of this machine, on loopback. kie.ai is
the simulator, whose record of requests is what the checks go by. Arguments choose plays; none, all of them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_provider_kie.simulator import KieSimulator
from scripts import services
from scripts.cluster import running_cluster
from scripts.cluster_checks import Failed, Kill, check, check_files, check_spools, check_tries, check_uploads
from scripts.cluster_events import play_events
from scripts.cluster_key import all_wait, begin_others, check_restored, check_revoked, set_key
from scripts.cluster_metrics import statsd
from scripts.cluster_runs import Run
from scripts.cluster_stage import POLL_SECONDS, Stage, asked, begin_run, follow, wait_for_success
from scripts.cluster_store import Store
from scripts.running import end_on_signals, say

WORKERS = ["worker-1", "worker-2"]
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
# What the sensors wait for by turns, as in their DAG.
BALANCES = (100, 1000)
SENSORS_EACH = 50
SENSORS = len(BALANCES) * SENSORS_EACH
RETRIES = 3
NIGHTLY = 8


def main() -> int:
    """Run all plays; 0 if all that has to hold does."""
    if command := services.missing():
        say(f"This needs PostgreSQL and Redis: {command}")
        return 1
    end_on_signals()
    begin = time.monotonic()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kie-cluster-")))
        kie = stack.enter_context(KieSimulator(credits=0))
        store = Store(stack.enter_context(services.s3(home / "s3.log")))
        say(f"Starting PostgreSQL, Redis and Airflow in {home} ...")
        metrics = stack.enter_context(statsd())
        cluster = stack.enter_context(
            running_cluster(home, connections(kie, store), settings=metrics.settings, workers=WORKERS)
        )
        say(f"All is up after {time.monotonic() - begin:.0f} s.")
        stage = Stage(kie, store, cluster, metrics, home)
        try:
            for name in sys.argv[1:] or PLAYS:
                PLAYS[name](stage)
        except Failed as error:
            say(f"FAILED: {error}")
            return 1
        say(f"All holds. {time.monotonic() - begin:.0f} s in all, with the start.")
    return 0


def connections(kie: KieSimulator, store: Store) -> dict[str, str]:
    """Give the Airflow connections; a failure of kie.ai is one of the task, so that tries can be counted."""
    connection = json.loads(kie.connection())
    connection["extra"]["max_retries"] = 0
    return {"kie_default": json.dumps(connection), "aws_default": json.dumps(store.connection)}


def play_files(stage: Stage) -> None:
    """Move files from S3 to kie.ai and back over two workers, one of which is killed."""
    say("Files: from S3 to kie.ai and back, with bad answers; a worker is killed in the middle.")
    files = stage.store.fill()
    for call, fault in FAULTS:
        stage.kie.fail_next(call, **fault)
    begin = time.monotonic()
    run = begin_run(stage, "kie_cluster_files")
    follow(stage, run, lambda: run.count(task_id="move.download", state="success") >= DONE_BEFORE_KILL)
    kill = kill_a_worker(stage, run)
    stage.cluster.start_worker("worker-3")
    tasks = wait_for_success(stage, run)
    say(f"  {len(files)} uploads and downloads in {time.monotonic() - begin:.0f} s")
    hosts = Counter(task["hostname"] for task in tasks)
    check(len(hosts) == len(WORKERS) + 1, f"tasks done: {dict(hosts)}")
    tries = check_tries(run, tasks, kill, faults=len(FAULTS), retries=RETRIES)
    check_uploads(stage.kie, files, tries)
    check_files(stage.store, files, tries)
    check_spools(stage.home / "tmp", tries)


def kill_a_worker(stage: Stage, run: Run) -> Kill:
    """Kill the worker that has the most under way, while kie.ai is slow to answer."""
    for call in ("file-base64-upload", "file"):
        stage.kie.fail_next(call, delay=10, times=UNDER_WAY)
    hanging = 2 * UNDER_WAY
    follow(stage, run, lambda: sum(request.status is None for request in stage.kie.requests) >= hanging)
    running = run.tasks(state="running")
    hosts = [task["hostname"] for task in running]
    victim = max(WORKERS, key=hosts.count)
    say(f"  {victim} is killed with {hosts.count(victim)} of {len(running)} tasks under way")
    stage.cluster.kill(victim)
    return Kill(victim, datetime.now(UTC))


def play_credits(stage: Stage) -> None:
    """Let 100 sensors wait in the triggerer, which is restarted, for two balances; others lose their key."""
    say(f"Credits: {SENSORS} sensors wait for two balances; the triggerer is restarted meanwhile.")
    begin = time.monotonic()
    others = begin_others(stage)
    before, sent = asked(stage), stage.metrics.count("kie.credits")
    run = begin_run(stage, "kie_cluster_credits")
    follow(stage, run, lambda: run.count(state="deferred") == SENSORS and all_wait(others))
    say(f"  all deferred after {time.monotonic() - begin:.0f} s; the triggerer ends, another one begins")
    stage.cluster.end("triggerer")
    set_key(stage, "revoked")
    check_one_poll(stage, run)
    check_revoked(stage, others)
    set_key(stage, stage.kie.api_key)
    for number, balance in enumerate(BALANCES, start=1):
        check_resumed(stage, run, balance, number * SENSORS_EACH)
    tasks = wait_for_success(stage, run)
    check_tries(run, tasks, None, faults=0, retries=RETRIES)
    check_restored(stage, others)
    early = [task for task in tasks if float(run.returned(task)) < BALANCES[task["map_index"] % 2]]
    check(not early, "every sensor returned a balance that it was waiting for")
    polls, sent = asked(stage) - before, stage.metrics.count("kie.credits") - sent
    say(f"  {polls} requests for the balance in {time.monotonic() - begin:.0f} s")
    # The triggerer that was ended may have been about to send one.
    check(polls - 1 <= sent <= polls, f"each sent the metric kie.credits: {sent} times")


def check_resumed(stage: Stage, run: Run, balance: float, sensors: int) -> None:
    """Top the account up and check that so many sensors resume, and no others."""
    stage.kie.credits = balance
    follow(stage, run, lambda: run.count(state="success") >= sensors)
    time.sleep(POLL_SECONDS + 2)
    resumed, waiting = run.count(state="success"), run.count(state="deferred")
    text = f"at {balance} credits {resumed} sensors have resumed, {waiting} wait"
    check((resumed, waiting) == (sensors, SENSORS - sensors), text)


def check_one_poll(stage: Stage, run: Run) -> None:
    """Start a triggerer and check that it asks once for all that wait."""
    before = asked(stage)
    stage.cluster.start("triggerer", "triggerer")
    follow(stage, run, lambda: asked(stage) > before)
    before, since = asked(stage), time.monotonic()
    time.sleep(3 * POLL_SECONDS)
    polls, seconds = asked(stage) - before, time.monotonic() - since
    text = f"{polls} requests for the balance in {seconds:.0f} s while {SENSORS} sensors wait"
    check(0 < polls <= seconds / POLL_SECONDS + 1, text)
    check(run.count(state="deferred") == SENSORS, "none has resumed without credits")


def play_examples(stage: Stage) -> None:
    """Run the example DAG of a nightly batch, with results that go to S3."""
    say("Example: kie_nightly_batch, from a local folder to S3.")
    begin = time.monotonic()
    stage.kie.credits = NIGHTLY
    inbox = stage.home / "inbox"
    inbox.mkdir()
    files = [os.urandom(50_000 + number) for number in range(NIGHTLY)]
    for number, data in enumerate(files):
        (inbox / f"{number}.png").write_bytes(data)
    run = begin_run(
        stage,
        "kie_nightly_batch",
        inbox=str(inbox),
        done=str(stage.home / "done"),
        outbox="s3://aws_default@kie/nightly",
        credits_per_file=1,
    )
    tasks = wait_for_success(stage, run, skipped=["too_few_credits"])
    check_tries(run, tasks, None, faults=0, retries=2)
    objects = stage.store.versions("nightly/").values()
    came = sorted(data for versions in objects for data in versions)
    check(came == sorted(files), f"{len(tasks)} tasks brought {len(came)} files to S3, once and whole")
    check(not list(inbox.iterdir()), "the inbox is empty: no night takes a file again")
    say(f"  {time.monotonic() - begin:.0f} s")


PLAYS = {"files": play_files, "credits": play_credits, "events": play_events, "examples": play_examples}

if __name__ == "__main__":
    sys.exit(main())
