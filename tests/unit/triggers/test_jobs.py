"""What a deferred task waits for its job with."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import pytest
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_kie.client.api.records import Job
from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieConnectionNotFoundError,
    KieError,
    KieJobFailedError,
    KieJobNotFoundError,
    KieJobTimeoutError,
    KieRateLimitError,
    KieResponseError,
    KieUnavailableError,
)
from airflow_provider_kie.decisions import waiting_log
from airflow_provider_kie.decisions.jobs import Durations
from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.simulator import KieSimulator
from airflow_provider_kie.triggers import jobs
from airflow_provider_kie.triggers._poller import JobPoller
from airflow_provider_kie.triggers.jobs import KieJobTrigger, read_job_event

ID = "a1b2"
KWARGS: dict[str, Any] = {
    "job_id": ID,
    "api": "veo",
    "model": "veo3",
    "kie_conn_id": "kie_b",
    "poll_interval": 5.0,
    "submitted_at": 1_790_000_000.5,
    "deadline": 1_790_003_600.5,
    "silent_fail": True,
}
RUNNING, DONE = Job(ID, state="running"), Job(ID, state="success", seconds=7.0)
NO_RECORD = KieJobNotFoundError("no record", code=422)
DOWN = KieUnavailableError("down", code=500)


@pytest.fixture(autouse=True)
def durations(monkeypatch: pytest.MonkeyPatch) -> Durations:
    monkeypatch.setattr("airflow_provider_kie.triggers._polling.LONGEST_BACKOFF", 0.02)
    monkeypatch.setattr(jobs, "durations", Durations())
    return jobs.durations


def trigger(job_id: str = ID, **kwargs: Any) -> KieJobTrigger:
    return KieJobTrigger(job_id, **({"poll_interval": 0.01} | kwargs))


async def event_of(waiting: KieJobTrigger) -> Any:
    """The one event of a trigger, as it comes out of Airflow's database."""
    async with asyncio.timeout(20):
        (event,) = [event async for event in waiting.run()]
    return json.loads(json.dumps(event.payload))


