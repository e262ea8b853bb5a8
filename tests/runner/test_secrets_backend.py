"""The connection from a secrets backend: a task has it, and its log does not show the key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_kie.simulator import KieSimulator

from .bench import Bench


@pytest.fixture
def bench(kie: KieSimulator, tmp_path: Path) -> Iterator[Bench]:
    """A bench whose Airflow has a secrets backend, which knows the simulator as ``kie_vault``."""
    connections = tmp_path / "connections.json"
    connections.write_text(json.dumps({"kie_vault": json.loads(kie.connection())}))
    environment = {
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(connections)}),
    }
    (tmp_path / "bench").mkdir()
    with Bench(tmp_path / "bench", environment) as bench:
        yield bench


def test_a_task_has_its_connection_from_a_secrets_backend_and_its_key_is_masked(
    bench: Bench, kie: KieSimulator, tmp_path: Path
) -> None:
    source = tmp_path / "a.txt"
    source.write_text("hello")
    task = bench.task(
        "upload",
        folder=tmp_path / "task",
        connections={},
        source=str(source),
        upload_path="before/{{ conn.kie_vault.password }}/after",
        kie_conn_id="kie_vault",
    )
    ended = task.run(seconds=60)
    assert ended.state == "success"
    [request] = kie.requests_to("file-base64-upload")
    assert request.code == 200
    assert "before/***/after" in ended.log
    assert kie.api_key not in ended.log
    written = [path.read_text(errors="replace") for path in (tmp_path / "task").rglob("*") if path.is_file()]
    assert kie.api_key not in "".join(written)
