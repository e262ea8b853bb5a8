from __future__ import annotations

import pytest

from airflow_provider_kie.simulator import KieSimulator
from tests.runner.bench import Task
from tests.runner.conftest import Put, _bench, put

from .bench import MODES
from .tries import prepare

__all__ = ["_bench", "put"]


@pytest.fixture(autouse=True)
def _prepared(kie: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(kie, monkeypatch)


@pytest.fixture(params=MODES)
def job(request: pytest.FixtureRequest, put: Put) -> Task:
    """Give a task that generates, in each mode."""
    how = {"input": {"prompt": "a cat"}, "model": "m", "poll_interval": 0.05, **MODES[request.param]}
    return put("generate", retries=3, **how)
