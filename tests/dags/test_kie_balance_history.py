from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_kie.simulator import KieSimulator


def read(line: str) -> tuple[datetime, float]:
    time, balance = line.split(",")
    return datetime.fromisoformat(time), float(balance)


def test_each_run_adds_a_line(
    run_dag: Callable[..., Any], kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "history"
    runs = [run_dag("kie_balance_history", folder=str(folder))]
    kie_simulator.credits = 87.5
    runs.append(run_dag("kie_balance_history", dated=False, folder=str(folder)))

    assert [run.state for run in runs] == ["success", "success"]
    lines = [read(line) for path in sorted(folder.iterdir()) for line in path.read_text().splitlines()]
    assert [balance for _, balance in lines] == [100.0, 87.5]
    assert all(timedelta(0) <= datetime.now(UTC) - time < timedelta(minutes=2) for time, _ in lines)


@pytest.mark.parametrize("folder", ["memory://bucket/kie/balance", "memory://storage@bucket/kie/balance"])
def test_a_retry_writes_the_same_file_again_on_object_storage_too(
    load_dag: Callable[..., Any], kie_simulator: KieSimulator, folder: str
) -> None:
    fs = MemoryFileSystem()
    attach(protocol="memory", fs=fs)
    attach(protocol="memory", conn_id="storage", fs=fs)
    record = load_dag("kie_balance_history").get_task("record").python_callable
    for kie_simulator.credits in (60, 50):
        assert record(folder, "20261102T080000.000000.csv") == kie_simulator.credits
    (path,) = ObjectStoragePath(folder).iterdir()
    (line,) = path.read_text().splitlines()
    assert read(line)[1] == 50.0
