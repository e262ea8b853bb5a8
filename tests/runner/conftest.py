from __future__ import annotations

import importlib.util
import json
from collections.abc import Generator, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import pytest

from airflow_provider_kie.simulator import KieSimulator
from tests.faults.ledger import LEDGER, Loss

from .bench import Bench, Task


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and not report.skipped:
        how = str(getattr(call.excinfo, "value", "")).partition("\n")[0]
        losses: list[tuple[Loss, str]] = [] if report.passed else [("other ending than promised", how)]
        rounds = int(dict(item.user_properties).get("rounds", 1))  # type: ignore[call-overload]
        case = f"{item.path.stem.removeprefix('test_')}: {item.name.removeprefix('test_')}"
        item.config.stash[LEDGER].close(case, losses, rounds)
    return report


HAS_STATE_STORE = importlib.util.find_spec("airflow.triggers.shared_stream") is not None
needs_state_store = pytest.mark.skipif(
    not HAS_STATE_STORE, reason="Airflow has a state store for tasks from 3.3 on"
)


class Put(Protocol):
    """Puts a task on the bench; see ``Bench.task``. Its connection to kie.ai is the simulator's."""

    def __call__(self, kind: str, retries: int = 0, **arguments: Any) -> Task: ...


@pytest.fixture(scope="session")
def _bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench")) as bench:
        yield bench


@pytest.fixture
def put(_bench: Bench, kie: KieSimulator, tmp_path: Path) -> Put:
    """Give what puts a task on the bench."""
    numbers = count(1)

    def make(kind: str, retries: int = 0, **arguments: Any) -> Task:
        connections = {"kie_default": json.loads(kie.connection())}
        folder = tmp_path / f"task-{next(numbers)}"
        return _bench.task(kind, retries, folder=folder, connections=connections, **arguments)

    return make
