"""One table over poke, reschedule and deferrable: the same answers and the same errors."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException

from airflow_provider_kie._compat import AirflowSensorTimeout, AirflowSkipException, TaskDeferralError
from airflow_provider_kie.client import errors
from airflow_provider_kie.sensors import _rescheduled
from airflow_provider_kie.sensors.credits import KieCreditsSensor
from airflow_provider_kie.simulator import KieSimulator
from tests.faults.waiter import MODES, TaskDeferred, quick_polls, wait
from tests.unit.state_store import StateStore

Connect = Callable[..., str]
run = partial(wait, fellows=1)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_polls(monkeypatch)


def poll_with(kie: KieSimulator, balances: Iterable[float]) -> None:
    for balance in balances:
        body = json.dumps({"code": 200, "msg": "success", "data": balance}).encode()
        kie.fail_next("credit", body=body)


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
    poll_with(kie_simulator, [before, before, before, after])
    assert run(mode, condition=condition, threshold=threshold) == after
    assert len(kie_simulator.requests) == 4


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("status", [401, 404])
@pytest.mark.parametrize("by_a_proxy", [False, True])
def test_after_a_proxys_page_a_retry_of_airflows_may_help(
    mode: str, status: int, by_a_proxy: bool, kie_simulator: KieSimulator
) -> None:
    failure: dict[str, Any] = {"html": True, "status": status} if by_a_proxy else {"code": status}
    kie_simulator.fail_next("credit", times=50, **failure)
    with pytest.raises(errors.KieError) as caught:
        run(mode, StateStore())
    assert caught.value.airflow_may_retry is by_a_proxy


# One row for each way in which failures end the waiting. Which failure goes which way is the business of the
# tests of decisions and errors.
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("soft_fail", [False, True])
@pytest.mark.parametrize(
    ("code", "kind", "limit"),
    [(401, errors.KieAuthError, 1), (404, errors.KieNotFoundError, 3)],
    ids=["at-once", "third-in-a-row"],
)
def test_a_failure_ends_it_whatever_soft_fail_says(
    mode: str,
    soft_fail: bool,
    code: int,
    kind: type[errors.KieError],
    limit: int,
    kie_simulator: KieSimulator,
) -> None:
    for balances in (0, 1):
        kie_simulator.reset()
        poll_with(kie_simulator, [0] * balances)
        kie_simulator.fail_next("credit", code=code, times=50)
        with pytest.raises(kind) as caught:
            run(mode, StateStore(), soft_fail=soft_fail)
        assert type(caught.value) is kind
        assert not isinstance(caught.value, AirflowException)
        assert caught.value.code == code
        # The first poke of a deferrable sensor is on a worker; the trigger counts for itself.
        uncounted = balances or (mode == "deferrable" and limit > 1)
        assert len(kie_simulator.requests) == limit + uncounted


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("soft_fail", [False, True])
def test_a_connection_that_stays_missing_ends_it_whatever_soft_fail_says(mode: str, soft_fail: bool) -> None:
    """The tenth time in a row, as the fault tests of Airflow's outages count."""
    with pytest.raises(errors.KieConnectionNotFoundError, match="'kie_nowhere' does not exist"):
        run(mode, StateStore(), kie_conn_id="kie_nowhere", soft_fail=soft_fail)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("soft_fail", [False, True])
def test_a_transient_failure_never_ends_it(mode: str, soft_fail: bool, kie_simulator: KieSimulator) -> None:
    kie_simulator.fail_next("credit", code=500, times=12)
    assert run(mode, StateStore(), soft_fail=soft_fail) == 100.0
    assert len(kie_simulator.requests) == 13


@pytest.mark.parametrize("mode", MODES)
def test_an_odd_answer_now_and_then_is_waited_out(mode: str, kie_simulator: KieSimulator) -> None:
    for _ in range(2):
        kie_simulator.fail_next("credit", code=404, times=2)
        poll_with(kie_simulator, [0])
        kie_simulator.fail_next("credit", code=404, times=2)
        kie_simulator.fail_next("credit", code=500)
    assert run(mode, StateStore()) == 100.0
    assert len(kie_simulator.requests) == 13


