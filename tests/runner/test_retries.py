"""What Airflow is told of the next try of a task that has failed."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_kie._compat import HAS_RETRY_POLICIES
from airflow_provider_kie.simulator import KieSimulator

from .bench import Task
from .conftest import Put

pytestmark = pytest.mark.skipif(not HAS_RETRY_POLICIES, reason="Airflow asks a policy from 3.3 on")

WAYS = {"follow_task_ids_if_true": "enough", "follow_task_ids_if_false": "too_few"}
BUSY: dict[str, Any] = {"code": 429, "retry_after": 7, "times": 9}
TASKS: dict[str, dict[str, Any]] = {
    "branch": {"threshold": 1, **WAYS},
    "upload": {"source": "https://example.com/a.png", "upload_path": "a"},
    "generate": {"input": {"prompt": "a"}, "model": "m"},
    "chat": {"prompt": "a", "model": "m"},
}
CALLS = {"branch": "credit", "upload": "file-url-upload", "generate": "createTask", "chat": "chat"}


@pytest.fixture
def at_once(put: Put, kie: KieSimulator) -> Any:
    """Put a task on the bench whose client repeats nothing."""

    def make(kind: str, retries: int = 1, **more: Any) -> Task:
        task = put(kind, retries=retries, **TASKS[kind], **more)
        task.airflow.connections["kie_default"].setdefault("extra", {})["max_retries"] = 0
        return task

    return make


@pytest.mark.parametrize("kind", TASKS)
def test_a_retry_waits_as_long_as_kie_ai_asked(kind: str, at_once: Any, kie: KieSimulator) -> None:
    kie.fail_next(CALLS[kind], **BUSY)
    task = at_once(kind)
    assert task.run().state == "up_for_retry"
    assert task.airflow.told["retry_delay_seconds"] == 7
    # The policy's word does not give a task more retries than it has.
    assert task.run().state == "failed"


def test_a_mapped_task_waits_as_well(at_once: Any, kie: KieSimulator) -> None:
    kie.fail_next("createTask", **BUSY)
    task = at_once("generate")
    task.arguments["expand"] = [{"input": task.arguments.pop("input")}]
    task.airflow.map_index = 0
    assert task.run().state == "up_for_retry"
    assert task.airflow.told["retry_delay_seconds"] == 7


def test_where_kie_ai_asks_for_nothing_the_task_decides(at_once: Any, kie: KieSimulator) -> None:
    kie.fail_next("credit", status=503)
    task = at_once("branch")
    assert task.run().state == "up_for_retry"
    assert task.airflow.told.get("retry_delay_seconds") is None


def test_a_task_without_a_policy_waits_as_airflow_does(at_once: Any, kie: KieSimulator) -> None:
    kie.fail_next("credit", **BUSY)
    task = at_once("branch", retry_policy=None)
    assert task.run().state == "up_for_retry"
    assert task.airflow.told.get("retry_delay_seconds") is None


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_sensor_whose_failure_no_retry_mends_fails_at_once(
    deferrable: bool, put: Put, kie: KieSimulator
) -> None:
    kie.fail_next("credit", code=401, times=9)
    task = put("sensor", retries=3, threshold=1, deferrable=deferrable)
    assert task.finish().state == "failed"
    assert len(kie.requests_to("credit")) == 1
