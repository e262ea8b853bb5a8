"""Airflow cannot look up the connection for a while: operators keep their retries, and waiting goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kie.simulator import KieSimulator
from tests.faults import FULL

from .bench import Outcome
from .conftest import HAS_STATE_STORE, Put, needs_state_store

MISSES = 10
FAULTS = {"not found": 404, "server error": 500, "no answer": 0}
if not HAS_STATE_STORE:
    # The supervisor of Airflow 3.1 dies of it.
    del FAULTS["no answer"]


@pytest.fixture
def work(request: pytest.FixtureRequest, kie: KieSimulator, tmp_path: Path) -> dict[str, Any]:
    """Give a kind of task with an operator, and its arguments."""
    kie.credits = 7
    source, url = tmp_path / "a.txt", kie.add_generated_file("a.txt", b"generated")
    source.write_text("some text")
    work: dict[str, dict[str, Any]] = {
        "upload": {"source": str(source), "upload_path": "lookups"},
        "uploads": {"source": [str(source)] * 3, "upload_path": "lookups"},
        "download": {"file_url": url, "destination": f"{tmp_path}/out/"},
        "downloads": {"file_url": [url] * 3, "destination": f"{tmp_path}/out/"},
        "branch": {
            "threshold": 5,
            "follow_task_ids_if_true": "enough",
            "follow_task_ids_if_false": "too_few",
        },
    }
    return {"kind": request.param.rstrip("s"), **work[request.param]}


def tells_what_to_do(ended: Outcome) -> bool:
    """Tell whether the log names the connection and shows how one is made."""
    return "AIRFLOW_CONN_KIE_DEFAULT" in ended.log and "'kie_default'" in ended.log


KINDS = ["upload", "uploads", "download", "downloads", "branch"]
OUTAGES = [(KINDS[0], fault) for fault in FAULTS] + [(kind, "server error") for kind in KINDS[1:]]
IDS = [f"{kind}, {fault}" for kind, fault in OUTAGES]


@pytest.mark.parametrize(
    ("work", "fault"), OUTAGES[: None if FULL else 2], ids=IDS[: None if FULL else 2], indirect=["work"]
)
def test_an_operator_keeps_its_retries(fault: str, work: dict[str, Any], put: Put) -> None:
    task = put(retries=1, **work)
    task.airflow.fail("connection", FAULTS[fault])
    ended = task.run()
    assert (ended.state, tells_what_to_do(ended)) == ("up_for_retry", True)
    task.airflow.heal("connection")
    assert task.run().state == "success"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_poking_sensor_waits_on_and_sees_the_balance_when_the_lookup_works_again(
    fault: str, put: Put, kie: KieSimulator
) -> None:
    kie.credits = 7
    task = put("sensor", threshold=5, poke_interval=0.05)
    # Whoever gets no good answer asks twice.
    times = (MISSES - 1) * (1 if fault == "not found" else 2)
    task.airflow.fail("connection", FAULTS[fault], times=times)
    ended = task.run()
    assert (ended.state, ended.result) == ("success", 7)


def test_a_poking_sensor_counts_only_misses_in_a_row(put: Put, kie: KieSimulator) -> None:
    kie.credits = 0
    task = put("sensor", threshold=5, poke_interval=0.05)
    task.airflow.fail("connection", 404, times=MISSES - 1)
    task.airflow.fail("connection", times=1)
    task.airflow.fail("connection", 404, times=MISSES - 1)
    run = task.start()
    task.airflow.wait_for("connection", count=2 * MISSES)
    kie.credits = 7
    assert run.wait().state == "success"


def test_a_poking_sensor_ends_after_many_misses_in_a_row_and_tells_what_to_do(put: Put) -> None:
    task = put("sensor", retries=1, threshold=5, poke_interval=0.05)
    task.airflow.fail("connection", 404)
    ended = task.run()
    assert (ended.state, tells_what_to_do(ended)) == ("up_for_retry", True)
    assert len(task.airflow.asked("connection")) == MISSES
    # A retry counts from the beginning.
    task.airflow.heal("connection")
    task.airflow.fail("connection", 404, times=1)
    assert task.run().state == "success"


def test_a_sensor_is_not_skipped_by_soft_fail_when_the_lookup_fails_for_good(put: Put) -> None:
    task = put("sensor", threshold=5, poke_interval=0.05, soft_fail=True)
    task.airflow.fail("connection", 404)
    assert task.run().state == "failed"


@needs_state_store
@pytest.mark.skipif(not FULL, reason="a dozen tries; the unit tests count as well")
def test_a_rescheduled_sensor_counts_misses_over_its_reschedules(put: Put, kie: KieSimulator) -> None:
    kie.credits = 0
    task = put("sensor", threshold=5, mode="reschedule", poke_interval=1)
    # A miss, then an answer that begins the count anew.
    task.airflow.fail("connection", 500, times=2)
    assert [task.run().state, task.run(again=True).state] == ["up_for_reschedule"] * 2
    task.airflow.fail("connection", 404)
    tries = [task.run(again=True) for _ in range(MISSES)]
    assert [each.state for each in tries] == ["up_for_reschedule"] * (MISSES - 1) + ["failed"]
    assert tells_what_to_do(tries[-1])


def test_a_rescheduled_sensor_goes_on_after_a_miss(put: Put, kie: KieSimulator) -> None:
    kie.credits = 7
    task = put("sensor", threshold=5, mode="reschedule", poke_interval=1)
    task.airflow.fail("connection", 404, times=1)
    assert task.run().state == "up_for_reschedule"
    assert task.run(again=True).state == "success"
