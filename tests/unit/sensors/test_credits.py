"""One table over poke, reschedule and deferrable: the same answers and the same errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException
from airflow.triggers.base import TriggerEvent

from airflow_provider_kie._compat import AirflowSensorTimeout, AirflowSkipException
from airflow_provider_kie.client import errors
from airflow_provider_kie.sensors.credits import KieCreditsSensor
from airflow_provider_kie.simulator import KieSimulator
from airflow_provider_kie.triggers.credits import KieCreditsTrigger

try:
    from airflow.sdk.exceptions import AirflowRescheduleException, TaskDeferred
except ImportError:  # Airflow 3.1
    from airflow.exceptions import AirflowRescheduleException, TaskDeferred  # type: ignore[no-redef]

MODES = ("poke", "reschedule", "deferrable")
Connect = Callable[..., str]


class TaskInstance:
    """As much of Airflow's as a rescheduled sensor asks for: when it was first rescheduled."""

    first: Any = None

    def get_first_reschedule_date(self, context: Any) -> Any:
        return self.first


async def one_event(deferred: Any) -> TriggerEvent:
    classpath, kwargs = deferred.trigger.serialize()
    assert classpath == f"{KieCreditsTrigger.__module__}.{KieCreditsTrigger.__qualname__}"
    again = KieCreditsTrigger(**json.loads(json.dumps(kwargs)))
    async with asyncio.timeout(deferred.timeout.total_seconds()):
        return await anext(again.run())


def run(mode: str, **kwargs: Any) -> Any:
    """Run a sensor to its end as Airflow's task runner and triggerer would."""
    arguments: dict[str, Any] = {
        "task_id": "wait",
        "poke_interval": 0.02,
        "timeout": 5,
        "threshold": 50,
    } | kwargs
    sensor = KieCreditsSensor(
        **arguments, mode="reschedule" if mode == "reschedule" else "poke", deferrable=mode == "deferrable"
    )
    task_instance = TaskInstance()
    context: Any = {"ti": task_instance}
    while True:
        try:
            return sensor.execute(context)
        except AirflowRescheduleException as again:
            task_instance.first = task_instance.first or again.reschedule_date
        except TaskDeferred as deferred:
            try:
                event = asyncio.run(one_event(deferred))
            except TimeoutError:
                failed = {"error": "Trigger timeout"}
                return sensor.resume_execution("__fail__", failed, context)
            return sensor.resume_execution(deferred.method_name, {"event": event.payload}, context)


@pytest.mark.parametrize("mode", MODES)
def test_a_balance_that_is_there_ends_it_at_once(mode: str, kie_simulator: KieSimulator) -> None:
    kie_simulator.credits = 50
    result = run(mode)
    assert result == 50.0
    assert isinstance(result, float)
    assert len(kie_simulator.requests) == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("condition", "threshold", "before", "after"),
    [("at_least", 50, 49.9, 50), ("at_least", "50", 0, 1e6), ("below", 50, 50, 49.9), ("below", "0", 0, -1)],
)
def test_it_waits_for_the_balance(
    mode: str, condition: str, threshold: Any, before: float, after: float, kie_simulator: KieSimulator
) -> None:
    balances = iter([before, before, before, after])
    poll_with(kie_simulator, balances)
    assert run(mode, condition=condition, threshold=threshold) == after
    assert next(balances, None) is None


def poll_with(kie: KieSimulator, balances: Any) -> None:
    for balance in list(balances := list(balances)):
        body = json.dumps({"code": 200, "msg": "success", "data": balance}).encode()
        kie.fail_next("credit", body=body)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "fault",
    [
        {"code": 429},
        {"code": 430},
        {"code": 455},
        {"code": 500},
        {"status": 524},
        {"html": True},
        {"drop_after": -1},
    ],
)
def test_a_transient_failure_is_not_yet(
    mode: str, fault: dict[str, Any], kie_simulator: KieSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    kie_simulator.fail_next("credit", **fault, times=3)
    assert run(mode) == 100.0
    assert len(kie_simulator.requests) == 4


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("soft_fail", [False, True])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (401, errors.KieAuthError),
        (402, errors.KieInsufficientCreditsError),
        (404, errors.KieNotFoundError),
        (422, errors.KieValidationError),
        (433, errors.KieQuotaError),
        (505, errors.KieFeatureDisabledError),
    ],
)
def test_a_permanent_failure_ends_it_whatever_soft_fail_says(
    mode: str, soft_fail: bool, code: int, kind: type[errors.KieError], kie_simulator: KieSimulator
) -> None:
    kie_simulator.credits = 0
    kie_simulator.fail_next("credit", delay=0.001)
    kie_simulator.fail_next("credit", code=code)
    with pytest.raises(kind) as caught:
        run(mode, soft_fail=soft_fail)
    assert type(caught.value) is kind
    assert not isinstance(caught.value, AirflowException)
    assert caught.value.code == code
    assert len(kie_simulator.requests) == 2


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("soft_fail", [False, True])
def test_a_missing_connection_ends_it_whatever_soft_fail_says(mode: str, soft_fail: bool) -> None:
    with pytest.raises(errors.KieConfigError, match="'kie_nowhere' does not exist"):
        run(mode, kie_conn_id="kie_nowhere", soft_fail=soft_fail)


