"""Tasks that Airflow ends, at random moments and the worst: over in time, no success, and nothing is left."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kie.simulator import KieSimulator
from tests.faults import FULL, SEED
from tests.s3 import bucket_at, connection_to

from .bench import LIMIT, Run, Task
from .conftest import Put, needs_state_store

ROUNDS = 100 if FULL else 8
EARLY = 12 if FULL else 4
AT_ONCE = 6
# All of the work takes longer.
SECONDS = 1.2
SMALL = [f"file {number}\n".encode() * 50 for number in range(200)]
LARGE = random.Random(1).randbytes(20_000_000)
# What a state store may take on a busy day.
SLOW_STORE = 0.02


@dataclass(frozen=True)
class Work:
    """
    What a task does when it is ended; all of it would take many seconds.

    :param put: Puts it on the bench; what it downloads goes to a folder, what it uploads to one of that name.
    :param moved: Tells how many files are there.
    :param arriving: How many kie.ai may still be busy with when the task has gone.
    """

    put: Callable[[Path], Task]
    moved: Callable[[Path], int]
    arriving: int = 0


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("sources")
    for number, data in enumerate(SMALL):
        (folder / f"{number}.txt").write_bytes(data)
    (folder / "large.bin").write_bytes(LARGE)
    return [str(folder / f"{number}.txt") for number in range(len(SMALL))]


@pytest.fixture(scope="module")
def generated(_simulator: KieSimulator) -> list[str]:
    return [_simulator.add_generated_file(f"{number}.txt", data) for number, data in enumerate(SMALL)]


@pytest.fixture
def works(put: Put, kie: KieSimulator, sources: list[str], generated: list[str]) -> dict[str, Work]:
    """Make kie.ai slow, and give each kind of work."""
    slow_down(kie, 0.2)
    large = str(Path(sources[0]).with_name("large.bin"))

    def upload(source: Any) -> Work:
        return Work(
            lambda folder: put("upload", retries=3, source=source, upload_path=folder.name),
            lambda folder: sum(f"/{folder.name}/" in path for path in kie.uploads),
            arriving=8,
        )

    def download(url: Any) -> Work:
        return Work(
            lambda folder: put("download", retries=3, file_url=url, destination=f"{folder}/"),
            lambda folder: len(whole_files(folder)),
        )

    return {
        "batch of uploads": upload(sources),
        "batch of downloads": download(generated),
        "large upload": upload(large),
        "large download": download(kie.add_generated_file("large.bin", LARGE)),
    }


def slow_down(kie: KieSimulator, seconds: float) -> None:
    """Have every request take so long; uploads of large files take for ever."""
    kie.reset()
    kie.fail_next("file-base64-upload", delay=seconds, times=99_999)
    kie.fail_next("file-stream-upload", delay=20, times=99)
    kie.fail_next("file", delay=seconds, chunk_delay=0.01, times=99_999)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "to").mkdir()
    return tmp_path / "to"


def whole_files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def what_is_wrong(task: Task, run: Run, told_at: float, folder: Path, work: Work) -> str:
    """Wait for the end of a task that was told to end; nothing is wrong if all is well."""
    if not task.airflow.is_gone.wait(told_at + LIMIT - 0.2 - time.monotonic()):
        print(f"{task.airflow.pid} was at\n{run.stacks()}")
        run.send(signal.SIGKILL)
        return f"{task.airflow.pid} had to be killed"
    moved = work.moved(folder)
    time.sleep(0.2)
    broken = [path.name for path in whole_files(folder) if path.read_bytes() not in (LARGE, *SMALL)]
    strange = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    late = work.moved(folder) - moved
    wrong = {
        f"{late} files came after its end": late > work.arriving,
        "it is a success": "success" in task.airflow.states,
        f"files are broken: {broken[:3]}": bool(broken),
        f"files are left: {strange[:3]} {run.left[:3]}": bool(strange or run.left),
    }
    return ", ".join(what for what, is_so in wrong.items() if is_so)


def test_a_task_that_is_ended_at_any_moment_is_over_and_leaves_nothing(
    works: dict[str, Work], tmp_path: Path, record_property: Any
) -> None:
    moments = random.Random(SEED)
    print(f"KIE_FAULTS_SEED={SEED}")

    def play(number: int) -> str:
        (folder := tmp_path / f"to-{number}").mkdir()
        name = list(works)[number % len(works)]
        how = ["heartbeat", "signal"][number // len(works) % 2]
        moment = moments.uniform(0, SECONDS)
        task = works[name].put(folder)
        task.airflow.fail("store", delay=SLOW_STORE)
        run = task.start()
        task.airflow.wait_for("run")
        time.sleep(moment)
        if how == "heartbeat":
            # Then Airflow kills what is not over in time.
            task.airflow.end()
            assert task.airflow.is_told_to_end.wait(10)
        else:
            run.send(signal.SIGTERM)
        wrong = what_is_wrong(task, run, task.airflow.told_to_end_at or time.monotonic(), folder, works[name])
        return wrong and f"{name}, ended by {how} after {moment:.3f} s: {wrong}"

    with ThreadPoolExecutor(AT_ONCE) as lanes:
        assert [wrong for wrong in lanes.map(play, range(ROUNDS)) if wrong] == []
    record_property("rounds", ROUNDS)


def test_a_task_that_is_ended_before_its_first_line_has_run_is_over(
    works: dict[str, Work], tmp_path: Path, record_property: Any
) -> None:
    work = works["large download"]

    def play(number: int) -> str:
        (folder := tmp_path / f"to-{number}").mkdir()
        task = work.put(folder)
        run = task.start()
        # The last that Airflow does before ``execute``.
        task.airflow.wait_for("fields")
        time.sleep(number * 0.004)
        run.send(signal.SIGTERM)
        return what_is_wrong(task, run, time.monotonic(), folder, work)

    with ThreadPoolExecutor(AT_ONCE) as lanes:
        assert [wrong for wrong in lanes.map(play, range(EARLY)) if wrong] == []
    record_property("rounds", EARLY)


@pytest.mark.parametrize(
    ("name", "status"), [("batch of uploads", None), ("large download", 500)], ids=["found", "not found"]
)
def test_a_task_is_over_that_is_ended_while_it_looks_for_its_connection(
    name: str, status: int | None, works: dict[str, Work], folder: Path
) -> None:
    task = works[name].put(folder)
    task.airflow.fail("connection", status, delay=0.5)
    run = task.start()
    task.airflow.wait_for("connection")
    time.sleep(0.1)
    run.send(signal.SIGTERM)
    assert what_is_wrong(task, run, time.monotonic(), folder, works[name]) == ""
    assert works[name].moved(folder) == 0


@needs_state_store
@pytest.mark.parametrize("name", ["batch of uploads", "batch of downloads"] if FULL else ["batch of uploads"])
def test_a_task_is_over_that_is_ended_while_it_stores_what_is_done(
    name: str, works: dict[str, Work], kie: KieSimulator, folder: Path
) -> None:
    slow_down(kie, 0.1)
    task = works[name].put(folder)
    task.airflow.fail("store", delay=1)
    run = task.start()
    task.airflow.wait_for("store", "PUT")
    time.sleep(0.1)
    run.send(signal.SIGTERM)
    assert what_is_wrong(task, run, time.monotonic(), folder, works[name]) == ""


@needs_state_store
def test_a_task_is_over_that_is_ended_when_the_state_store_has_just_stopped_answering(
    works: dict[str, Work], folder: Path
) -> None:
    work = works["batch of uploads"]
    task = work.put(folder)
    run = task.start()
    # So many that there is something to store, and so few that nothing has been stored yet.
    while work.moved(folder) < 20:
        time.sleep(0.02)
    task.airflow.fail("store", delay=LIMIT + 2)
    run.send(signal.SIGTERM)
    assert what_is_wrong(task, run, time.monotonic(), folder, work) == ""


@needs_state_store
def test_a_task_is_over_that_is_ended_while_it_asks_what_is_done(
    works: dict[str, Work], kie: KieSimulator, folder: Path
) -> None:
    slow_down(kie, 0.1)
    work = works["batch of uploads"]
    task = work.put(folder)
    run = task.start()
    # More than one, so that it has to ask several times.
    task.airflow.wait_for("store", "PUT", count=2)
    run.send(signal.SIGKILL)
    assert task.airflow.is_gone.wait(5)
    moved = work.moved(folder)
    # For all that it will ask, longer than it may take.
    task.airflow.fail("store", delay=LIMIT / 2)
    run = task.start()
    task.airflow.wait_for("store", "GET")
    run.send(signal.SIGTERM)
    assert what_is_wrong(task, run, time.monotonic(), folder, work) == ""
    assert work.moved(folder) <= moved + work.arriving


@pytest.mark.parametrize("name", ["batch of uploads", "large download"])
def test_a_task_that_reaches_its_timeout_is_over_and_leaves_nothing(
    name: str, works: dict[str, Work], folder: Path
) -> None:
    task = works[name].put(folder)
    task.arguments["execution_timeout"] = 0.7
    task.airflow.fail("store", delay=SLOW_STORE)
    run = task.start()
    task.airflow.wait_for("fields")
    assert what_is_wrong(task, run, time.monotonic() + 0.7, folder, works[name]) == ""
    assert run.wait().state == "up_for_retry"


@pytest.mark.filterwarnings("default")
@pytest.mark.skipif(not FULL, reason="importing what talks to S3 takes seconds")
def test_a_task_that_is_ended_while_it_hands_a_file_to_s3_leaves_nothing_there(
    put: Put, kie: KieSimulator, s3_url: str
) -> None:
    client = bucket_at(s3_url)
    url = kie.add_generated_file("large.bin", LARGE * 6)
    where = {"destination": "s3://bucket/a.bin", "destination_conn_id": "aws_store"}
    task = put("download", retries=3, file_url=url, **where)
    task.airflow.connections["aws_store"] = connection_to(s3_url)
    run = task.start()
    while not client.list_multipart_uploads(Bucket="bucket").get("Uploads"):
        assert not run.is_over.is_set(), run.log
        time.sleep(0.005)
    run.send(signal.SIGTERM)
    assert task.airflow.is_gone.wait(LIMIT)
    assert "success" not in task.airflow.states
    assert run.left == []
    assert "Contents" not in client.list_objects_v2(Bucket="bucket")
    assert "Uploads" not in client.list_multipart_uploads(Bucket="bucket")
