"""How a failed task reads in its log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kie.simulator import KieSimulator

from .conftest import Put

WAYS = {"follow_task_ids_if_true": "enough", "follow_task_ids_if_false": "too_few"}
REFUSED = {"code": 401, "times": 9}
AWAY = {"status": 503, "times": 9}
CUT_OFF = {"drop_after": -1, "times": 9}
FAILURES: dict[str, tuple[str, dict[str, Any], dict[str, dict[str, Any]], str]] = {
    "branch, wrong key": ("branch", {"threshold": 1, **WAYS}, {"credit": REFUSED}, "Check the API key"),
    "branch, outage": ("branch", {"threshold": 1, **WAYS}, {"credit": AWAY}, "503"),
    "sensor, wrong key": ("sensor", {"threshold": 1}, {"credit": REFUSED}, "Check the API key"),
    "sensor, deferred": (
        "sensor",
        {"threshold": 1, "deferrable": True},
        {"credit": REFUSED},
        "Check the API key",
    ),
    "sensor, time is up": (
        "sensor",
        {"threshold": 1e9, "timeout": 0.1, "poke_interval": 0.1},
        {},
        "timed out",
    ),
    "job sensor, time is up": (
        "job_sensor",
        {"job_id": "abc", "timeout": 0.1, "poke_interval": 0.1},
        {},
        "Nothing was cancelled",
    ),
    "upload, no file": ("upload", {"source": "/nowhere/a.png", "upload_path": "a"}, {}, "/nowhere/a.png"),
    "upload, no files": ("upload", {"source": ["/nowhere/a.png"], "upload_path": "a"}, {}, "/nowhere/a.png"),
    "upload, denied": (
        "upload",
        {"source": "memory://bucket/a.png", "upload_path": "a"},
        {},
        "Access denied",
    ),
    "branch, no answer": ("branch", {"threshold": 1, **WAYS}, {"credit": CUT_OFF}, "connection broke"),
    "download, unknown file": (
        "download",
        {"file_url": "https://kie.ai/a.png", "destination": "/nowhere/"},
        {"download-url": {"code": 422, "times": 9}},
        "KieValidationError",
    ),
    "chat, refused": ("chat", {"prompt": "a", "model": "m"}, {"chat": {"code": 422, "times": 9}}, "code 422"),
    "generate, no credits": (
        "generate",
        {"input": {"prompt": "a"}, "model": "m"},
        {"createTask": {"code": 402, "times": 9}},
        "Top up the account",
    ),
    "generate, failed": (
        "generate",
        {"input": {"prompt": "a"}, "model": "m", "poll_interval": 0.05},
        {},
        "no pictures of cats",
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_the_sentence_that_matters_stands_once_under_few_frames(
    case: str, put: Put, kie: KieSimulator, tmp_path: Path
) -> None:
    kind, arguments, faults, said = FAILURES[case]
    kie.add_model("m", seconds=0, fail=(400, "no pictures of cats"))
    for operation, fault in faults.items():
        kie.fail_next(operation, **fault)
    ended = put(kind, **arguments).finish()
    assert ended.state == "failed"
    told = [json.loads(line) for path in tmp_path.rglob("task.log") for line in path.read_text().splitlines()]
    [[error]] = [line["error_detail"] for line in told if "error_detail" in line]
    ours = [frame for frame in error["frames"] if "airflow_provider_kie" in frame["filename"]]
    assert 1 <= len(ours) <= 3, ours
    assert said in error["exc_value"]
    [last] = [line for line in told if line["level"] in ("error", "critical")]
    assert last["error_detail"] == [error]