@pytest.mark.parametrize("mode", MODES)
def test_the_timeout_ends_it(mode: str, kie_simulator: KieSimulator) -> None:
    kie_simulator.credits = 0
    with pytest.raises(AirflowSensorTimeout):
        run(mode, timeout=0.2)


@pytest.mark.parametrize("mode", MODES)
def test_the_timeout_ends_it_while_kie_ai_is_down(mode: str, kie_simulator: KieSimulator) -> None:
    kie_simulator.fail_next("credit", code=500, times=10_000)
    with pytest.raises(AirflowSensorTimeout):
        run(mode, timeout=0.2)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", ["soft_fail", "never_fail"])
def test_the_timeout_is_a_skip_if_wanted(mode: str, how: str, kie_simulator: KieSimulator) -> None:
    if how == "never_fail" and mode != "deferrable":
        pytest.skip("Airflow's own: never_fail does not cover a timeout between pokes")
    kie_simulator.credits = 0
    with pytest.raises(AirflowSkipException):
        run(mode, timeout=0.2, **{how: True})


@pytest.mark.parametrize("mode", MODES)
def test_never_fail_makes_a_permanent_failure_a_skip(mode: str, kie_simulator: KieSimulator) -> None:
    for wait_first in (False, True):
        kie_simulator.credits = 0
        if wait_first:
            kie_simulator.fail_next("credit", delay=0.001)
        kie_simulator.fail_next("credit", code=401)
        with pytest.raises(AirflowSkipException):
            run(mode, never_fail=True)


@pytest.mark.parametrize("mode", MODES)
def test_silent_fail_goes_on_after_a_permanent_failure(mode: str, kie_simulator: KieSimulator) -> None:
    kie_simulator.fail_next("credit", code=401, times=3)
    assert run(mode, silent_fail=True) == 100.0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"threshold": "many"}, "threshold must be a number"),
        ({"threshold": None}, "threshold must be a number"),
        ({"threshold": True}, "threshold must be a number"),
        ({"condition": "above"}, "at_least, below"),
    ],
)
def test_bad_arguments_are_refused_before_any_request(
    mode: str, arguments: dict[str, Any], reason: str, kie_simulator: KieSimulator
) -> None:
    with pytest.raises(ValueError, match=reason):
        run(mode, **arguments)
    assert kie_simulator.requests == []


def test_strings_and_the_connection_are_templated_and_assigned_as_they_came() -> None:
    fields = KieCreditsSensor.template_fields
    assert set(fields) == {"threshold", "condition", "kie_conn_id"}
    given: dict[str, Any] = {name: f"{{{{ {name} }}}}" for name in fields}
    sensor = KieCreditsSensor(task_id="wait", **given)
    assert {name: getattr(sensor, name) for name in fields} == given


def test_the_settings_of_the_sensor_reach_the_trigger(kie_simulator: KieSimulator, connect: Connect) -> None:
    kie_simulator.credits = 0
    connect("kie_b", host=kie_simulator.api_url, password=kie_simulator.api_key)
    sensor = KieCreditsSensor(
        task_id="wait",
        threshold="7.5",
        condition="at_least",
        kie_conn_id="kie_b",
        poke_interval=33,
        timeout=44,
        deferrable=True,
        silent_fail=True,
    )
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    assert deferred.value.trigger.serialize()[1] == {
        "threshold": 7.5,
        "condition": "at_least",
        "poke_interval": 33.0,
        "kie_conn_id": "kie_b",
        "silent_fail": True,
    }
    assert deferred.value.method_name == "execute_complete"
    assert deferred.value.timeout is not None
    assert deferred.value.timeout.total_seconds() == 44


@pytest.mark.parametrize(
    "event",
    [None, {}, {"status": "success"}, {"status": "success", "credits": "7"}, {"status": "error"}, "yes"],
)
def test_an_event_that_is_not_the_triggers_is_refused(event: Any) -> None:
    sensor = KieCreditsSensor(task_id="wait", threshold=1)
    with pytest.raises(ValueError, match="no event of KieCreditsTrigger"):
        sensor.execute_complete({}, event)


def test_an_error_of_a_class_that_is_gone_is_still_an_error() -> None:
    sensor = KieCreditsSensor(task_id="wait", threshold=1)
    event = {"status": "error", "error": "re", "message": "what happened", "code": 499}
    with pytest.raises(errors.KieError, match="what happened"):
        sensor.execute_complete({}, event)
