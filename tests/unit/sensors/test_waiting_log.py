"""What the log of a sensor says while it waits."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from airflow_provider_kie._compat import AirflowSensorTimeout
from airflow_provider_kie.sensors._base import KieBaseSensor
from airflow_provider_kie.sensors.credits import KieCreditsSensor
from airflow_provider_kie.sensors.jobs import KieJobSensor
from airflow_provider_kie.simulator import KieSimulator
from tests.faults.waiter import MODES, TaskDeferred, quick_polls, wait

UNTIL = r"until 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_polls(monkeypatch)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the sensor has logged."""
    lines: list[str] = []
    log = SimpleNamespace(
        log=lambda level, text, *values: lines.append(text % values),
        info=lambda text, *values: lines.append(text % values),
    )
    monkeypatch.setattr(KieBaseSensor, "log", log)
    return lines


@pytest.mark.parametrize("mode", MODES)
def test_it_begins_with_the_interval_and_the_deadline(
    mode: str, kie_simulator: KieSimulator, said: list[str]
) -> None:
    kie_simulator.credits = 1
    with pytest.raises(AirflowSensorTimeout):
        wait(mode, threshold=50, timeout=0.3, fellows=1)
    begin, first, *_ = said
    assert re.fullmatch(
        rf"Waiting for a balance that is at least 50 credits, checking every \S+ s, {UNTIL}", begin
    )
    assert first.startswith("The balance of 1 credits is not yet at least 50")
    assert len([line for line in said if line.startswith("Waiting")]) == 1


def test_a_sensor_of_a_job_names_it(kie_simulator: KieSimulator, said: list[str]) -> None:
    sensor = KieJobSensor(task_id="wait", job_id="abc", poke_interval=60, timeout=3600, deferrable=True)
    with pytest.raises(TaskDeferred):
        sensor.execute({})
    begin, first = said
    assert re.fullmatch(rf"Waiting for job abc, checking every 60 s, {UNTIL}", begin)
    assert first == "kie.ai has no record of job abc yet"


def test_an_interval_that_grows_is_that_of_the_beginning(
    kie_simulator: KieSimulator, said: list[str]
) -> None:
    kie_simulator.credits = 1
    with pytest.raises(AirflowSensorTimeout):
        wait("poke", threshold=50, timeout=0.1, exponential_backoff=True, fellows=1)
    assert " s at first, until " in said[0]


def test_a_balance_that_is_there_needs_no_waiting(kie_simulator: KieSimulator, said: list[str]) -> None:
    kie_simulator.credits = 50
    KieCreditsSensor(task_id="wait", threshold=50).execute({})
    assert said[0] == "The balance of 50 credits is at least 50"


def test_on_a_worker_it_does_not_repeat_itself_at_each_poke(
    kie_simulator: KieSimulator, said: list[str]
) -> None:
    kie_simulator.credits = 1
    with pytest.raises(AirflowSensorTimeout):
        wait("poke", threshold=50, timeout=2, fellows=1)
    assert len(kie_simulator.requests) > 2
    assert len(said) == 2


def test_each_poke_of_a_rescheduled_sensor_says_which_it_is_and_when_the_next_comes(
    kie_simulator: KieSimulator, said: list[str]
) -> None:
    kie_simulator.credits = 1
    with pytest.raises(AirflowSensorTimeout):
        wait("reschedule", threshold=50, timeout=2, poke_interval=0.05, fellows=1)
    pokes = said[1:]
    expected = [
        f"The balance of 1 credits is not yet at least 50 (check {number}; next check in 0.05 s)"
        for number in range(1, len(pokes) + 1)
    ]
    assert pokes == expected
    assert len(pokes) > 1


def test_a_deferred_sensor_whose_time_is_up_says_what_it_has_waited_for() -> None:
    sensor = KieCreditsSensor(task_id="wait", threshold=50, timeout=90)
    with pytest.raises(AirflowSensorTimeout) as caught:
        sensor.resume_execution("__fail__", {"error": "Trigger timeout"}, {})
    waited = "after 90 seconds of waiting for a balance that is at least 50 credits."
    assert str(caught.value) == f"Trigger timeout, {waited}"
