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
    url = kie_simulator.add_generated_file("generated.mp4", b"generated")
    sha256 = hashlib.sha256(b"generated").hexdigest()
    run = run_dag(
        "kie_demo", threshold=50, work_dir=str(tmp_path), generated_file_url=url, generated_sha256=sha256
    )

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


def test_the_nightly_batch_moves_every_file_of_the_inbox(
    run_dag: RunDag, states: RunDag, returned: RunDag, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for name in ("a.png", "b.txt", "c.bin"):
        (inbox / name).write_bytes(name.encode() * 100)
    run = run_dag("kie_nightly_batch", inbox=str(inbox), outbox=str(tmp_path / "outbox"), credits_per_file=1)

    assert run.state == "success"
    assert set(states(run).values()) == {"success"}
    assert returned(run, "wait_for_credits") == 100.0
    assert len(kie_simulator.uploads) == 3
    sent = sorted(path.read_bytes() for path in inbox.iterdir())
    assert sorted(path.read_bytes() for path in (tmp_path / "outbox").iterdir()) == sent


def test_the_task_functions_move_a_file(
    run_dag: RunDag, returned: RunDag, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    source = tmp_path / "photo.png"
    source.write_bytes(b"a photo")
    run = run_dag("kie_task_functions", source=str(source), destination=f"{tmp_path}/out/")

    assert run.state == "success"
    assert returned(run, "balance") == 100.0
    assert Path(returned(run, "fetch")).read_bytes() == b"a photo"


def test_airflow_keeps_what_is_finished_between_the_tries_of_a_task(
    run_dag: RunDag, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    database = Path(os.environ["AIRFLOW_HOME"], "airflow.db")
    with closing(sqlite3.connect(database)) as connection:
        tables = {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}
    if "task_state_store" not in tables:
        pytest.skip("task state is kept from Airflow 3.3 on")
    source = tmp_path / "photo.png"
    source.write_bytes(b"a photo")
    with DAG("kie_state", schedule=None) as dag:
        KieUploadOperator(task_id="upload", source=[str(source)], upload_path="a")
    run = run_dag(dag)

    assert run.state == "success"
    with closing(sqlite3.connect(database)) as connection:
        query = "select key, value, expires_at from task_state_store where run_id = ?"
        rows = connection.execute(query, (run.run_id,)).fetchall()
    assert len(rows) == 1
    key, value, expires_at = rows[0]
    assert key.startswith("kie-")
    assert "download_url" in str(value)
    assert expires_at is not None
