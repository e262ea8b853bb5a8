from __future__ import annotations

import logging

import pytest

from tests.unit.client.sending import (
    Send,
    send_async,
    send_sync,
)


@pytest.fixture(params=[send_sync, send_async], ids=["sync", "async"])
def send(request: pytest.FixtureRequest) -> Send:
    """Send a call with a client of its own, once for each kind of client."""
    function: Send = request.param
    return function


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that is logged, by the libraries too, whatever Airflow made of their levels."""
    for name in (None, "httpx", "httpcore", "airflow_provider_kie"):
        caplog.set_level(logging.DEBUG, name)
    return caplog