async def end_of(waiting: KieJobTrigger) -> Job | KieError:
    try:
        return read_job_event(await event_of(waiting))
    except KieError as error:
        return error


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Job | KieError]:
    """What looks give, one after the other; the last one for ever."""
    script: list[Job | KieError] = []

    async def look(*_: Any) -> Job | KieError:
        return script.pop(0) if len(script) > 1 else script[0]

    monkeypatch.setattr(JobPoller, "look", look)
    return script


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long a trigger meant to sleep before each look; it does not."""
    slept: list[float] = []
    really_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds, 1))
        await really_sleep(0)

    monkeypatch.setattr("airflow_provider_kie.triggers.jobs.asyncio.sleep", sleep)
    return slept


def test_all_of_it_is_in_airflows_database() -> None:
    classpath, kwargs = KieJobTrigger(**KWARGS).serialize()
    assert classpath == f"{KieJobTrigger.__module__}.KieJobTrigger"
    assert kwargs == KWARGS
    assert KieJobTrigger(**json.loads(json.dumps(kwargs))).serialize() == (classpath, kwargs)


def test_it_is_a_plain_trigger_for_any_version_of_airflow() -> None:
    assert not issubclass(KieJobTrigger, BaseEventTrigger)


def test_by_default_the_job_is_new_and_is_waited_for_without_end() -> None:
    before = time.time()
    kwargs = KieJobTrigger(ID).serialize()[1]
    assert before <= kwargs.pop("submitted_at") <= time.time()
    assert kwargs == {
        "job_id": ID,
        "api": "market",
        "model": None,
        "kie_conn_id": "kie_default",
        "poll_interval": None,
        "deadline": None,
        "silent_fail": False,
    }


@pytest.mark.parametrize(
    ("kwargs", "reason"),
    [({"api": "midjourney"}, "4o-image"), ({"job_id": "a b"}, "job_id"), ({"poll_interval": 0}, "above 0")],
)
def test_bad_arguments_are_refused_where_it_is_made(kwargs: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        trigger(**({"job_id": ID} | kwargs))


@pytest.mark.parametrize("api", ["market", "suno", "veo"])
async def test_it_waits_for_the_result(api: str, kie_simulator: KieSimulator) -> None:
    model = "a/model" if api == "market" else None
    kie_simulator.add_model(model or api, seconds=0.3, credits=7)
    job_id = KieHook().submit_job({"prompt": "a fox"}, model=model, api=api)
    job = await end_of(trigger(job_id, api=api, model=model))
    assert isinstance(job, Job)
    assert (job.job_id, job.api, job.state, job.model) == (job_id, api, "success", model)
    assert job == KieHook().get_job(job_id, api=api)
    assert len(job.urls) > 0
    assert [job.job_id for job in kie_simulator.jobs] == [job_id]


async def test_a_restart_of_the_triggerer_loses_nothing(kie_simulator: KieSimulator) -> None:
    kie_simulator.add_model("a/model", seconds=60)
    job_id = KieHook().submit_job({"prompt": "a fox"}, model="a/model")
    waiting = trigger(job_id, model="a/model")
    for _ in range(3):
        task = asyncio.create_task(event_of(waiting))
        while not (seen := len(kie_simulator.requests_to("recordInfo"))):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.05)
        assert len(kie_simulator.requests_to("recordInfo")) <= seen + 1
        waiting = KieJobTrigger(**json.loads(json.dumps(waiting.serialize()[1])))
    kie_simulator.finish_jobs()
    assert isinstance(await end_of(waiting), Job)


async def test_a_failed_job_is_an_error_with_all_that_is_known(kie_simulator: KieSimulator) -> None:
    kie_simulator.add_model("a/model", seconds=0, fail=(422, "flagged as sensitive"))
    job_id = KieHook().submit_job({"prompt": "a fox"}, model="a/model")
    for silent_fail in (False, True):
        error = await end_of(trigger(job_id, silent_fail=silent_fail))
        assert type(error) is KieJobFailedError
        assert (error.job_id, error.code, error.transient) == (job_id, 422, False)
        assert str(error) == f"Job {job_id} of a/model failed: flagged as sensitive (code 422)."


async def test_a_failure_names_the_model_where_the_record_does_not(looks: list[Job | KieError]) -> None:
    looks[:] = [Job(ID, state="failed", reason="oh", credits=3.0)]
    event = await event_of(trigger(model="a/model"))
    assert event["error"] == "KieJobFailedError"
    assert event["message"] == f"Job {ID} of a/model failed: oh."
    assert (event["job_id"], event["credits"], event["transient"]) == (ID, 3.0, True)
    assert jobs.job_in(event).model == "a/model"


async def test_what_ends_the_waiting_says_that_the_job_may_still_cost(looks: list[Job | KieError]) -> None:
    failure = KieAuthError("no", code=401, said_by_kie=True)
    looks[:] = [RUNNING, failure]
    error = await end_of(trigger())
    assert type(error) is KieAuthError
    assert error.args[0] == (
        f"no Nothing was cancelled: job {ID} (api 'market') is still running, as far as is known, "
        "and will be billed."
    )
    assert failure.args == ("no",)


@pytest.mark.parametrize(
    ("failure", "limit"),
    [(KieResponseError("a page", code=403), 3), (KieConnectionNotFoundError("'x'"), 10), (NO_RECORD, 3)],
)
async def test_another_failure_ends_it_when_it_has_come_often_enough_in_a_row(
    failure: KieError, limit: int, looks: list[Job | KieError]
) -> None:
    few: list[Job | KieError] = [failure] * (limit - 1)
    looks[:] = [*few, RUNNING, *few, DOWN, *few, DONE]
    assert isinstance(await end_of(trigger(submitted_at=0.0)), Job)
    looks[:] = [*few, RUNNING, *few, failure, DONE]
    assert type(await end_of(trigger(submitted_at=0.0))) is type(failure)
    looks[:] = [failure] * 30 + [DONE]
    assert isinstance(await end_of(trigger(submitted_at=0.0, silent_fail=True)), Job)


async def test_a_new_job_may_be_unknown_for_a_while(looks: list[Job | KieError]) -> None:
    looks[:] = [NO_RECORD] * 20 + [DONE]
    assert isinstance(await end_of(trigger()), Job)


async def test_an_outage_is_waited_out(kie_simulator: KieSimulator) -> None:
    kie_simulator.add_model("a/model", seconds=0)
    job_id = KieHook().submit_job({"prompt": "a fox"}, model="a/model")
    kie_simulator.fail_next("recordInfo", code=500, times=4)
    kie_simulator.fail_next("recordInfo", html=True, times=4)
    kie_simulator.fail_next("recordInfo", drop_after=-1, times=4)
    assert isinstance(await end_of(trigger(job_id)), Job)
    assert len(kie_simulator.requests_to("recordInfo")) == 13


async def test_past_the_deadline_it_looks_once_more_and_gives_up(looks: list[Job | KieError]) -> None:
    looks[:] = [Job(ID, state="running", credits=3.0)]
    began = time.monotonic()
    error = await end_of(trigger(poll_interval=60, deadline=time.time() + 0.2))
    assert type(error) is KieJobTimeoutError
    assert (error.job_id, error.credits) == (ID, 3.0)
    assert "Nothing was cancelled" in str(error)
    assert 0.15 < time.monotonic() - began < 5
    looks[:] = [DONE]
    assert isinstance(await end_of(trigger(poll_interval=60, deadline=1.0)), Job)
    looks[:] = [DOWN]
    assert type(await end_of(trigger(poll_interval=60, deadline=1.0))) is KieJobTimeoutError


async def test_it_looks_when_half_of_the_usual_time_is_over(
    looks: list[Job | KieError], pauses: list[float], durations: Durations
) -> None:
    looks[:] = [Job(ID, model="a/model", state="success", seconds=80.0)]
    await event_of(KieJobTrigger(ID))
    assert pauses.pop() == 10
    assert durations.usual(("market", "a/model")) == 80
    await event_of(KieJobTrigger(ID, model="a/model"))
    assert pauses.pop() == 40
    await event_of(KieJobTrigger(ID, model="a/model", submitted_at=time.time() - 100))
    assert pauses.pop() == 10
    await event_of(KieJobTrigger(ID, model="b/model", poll_interval=33))
    assert pauses.pop() == 33


async def test_after_a_failure_it_waits_longer_and_longer_up_to_what_kie_ai_asks_for(
    looks: list[Job | KieError], pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_kie.triggers._polling.LONGEST_BACKOFF", 300.0)
    monkeypatch.setattr("airflow_provider_kie.triggers._polling.random.uniform", lambda low, high: high)
    looks[:] = [DOWN, DOWN, DOWN, RUNNING, KieRateLimitError("slow", retry_after=99), DONE]
    await event_of(trigger(poll_interval=2))
    assert pauses == [2, 4, 6, 10, 2, 99]


async def test_before_there_is_a_record_it_looks_as_often_as_ever(
    looks: list[Job | KieError], pauses: list[float]
) -> None:
    looks[:] = [*[NO_RECORD] * 5, DONE]
    await event_of(trigger(poll_interval=2))
    assert pauses == [2] * 6


async def test_it_logs_each_change_once_and_not_on_the_loop(
    looks: list[Job | KieError], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "airflow_provider_kie")
    looks[:] = [NO_RECORD, NO_RECORD, Job(ID), Job(ID), DOWN, DOWN, RUNNING, RUNNING, DONE]
    await event_of(trigger())
    assert [record.getMessage() for record in caplog.records] == [
        f"kie.ai has no record of job {ID} yet",
        f"Job {ID} is waiting",
        f"Asking for the record of job {ID} failed, will ask again: down",
        f"Job {ID} is running",
    ]
    assert threading.get_ident() not in {record.thread for record in caplog.records}


async def test_now_and_then_it_says_how_long_the_job_has_been_running(
    looks: list[Job | KieError],
    pauses: list[float],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting_log, "FIRST_SILENCE", 0.0)
    caplog.set_level("INFO", "airflow_provider_kie")
    looks[:] = [RUNNING, RUNNING, RUNNING, DONE]
    await event_of(trigger(poll_interval=2, submitted_at=time.time() - 600))
    assert [record.getMessage() for record in caplog.records] == [
        f"Job {ID} is running",
        f"Job {ID} is running (checked 2 times in 10 min; next check in 2 s)",
        f"Job {ID} is running (checked 3 times in 10 min; next check in 2 s)",
    ]


async def test_a_person_who_kills_it_is_told_that_nothing_is_cancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await trigger().on_kill()
    (record,) = caplog.records
    assert f"Nothing was cancelled: job {ID}" in record.getMessage()
