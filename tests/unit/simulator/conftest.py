from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from airflow_provider_kie.simulator import KieSimulator
from airflow_provider_kie.simulator.__main__ import main

Run = Callable[..., str]


@pytest.fixture
def web(kie: KieSimulator) -> Iterator[httpx.Client]:
    """A client with the key."""
    headers = {"Authorization": f"Bearer {kie.api_key}", "User-Agent": "tests"}
    with httpx.Client(headers=headers, timeout=20, trust_env=False, verify=False) as client:
        yield client


@pytest.fixture
def plain() -> Iterator[httpx.Client]:
    """A client without the key."""
    with httpx.Client(headers={"User-Agent": "tests"}, timeout=20, trust_env=False, verify=False) as client:
        yield client


@pytest.fixture
def run(kie: KieSimulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Give a command to the simulator that the default connection leads to; give what it prints."""
    monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", kie.connection())

    def give(*arguments: str) -> str:
        main(arguments)
        return capsys.readouterr().out

    return give
