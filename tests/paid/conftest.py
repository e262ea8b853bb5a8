from __future__ import annotations

import pytest

from airflow_provider_kie.simulator import KieSimulator

from .tries import prepare


@pytest.fixture(autouse=True)
def _prepared(kie: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(kie, monkeypatch)
