"""The sensor of a job over poke, reschedule and deferrable: the same results and the same errors."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException

from airflow_provider_kie._compat import AirflowSensorTimeout, AirflowSkipException
from airflow_provider_kie.client import errors
from airflow_provider_kie.client.api.records import Job
from airflow_provider_kie.hooks import _metrics
from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.sensors.jobs import KieJobSensor
from airflow_provider_kie.simulator import KieSimulator
from airflow_provider_kie.triggers._events import event_of
from tests.faults.waiter import MODES, TaskDeferred, quick_polls, wait
from tests.unit.state_store import StateStore

run = partial(wait, kind=KieJobSensor, fellows=1)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_polls(monkeypatch)


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What Airflow's metrics are told of jobs, after their submission."""
    counted: list[str] = []
    monkeypatch.setattr(_metrics, "report_job", lambda what, model, conn_id: counted.append(what))
    monkeypatch.setattr(_metrics, "report_success", lambda job, conn_id: counted.append(job.state))
    return counted


@pytest.fixture
def job_id(kie_simulator: KieSimulator, told: list[str]) -> Iterator[str]:
    """A job that runs until told otherwise; it is the only one there ever is."""
    kie_simulator.add_model("a/model", seconds=3600, credits=7)
    submitted = KieHook().submit_job({"prompt": "a fox"}, model="a/model")
    told.clear()
    yield submitted
    assert [job.job_id for job in kie_simulator.jobs] == [submitted]


def failed_job(kie: KieSimulator) -> str:
    kie.add_model("b/model", seconds=0, fail=(422, "flagged as sensitive"))
    return KieHook().submit_job({"prompt": "a fox"}, model="b/model")


def looks_at(kie: KieSimulator) -> int:
    return len(kie.requests_to("recordInfo"))


@pytest.mark.parametrize("mode", MODES)
def test_a_job_that_has_ended_ends_it_at_once(
    mode: str, job_id: str, kie_simulator: KieSimulator, told: list[str]
) -> None:
    kie_simulator.finish_jobs()
    result = run(mode, job_id=job_id)
    assert result == KieHook().get_job(job_id).to_dict()
    assert (result["state"], result["credits"], len(result["urls"])) == ("success", 7, 1)
    assert json.loads(json.dumps(result)) == result
    assert looks_at(kie_simulator) == 2
    assert told == ["success"]


@pytest.mark.parametrize("mode", MODES)
def test_it_waits_for_the_result(
    mode: str, job_id: str, kie_simulator: KieSimulator, told: list[str]
) -> None:
    kie_simulator.fail_next("recordInfo", code=500, times=3)

    def finish_after_four_looks() -> None:
        while looks_at(kie_simulator) < 4:
            time.sleep(0.01)
        kie_simulator.finish_jobs()

    finishing = threading.Thread(target=finish_after_four_looks, daemon=True)
    finishing.start()
    assert run(mode, StateStore(), job_id=job_id)["state"] == "success"
    finishing.join()
    assert looks_at(kie_simulator) > 4
    assert told == ["success"]


@pytest.mark.parametrize("mode", MODES)
def test_another_family_is_asked_in_its_own_words(mode: str, kie_simulator: KieSimulator) -> None:
    kie_simulator.add_model("suno", seconds=0.2)
    job_id = KieHook().submit_job({"prompt": "a song"}, model="V5", api="suno")
    result = run(mode, job_id=job_id, api="suno")
    assert (result["job_id"], result["api"], result["state"]) == (job_id, "suno", "success")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", [{}, {"soft_fail": True}, {"silent_fail": True}])
def test_a_failed_job_is_an_error_whatever_the_sensor_forgives(
    mode: str, how: dict[str, Any], kie_simulator: KieSimulator, told: list[str]
) -> None:
    job_id = failed_job(kie_simulator)
    for is_down_first in (False, True):
        told.clear()
        if is_down_first:
            kie_simulator.fail_next("recordInfo", code=500)
        with pytest.raises(errors.KieJobFailedError, match="flagged as sensitive") as caught:
            run(mode, job_id=job_id, **how)
        assert not isinstance(caught.value, AirflowException)
        assert (caught.value.job_id, caught.value.code, caught.value.transient) == (job_id, 422, False)
        assert told == ["failed"]


@pytest.mark.parametrize("mode", MODES)
def test_never_fail_makes_a_failed_job_a_skip(mode: str, kie_simulator: KieSimulator) -> None:
    job_id = failed_job(kie_simulator)
    for is_down_first in (False, True):
        if is_down_first:
            kie_simulator.fail_next("recordInfo", code=500)
        with pytest.raises(AirflowSkipException):
            run(mode, job_id=job_id, never_fail=True)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("soft_fail", [False, True])
@pytest.mark.parametrize(
    ("code", "kind", "limit"),
    [(401, errors.KieAuthError, 1), (505, errors.KieFeatureDisabledError, 3)],
    ids=["at-once", "third-in-a-row"],
)
def test_a_failure_to_look_ends_it_and_says_what_becomes_of_the_job(
    mode: str,
    soft_fail: bool,
    code: int,
    kind: type[errors.KieError],
    limit: int,
    job_id: str,
    kie_simulator: KieSimulator,
    told: list[str],
) -> None:
    kie_simulator.fail_next("recordInfo", code=code, times=50)
    with pytest.raises(kind, match=f"Nothing was cancelled: job {job_id} .*will be billed") as caught:
        run(mode, StateStore(), job_id=job_id, soft_fail=soft_fail)
    assert type(caught.value) is kind
    assert str(caught.value).count("Nothing was cancelled") == 1
    # The first poke of a deferrable sensor is on a worker; the trigger counts for itself.
    assert looks_at(kie_simulator) == limit + (mode == "deferrable" and limit > 1)
    assert told == []


