"""What an outlet's event says of a result, and that it fails nothing."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias

from airflow_provider_kie._outlets import EXTRA_BYTES, add_result_to_outlet_events, extra_of


class Events:
    """The accessors of a context."""

    def __init__(self) -> None:
        self.extras: dict[str, dict[str, Any]] = {}

    def __getitem__(self, outlet: Any) -> Any:
        return SimpleNamespace(extra=self.extras.setdefault(outlet.name, {"mine": 1}))


def task(*outlets: Any) -> Any:
    return SimpleNamespace(outlets=list(outlets))


def test_a_result_is_put_beside_what_is_there() -> None:
    events = Events()
    context: Any = {"outlet_events": events}
    add_result_to_outlet_events(task(Asset("a"), Asset.ref(name="b")), context, {"path": "/a"})
    assert events.extras == {"a": {"mine": 1, "path": "/a"}, "b": {"mine": 1, "path": "/a"}}


def test_what_is_no_asset_is_left_to_the_author(caplog: pytest.LogCaptureFixture) -> None:
    events = Events()
    context: Any = {"outlet_events": events}
    add_result_to_outlet_events(task(AssetAlias("b"), object(), Asset("a")), context, {"path": "/a"})
    assert list(events.extras) == ["a"]
    assert caplog.text == ""


def test_a_long_list_becomes_a_sum() -> None:
    results = [{"path": f"/{number}", "size": 10} for number in range(10_000)]
    assert extra_of(results) == {"files": 10_000, "size": 100_000, "left_out": ["results"]}
    uploads = [{"source": "/a", "file_size": 3}] * 2
    assert extra_of(uploads) == {"files": 2, "size": 6, "results": uploads}


def test_what_is_too_large_is_named_and_the_rest_is_kept() -> None:
    job = {
        "job_id": "1",
        "output": "x" * EXTRA_BYTES,
        "raw": "x" * 2 * EXTRA_BYTES,
        "urls": ["https://e.example/a"],
    }
    extra = extra_of(job)
    assert extra == {"job_id": "1", "urls": ["https://e.example/a"], "left_out": ["raw", "output"]}
    assert len(json.dumps(extra)) < EXTRA_BYTES


def test_outlets_that_cannot_be_told_fail_nothing(caplog: pytest.LogCaptureFixture) -> None:
    add_result_to_outlet_events(task(Asset("a")), {}, {"path": "/a"})
    assert "events of the task's outlets lack its result" in caplog.text
