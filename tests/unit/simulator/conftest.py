from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from airflow_provider_kie.simulator import KieSimulator


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
