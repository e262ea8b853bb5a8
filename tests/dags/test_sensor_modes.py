"""The sensor's arguments as Airflow itself applies them: one table over poke, reschedule and deferrable."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_kie.sensors.credits import KieCreditsSensor
from airflow_provider_kie.simulator import KieSimulator

pytest.importorskip(
    "airflow.triggers.shared_stream",
    reason="dag.test() before Airflow 3.3 trips over rescheduled sensors; the unit tests cover them there",
)
RunDag = Callable[..., Any]
Wait = Callable[..., dict[str, str]]
MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule"},
    "deferrable": {"deferrable": True},
}


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def wait(mode: str, run_dag: RunDag, states: Callable[[Any], dict[str, str]]) -> Wait:
    """Run a DAG of one mapped sensor; say how each ended."""

    def run(*thresholds: Any, **arguments: Any) -> dict[str, str]:
        arguments = {"poke_interval": 0.05, "timeout": 20, "retry_delay": timedelta(0)} | arguments
        with DAG(f"kie_modes_{mode}", schedule=None) as dag:
            sensor = KieCreditsSensor.partial(task_id="wait", **arguments, **MODES[mode])
            sensor.expand(threshold=list(thresholds))
        return states(run_dag(dag))

    return run


def answer_with(kie: KieSimulator, *balances: float, delay: float = 0.0) -> None:
    for balance in balances:
        body = json.dumps({"code": 200, "msg": "success", "data": balance})
        kie.fail_next("credit", body=body, delay=delay)


def test_mapped_sensors_wait_each_for_its_own(wait: Wait, kie_simulator: KieSimulator) -> None:
    answer_with(kie_simulator, 5, 15)
    kie_simulator.fail_next("credit", code=500)
    answer_with(kie_simulator, 15, 25)
    assert wait(10, "20") == {"wait[0]": "success", "wait[1]": "success"}
    assert len(kie_simulator.requests) >= 5


@pytest.mark.parametrize(("soft_fail", "ended"), [(False, "failed"), (True, "skipped")])
def test_the_timeout_ends_it_without_a_retry(
    soft_fail: bool, ended: str, mode: str, wait: Wait, kie_simulator: KieSimulator
) -> None:
    if mode == "deferrable":
        pytest.skip("dag.test() lets no deferral time out; see the unit tests of the sensor")
    kie_simulator.credits = 0
    assert wait(50, timeout=0.3, soft_fail=soft_fail, retries=2) == {"wait[0]": ended}


def test_what_no_retry_mends_is_not_retried(wait: Wait, kie_simulator: KieSimulator) -> None:
    kie_simulator.fail_next("credit", code=401)
    assert wait(50, retries=1) == {"wait[0]": "failed"}
    assert len(kie_simulator.requests) == 1


def test_without_a_policy_a_permanent_error_is_retried_as_configured(
    wait: Wait, kie_simulator: KieSimulator
) -> None:
    kie_simulator.fail_next("credit", code=401)
    assert wait(50, retries=1, retry_policy=None) == {"wait[0]": "success"}
    assert len(kie_simulator.requests) == 2


@pytest.mark.parametrize("soft_fail", [False, True])
def test_a_permanent_error_fails_it_when_the_retries_are_used_up(
    soft_fail: bool, wait: Wait, kie_simulator: KieSimulator
) -> None:
    answer_with(kie_simulator, 0)
    kie_simulator.fail_next("credit", code=401, times=5)
    assert wait(50, retries=1, retry_policy=None, soft_fail=soft_fail) == {"wait[0]": "failed"}
    assert len(kie_simulator.requests) == 3


def test_an_odd_answer_ends_it_the_third_time_and_a_retry_counts_anew(
    mode: str, wait: Wait, kie_simulator: KieSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rescheduled, Airflow's own state store counts."""
    monkeypatch.setattr("airflow_provider_kie.triggers._polling.LONGEST_BACKOFF", 0.05)
    kie_simulator.fail_next("credit", code=404, times=50)
    assert wait(50, retries=1, retry_policy=None) == {"wait[0]": "failed"}
    assert len(kie_simulator.requests) == (8 if mode == "deferrable" else 6)


def test_odd_answers_that_do_not_come_in_a_row_are_waited_out(
    wait: Wait, kie_simulator: KieSimulator
) -> None:
    for _ in range(2):
        kie_simulator.fail_next("credit", code=404, times=2)
        answer_with(kie_simulator, 0)
    assert wait(50) == {"wait[0]": "success"}
    assert len(kie_simulator.requests) == 7


def test_execution_timeout_counts_the_time_on_a_worker(
    mode: str, wait: Wait, kie_simulator: KieSimulator
) -> None:
    if mode == "reschedule":
        pytest.skip("Airflow's own: each poke has the whole time")
    answer_with(kie_simulator, 0)
    if mode == "poke":
        kie_simulator.credits = 0
    ended = wait(
        50, execution_timeout=timedelta(seconds=2), poke_interval=2.5 if mode == "deferrable" else 0.1
    )
    assert ended == {"wait[0]": "failed" if mode == "poke" else "success"}
