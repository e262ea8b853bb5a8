from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_kie.operators.files import KieUploadOperator
from airflow_provider_kie.simulator import KieSimulator

RunDag = Callable[..., Any]


def test_the_demo_waits_branches_moves_files_by_all_methods_and_brings_every_byte_back(
    run_dag: RunDag, states: RunDag, returned: RunDag, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    kie_simulator.add_model("film", seconds=0.1, credits=12, files={"generated.mp4": b"generated"})
    sha256 = hashlib.sha256(b"generated").hexdigest()
    run = run_dag("kie_demo", threshold=50, work_dir=str(tmp_path), model="film", generated_sha256=sha256)

    assert run.state == "success"
    ended = states(run)
    assert ended.pop("too_few_credits") == "skipped"
    assert set(ended.values()) == {"success"}
    assert {f"download[{index}]" for index in range(4)} <= set(ended)
    assert [len(kie_simulator.requests_to(call)) for call in ("credit", "download-url")] == [2, 1]
    for method in ("stream", "base64", "url"):
        assert returned(run, f"upload_{method}")["method"] == method
        assert len(kie_simulator.requests_to(f"file-{method}-upload")) == 1
    generated = returned(run, "download", 3)
    assert generated["sha256"] == sha256
    assert Path(generated["path"]).read_bytes() == b"generated"
    (job,) = kie_simulator.jobs
    assert (job.charged, kie_simulator.credits) == (12, 88)
    assert returned(run, "generate")["credits"] == 12


def test_the_demo_pays_for_nothing_unless_it_is_given_a_model(
    run_dag: RunDag, states: RunDag, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    run = run_dag("kie_demo", threshold=50, work_dir=str(tmp_path))

    assert run.state == "success"
    ended = states(run)
    assert ended["generate"] == ended["too_few_credits"] == "skipped"
    assert ended["compare"] == "success"
    assert kie_simulator.jobs == []


def test_the_demo_goes_the_other_way_with_too_few_credits(
    run_dag: RunDag, states: RunDag, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    from airflow_provider_kie.sensors.credits import KieCreditsSensor

    def spend(self: KieCreditsSensor, context: object) -> float:
        kie_simulator.credits = 3
        return 50.0

    with pytest.MonkeyPatch.context() as patch:
        # The balance falls between the sensor and the branch, as it may when others spend on the account.
        patch.setattr(KieCreditsSensor, "execute", spend)
        run = run_dag("kie_demo", threshold=50, work_dir=str(tmp_path))

    ended = states(run)
    assert ended["too_few_credits"] == "success"
    assert ended["make_files"] == ended["upload_stream"] == "skipped"
    assert kie_simulator.uploads == {}


def inbox_of_three(folder: Path) -> Path:
    inbox = folder / "inbox"
    inbox.mkdir()
    for name in ("a.png", "b.txt", "c.bin"):
        (inbox / name).write_bytes(name.encode() * 100)
    return inbox


def contents(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_the_nightly_batch_moves_every_file_of_the_inbox_in_a_run_without_a_logical_date(
    run_dag: RunDag, states: RunDag, returned: RunDag, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    inbox = inbox_of_three(tmp_path)
    sent = contents(inbox)
    folders = {name: str(tmp_path / name) for name in ("inbox", "outbox", "done")}
    kie_simulator.add_model("edit", seconds=0.1, credits=4, files={"a.png": b"one", "b.png": b"two"})
    run = run_dag("kie_nightly_batch", dated=False, **folders, credits_per_file=4, model="edit")

    assert run.state == "success"
    assert run.logical_date is None
    ended = states(run)
    assert ended.pop("too_few_credits") == "skipped"
    assert set(ended.values()) == {"success"}
    assert returned(run, "wait_for_credits") == 100.0
    assert len(kie_simulator.uploads) == 3
    assert contents(tmp_path / "done") == sent
    assert contents(tmp_path / "outbox") == [b"one"] * 3 + [b"two"] * 3
    given = [job.input["image_urls"] for job in kie_simulator.jobs]
    urls = [upload.download_url for upload in kie_simulator.uploads.values()]
    assert sorted(given) == sorted([url] for url in urls)
    assert kie_simulator.credits == 100 - 3 * 4
    assert contents(inbox) == []


def test_a_night_takes_again_only_what_the_last_one_has_not_finished(
    run_dag: RunDag, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    inbox = inbox_of_three(tmp_path)
    sent = contents(inbox)
    folders = {name: str(tmp_path / name) for name in ("inbox", "outbox", "done")}
    kie_simulator.fail_next("file-base64-upload", code=400)
    assert run_dag("kie_nightly_batch", **folders).state == "failed"
    # dag.test() can end such a run early: Airflow takes it for finished when the first mapped tasks are.
    finished = contents(tmp_path / "done")
    assert sorted(finished + contents(inbox)) == sent
    paid = len(kie_simulator.jobs)

    assert run_dag("kie_nightly_batch", **folders).state == "success"
    assert len(kie_simulator.jobs) - paid == 3 - len(finished)
    uploads = [upload.sha256 for upload in kie_simulator.uploads.values()]
    assert all(uploads.count(hashlib.sha256(content).hexdigest()) == 1 for content in finished)
    assert contents(tmp_path / "done") == sent
    assert contents(inbox) == []

    assert run_dag("kie_nightly_batch", **folders).state == "success"
    assert len(kie_simulator.uploads) == len(uploads)


@pytest.mark.parametrize("example", ["kie_nightly_batch", "kie_backlog"])
def test_what_came_in_the_place_of_a_finished_file_stays(
    example: str, load_dag: RunDag, tmp_path: Path
) -> None:
    dag = load_dag(example)
    (put_away,) = [one for one in dag.tasks if one.task_id.endswith("put_away")]
    source = tmp_path / "a.png"
    uploaded = {"source": str(source), "sha256": hashlib.sha256(b"old").hexdigest()}
    source.write_bytes(b"new")
    put_away.python_callable(uploaded, str(tmp_path / "done"))
    assert source.read_bytes() == b"new"
    source.write_bytes(b"old")
    for _ in range(2):  # a retry finds it moved
        put_away.python_callable(uploaded, str(tmp_path / "done"))
        assert not source.exists()
        assert contents(tmp_path / "done") == [b"old"]


def test_the_nightly_batch_leaves_the_inbox_alone_when_the_credits_do_not_come(
    load_dag: RunDag, run_dag: RunDag, states: RunDag, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    dag = load_dag("kie_nightly_batch")
    sensor = dag.get_task("wait_for_credits")
    # dag.test() gives deferred tasks all the time in the world, and nobody waits six hours here.
    sensor.deferrable, sensor.poke_interval, sensor.timeout = False, 0.01, 0.05
    kie_simulator.credits = 14
    inbox = inbox_of_three(tmp_path)
    run = run_dag(dag, inbox=str(inbox), outbox=str(tmp_path / "outbox"), done=str(tmp_path / "done"))

    assert run.state == "success"
    ended = states(run)
    assert ended["wait_for_credits"] == "skipped"
    assert ended["enough_credits"] == ended["too_few_credits"] == "success"
    names = ("upload", "generate", "download", "put_away")
    assert {ended[f"process.{name}"] for name in names} == {"skipped"}
    assert kie_simulator.uploads == {}
    assert not (tmp_path / "outbox").exists()
    assert len(contents(inbox)) == 3


def test_the_task_functions_move_a_file(
    run_dag: RunDag, returned: RunDag, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    source = tmp_path / "photo.png"
    source.write_bytes(b"a photo")
    run = run_dag("kie_task_functions", source=str(source), destination=f"{tmp_path}/out/")

    assert run.state == "success"
    assert returned(run, "balance") == 100.0
    assert Path(returned(run, "fetch")).read_bytes() == b"a photo"
    assert len(kie_simulator.jobs) == 1
    assert Path(returned(run, "fetch__1", 0)).stat().st_size


@pytest.mark.parametrize(("budget", "jobs"), [(0, 0), (9, 0), (20, 4), (29, 4)])
def test_the_night_ends_before_it_costs_more_than_its_budget(
    budget: int, jobs: int, run_dag: RunDag, states: RunDag, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    kie_simulator.add_model("image", seconds=0.1, credits=5)
    prompts = [f"prompt {number}" for number in range(10)]  # two a wave
    run = run_dag("kie_night_budget", prompts=prompts, model="image", credits=budget, outbox=str(tmp_path))

    assert run.state == "success"
    ended = states(run)
    begun = [ended[f"inputs_{wave}"] for wave in range(5)]
    assert begun == ["success"] * (jobs // 2) + ["skipped"] * (5 - jobs // 2)
    assert sorted(job.input["prompt"] for job in kie_simulator.jobs) == prompts[:jobs]
    assert kie_simulator.credits == 100 - 5 * jobs
    assert len(list(tmp_path.rglob("*.png"))) == jobs


def test_a_night_within_its_budget_leaves_nothing_over(
    run_dag: RunDag, states: RunDag, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    kie_simulator.add_model("image", seconds=0.1, credits=1)
    run = run_dag(
        "kie_night_budget", prompts=["a", "b", "c"], model="image", credits=50, outbox=str(tmp_path)
    )

    assert run.state == "success"
    assert [ended for name, ended in states(run).items() if name.startswith("inputs")] == ["success"] * 5
    assert sorted(job.input["prompt"] for job in kie_simulator.jobs) == ["a", "b", "c"]


def test_a_night_with_a_failed_job_goes_on_and_fails_at_its_end(
    run_dag: RunDag, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    kie_simulator.add_model("image", seconds=0.1, fail=(400, "not allowed"))
    run = run_dag("kie_night_budget", prompts=["a", "b"], model="image", outbox=str(tmp_path))

    assert run.state == "failed"
    assert len(kie_simulator.jobs) == 2
    assert kie_simulator.credits == 100


@pytest.mark.parametrize("fails", [True, False], ids=["failed", "succeeded"])
def test_airflow_keeps_what_is_finished_until_a_try_succeeds(
    fails: bool, run_dag: RunDag, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    database = Path(os.environ["AIRFLOW_HOME"], "airflow.db")
    with closing(sqlite3.connect(database)) as connection:
        tables = {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}
    if "task_state_store" not in tables:
        pytest.skip("task state is kept from Airflow 3.3 on")
    source = tmp_path / "photo.png"
    source.write_bytes(b"a photo")
    sources = [str(source), *([str(tmp_path / "missing.png")] if fails else [])]
    with DAG(f"kie_state_{fails}", schedule=None) as dag:
        KieUploadOperator(task_id="upload", source=sources, upload_path="a")
    run = run_dag(dag)

    assert run.state == ("failed" if fails else "success")
    with closing(sqlite3.connect(database)) as connection:
        query = "select key, value, expires_at from task_state_store where run_id = ?"
        rows = connection.execute(query, (run.run_id,)).fetchall()
    assert len(rows) == fails
    for key, value, expires_at in rows:
        assert key.startswith("kie-")
        assert "download_url" in str(value)
        assert expires_at is not None
