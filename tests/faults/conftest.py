from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .ledger import LEDGER, Ledger
from .trial import Trial
from .worker import Zygote


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """Give the session's account of cases."""
    return request.config.stash[LEDGER]


@pytest.fixture
def trial(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    ledger: Ledger,
) -> Iterator[Trial]:
    """Set up one call under watch."""
    theme = request.node.path.stem.removeprefix("test_")
    words = request.node.callspec.id if hasattr(request.node, "callspec") else request.node.name[5:]
    case = f"{theme}: {words.replace('-', ' ').replace('_', ' ')}"
    trial = Trial(case, tmp_path, monkeypatch, caplog, ledger)
    yield trial
    trial.end_servers()


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """Give the process whose children are killed."""
    with Zygote() as started:
        yield started