@pytest.mark.parametrize("mode", MODES)
def test_a_connection_that_comes_back_is_waited_for(
    mode: str, kie_simulator: KieSimulator, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread brings it back: nothing in the sensor's or the trigger's process tells it."""
    monkeypatch.delenv("AIRFLOW_CONN_KIE_DEFAULT")
    timer = threading.Timer(0.15, connect, kwargs=json.loads(kie_simulator.connection()))
    timer.start()
    assert run(mode, poke_interval=0.2) == 100.0
    timer.join()


@pytest.mark.parametrize("mode", MODES)
def test_a_connection_with_an_unusable_field_ends_it(mode: str, connect: Connect) -> None:
    connect("kie_b", extra={"timeout": "soon"})
    with pytest.raises(errors.KieConfigError, match="'kie_b', extra 'timeout'") as caught:
        run(mode, StateStore(), kie_conn_id="kie_b")
    assert type(caught.value) is errors.KieConfigError


@pytest.mark.parametrize("broken", [None, {"get"}, {"set"}, {"get", "set"}])
def test_rescheduled_where_nothing_can_be_counted_it_waits_until_the_timeout(
    broken: set[str] | None, kie_simulator: KieSimulator
) -> None:
    store = StateStore() if broken else None

    def fail() -> None:
        if store is not None and broken and store.calls[-1] in broken:
            raise RuntimeError("the API server is away")

    if store is not None:
        store.on_call = fail
    kie_simulator.fail_next("credit", code=404, times=4)
    assert run("reschedule", store) == 100.0
    kie_simulator.fail_next("credit", code=404, times=10_000)
    with pytest.raises(AirflowSensorTimeout):
        run("reschedule", store, timeout=0.2)
    kie_simulator.reset()
    kie_simulator.fail_next("credit", code=401)
    with pytest.raises(errors.KieAuthError):
        run("reschedule", store)


def test_rescheduled_another_try_inherits_no_failures(kie_simulator: KieSimulator) -> None:
    """A retry or a clear: the state store outlives both."""
    store = StateStore()
    for try_number in (1, 2, 3):
        kie_simulator.reset()
        kie_simulator.fail_next("credit", code=404, times=50)
        with pytest.raises(errors.KieNotFoundError):
            run("reschedule", store, try_number=try_number)
        assert len(kie_simulator.requests) == 3


@pytest.mark.parametrize("kept", [7, "yes", [], {}, {"try": 1, "poll": -1, "limit": None, "count": 9}])
def test_rescheduled_what_is_kept_by_nobody_we_know_is_no_failure(
    kept: Any, kie_simulator: KieSimulator
) -> None:
    store = StateStore()
    store.set(_rescheduled.KEY, kept)
    kie_simulator.fail_next("credit", code=404, times=2)
    assert run("reschedule", store) == 100.0


def test_a_sensor_that_runs_again_in_the_same_process_inherits_no_failures(
    kie_simulator: KieSimulator,
) -> None:
    sensor = KieCreditsSensor(task_id="wait", threshold=50, poke_interval=0.01, timeout=5)
    for _ in range(2):
        kie_simulator.reset()
        kie_simulator.fail_next("credit", code=404, times=50)
        with pytest.raises(errors.KieNotFoundError):
            sensor.execute({})
        assert len(kie_simulator.requests) == 3


@pytest.mark.parametrize("soft_fail", [False, True])
def test_a_trigger_that_broke_is_no_timeout_and_no_skip(soft_fail: bool) -> None:
    """A triggerer without the provider, for example."""
    sensor = KieCreditsSensor(task_id="wait", threshold=1, soft_fail=soft_fail)
    with pytest.raises(TaskDeferralError, match="Trigger failure"):
        sensor.resume_execution("__fail__", {"error": "Trigger failure"}, {})


def test_never_fail_makes_a_trigger_that_broke_a_skip() -> None:
    sensor = KieCreditsSensor(task_id="wait", threshold=1, never_fail=True)
    with pytest.raises(AirflowSkipException):
        sensor.resume_execution("__fail__", {"error": "Trigger failure"}, {})


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
    wanted: dict[str, Any] = {how: True}
    with pytest.raises(AirflowSkipException):
        run(mode, timeout=0.2, **wanted)


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


@pytest.mark.parametrize(
    ("event", "ends"),
    [
        ({"status": "success", "credits": 7.5}, 7.5),
        ({"status": "success", "credits": 7}, 7.0),
        ({"status": "error", "error": "KieAuthError", "message": "no", "code": 401}, errors.KieAuthError),
        (
            {"status": "error", "error": "KieConfigError", "message": "'x' does not exist", "code": None},
            errors.KieConfigError,
        ),
    ],
)
def test_an_event_of_the_first_version_is_read(event: Any, ends: Any) -> None:
    sensor = KieCreditsSensor(task_id="wait", threshold=1)
    if isinstance(ends, float):
        assert sensor.execute_complete({}, event) == ends
        return
    with pytest.raises(ends) as caught:
        sensor.execute_complete({}, event)
    assert type(caught.value) is ends


def test_an_error_of_a_class_that_is_gone_is_still_an_error() -> None:
    sensor = KieCreditsSensor(task_id="wait", threshold=1)
    event = {"status": "error", "error": "re", "message": "what happened", "code": 499}
    with pytest.raises(errors.KieError, match="what happened"):
        sensor.execute_complete({}, event)
