from __future__ import annotations

import pytest

from airflow_provider_kie.simulator import KieSimulator
from tests.runner.conftest import _bench, put

from .tries import prepare

__all__ = ["_bench", "put"]


@pytest.fixture(autouse=True)
def _prepared(kie: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(kie, monkeypatch)
