from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kie.simulator import KieSimulator


@pytest.fixture
def _pool(_database: None) -> None:
    from airflow.models.pool import Pool

    Pool.create_or_update_pool("kie", 4, "Tasks that use kie.ai", include_deferred=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("_pool")
def test_it_drains_some_files_a_run_and_a_failed_one_stays_for_the_next(
    run_dag: Callable[..., Any],
    states: Callable[..., Any],
    kie_simulator: KieSimulator,
    tmp_path: Path,
) -> None:
    backlog, done = tmp_path / "backlog", tmp_path / "done"
    backlog.mkdir()
    files = {"new.png": b"new", "older.png": b"older", "oldest.png": b"oldest"}
    for age, (name, content) in enumerate(files.items()):
        (backlog / name).write_bytes(content)
        os.utime(backlog / name, (1_000_000_000 - age, 1_000_000_000 - age))
    folders = {"backlog": str(backlog), "done": str(done), "outbox": str(tmp_path / "outbox")}
    kie_simulator.add_model("demo/edit", seconds=0.1, credits=4)

    kie_simulator.fail_next("file-base64-upload", code=400)
    first = run_dag("kie_backlog", files_per_run=2, **folders)
    assert first.state == "failed"
    uploads = {name: state for name, state in states(first).items() if name.startswith("drain.upload[")}
    assert sorted(uploads.values()) == ["failed", "success"]
    assert {ti.pool for ti in first.get_task_instances() if ti.task_id == "drain.upload"} == {"kie"}
    # dag.test() can end such a run early: Airflow takes it for finished when the first mapped tasks are.
    finished, paid = contents(done), len(kie_simulator.jobs)
    assert set(finished) < {"older.png", "oldest.png"}
    assert contents(backlog) == {name: content for name, content in files.items() if name not in finished}

    second = run_dag("kie_backlog", **folders)
    assert second.state == "success"
    assert contents(backlog) == {}
    assert contents(done) == files
    assert len(kie_simulator.jobs) - paid == 3 - len(finished)
    assert kie_simulator.credits == 100 - 4 * len(kie_simulator.jobs)
    assert len(list((tmp_path / "outbox" / second.run_id).rglob("*.png"))) == 3 - len(finished)
    sent = [upload.sha256 for upload in kie_simulator.uploads.values()]
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    assert set(sent) == set(hashes.values())
    assert all(sent.count(hashes[name]) == 1 for name in finished)


@pytest.mark.usefixtures("_pool")
def test_an_empty_backlog_is_a_quiet_run(
    run_dag: Callable[..., Any], states: Callable[..., Any], kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    run = run_dag("kie_backlog", dated=False, backlog=str(tmp_path), done=str(tmp_path / "done"))

    assert run.state == "success"
    names = ("upload", "generate", "download", "put_away")
    assert states(run) == {"wait_for_credits": "success", "take": "success"} | {
        f"drain.{name}": "skipped" for name in names
    }
    assert [request.call for request in kie_simulator.requests] == ["credit"]
