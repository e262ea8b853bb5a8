from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Connect = Callable[..., str]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Define an Airflow connection of the type ``kie``; give its id."""

    def define(conn_id: str = "kie_default", **fields: Any) -> str:
        connection = json.dumps({"conn_type": "kie", "password": "a-key", **fields})
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", connection)
        return conn_id

    return define