@pytest.mark.parametrize("mode", MODES)
def test_a_job_that_is_new_may_be_unknown_for_a_while(
    mode: str, job_id: str, kie_simulator: KieSimulator
) -> None:
    kie_simulator.finish_jobs()
    kie_simulator.fail_next("recordInfo", code=422, msg="recordInfo is null", times=9)
    assert run(mode, StateStore(), job_id=job_id)["state"] == "success"
    assert looks_at(kie_simulator) == 10


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("api", ["market", "veo"])
def test_a_job_that_stays_unknown_ends_it(
    mode: str, api: str, kie_simulator: KieSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How long that is, the test before shows.
    monkeypatch.setattr("airflow_provider_kie.decisions.jobs.GRACE_SECONDS", 0.2)
    with pytest.raises(errors.KieJobNotFoundError, match=f"api '{api}'"):
        run(mode, StateStore(), job_id="a1b2", api=api)
    assert looks_at(kie_simulator) >= 3


def test_rescheduled_since_when_it_waits_is_asked_only_for_an_unknown_job(
    job_id: str, kie_simulator: KieSimulator
) -> None:
    asked: list[None] = []

    def first(_: Any) -> datetime:
        asked.append(None)
        return datetime.now(UTC) - timedelta(seconds=60 * len(asked))

    sensor = KieJobSensor(task_id="wait", job_id=job_id, mode="reschedule")
    ti = SimpleNamespace(try_number=1, get_first_reschedule_date=first)
    context: Any = {"ti": ti, "task_reschedule_count": 1, "task_state_store": StateStore()}
    kie_simulator.fail_next("recordInfo", code=500)
    assert not sensor.poke(context).is_done
    assert not sensor.poke(context).is_done
    assert len(asked) == 0
    kie_simulator.fail_next("recordInfo", code=422, msg="recordInfo is null", times=9)
    for poll in range(2, 5):
        context["task_reschedule_count"] = poll
        assert not sensor.poke(context).is_done
    context["task_reschedule_count"] = 5
    with pytest.raises(errors.KieJobNotFoundError):
        sensor.poke(context)
    assert len(asked) == 4


@pytest.mark.parametrize("mode", MODES)
def test_the_timeout_ends_it_and_says_what_becomes_of_the_job(mode: str, job_id: str) -> None:
    with pytest.raises(AirflowSensorTimeout, match=f"Nothing was cancelled: job {job_id} .*will be billed"):
        run(mode, job_id=job_id, timeout=0.2)


@pytest.mark.parametrize("mode", MODES)
def test_the_timeout_is_a_skip_if_wanted(mode: str, job_id: str) -> None:
    with pytest.raises(AirflowSkipException, match=f"Nothing was cancelled: job {job_id} .*will be billed"):
        run(mode, job_id=job_id, timeout=0.2, soft_fail=True)


@pytest.mark.parametrize("mode", MODES)
def test_silent_fail_goes_on_after_a_permanent_failure(
    mode: str, job_id: str, kie_simulator: KieSimulator
) -> None:
    kie_simulator.finish_jobs()
    kie_simulator.fail_next("recordInfo", code=401, times=3)
    assert run(mode, job_id=job_id, silent_fail=True)["state"] == "success"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [({"job_id": ""}, "job_id"), ({"job_id": "a/../b"}, "job_id"), ({"api": "midjourney"}, "flux-kontext")],
)
def test_bad_arguments_are_refused_before_any_request(
    mode: str, arguments: dict[str, Any], reason: str, kie_simulator: KieSimulator
) -> None:
    with pytest.raises(ValueError, match=reason):
        run(mode, **({"job_id": "a1b2"} | arguments))
    assert kie_simulator.requests == []


def test_strings_and_the_connection_are_templated_and_assigned_as_they_came() -> None:
    fields = KieJobSensor.template_fields
    assert set(fields) == {"job_id", "api", "kie_conn_id"}
    given: dict[str, Any] = {name: f"{{{{ {name} }}}}" for name in fields}
    sensor = KieJobSensor(task_id="wait", **given)
    assert {name: getattr(sensor, name) for name in fields} == given


@pytest.mark.parametrize(("poke_interval", "poll_interval"), [(33, 33.0), (0, 0.01)])
def test_the_settings_of_the_sensor_reach_the_trigger(
    poke_interval: float, poll_interval: float, job_id: str
) -> None:
    sensor = KieJobSensor(
        task_id="wait",
        job_id=job_id,
        poke_interval=poke_interval,
        timeout=44,
        deferrable=True,
        silent_fail=True,
    )
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    kwargs = deferred.value.trigger.serialize()[1]
    assert kwargs.pop("submitted_at") == sensor._began_at
    assert kwargs == {
        "job_id": job_id,
        "api": "market",
        "model": None,
        "kie_conn_id": "kie_default",
        "poll_interval": poll_interval,
        "deadline": None,
        "silent_fail": True,
    }
    assert deferred.value.method_name == "execute_complete"
    assert deferred.value.timeout == timedelta(seconds=44)


def test_it_is_resumed_by_the_triggers_event_with_what_the_job_gave() -> None:
    sensor = KieJobSensor(task_id="wait", job_id="a1b2")
    job = Job("a1b2", state="success", output={"seed": 2**70, "text": "\ud800"})
    assert sensor.execute_complete({}, event_of(job)) == job.to_dict()


@pytest.mark.parametrize("event", [None, {}, {"status": "success"}, {"status": "error"}, "yes"])
def test_an_event_that_is_not_the_triggers_is_refused(event: Any) -> None:
    sensor = KieJobSensor(task_id="wait", job_id="a1b2")
    with pytest.raises(ValueError, match="no event of KieJobTrigger"):
        sensor.execute_complete({}, event)
