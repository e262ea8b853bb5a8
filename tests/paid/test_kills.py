"""Workers that are killed at the worst moments: the ledger has what a person asked for, and no job more."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from airflow_provider_kie.simulator import KieSimulator
from tests.runner.bench import Task
from tests.runner.conftest import HAS_STATE_STORE, Put, needs_state_store

from .bench import kill, settles, until


def test_before_anything_is_written_down(job: Task, kie: KieSimulator) -> None:
    job.airflow.fail("connection", times=1, delay=1)
    run = job.start()
    job.airflow.wait_for("connection")
    kill(run)
    assert kie.jobs == []
    settles(job, kie, jobs=1, doubt=not HAS_STATE_STORE)


@needs_state_store
def test_between_the_note_and_the_submission(job: Task, kie: KieSimulator) -> None:
    job.airflow.fail("store", times=1)
    job.airflow.fail("store", times=1, delay=0.3)
    run = job.start()
    job.airflow.wait_for("store", "PUT")
    kill(run)
    until(lambda: job.airflow.store)
    assert kie.requests_to("createTask") == []
    settles(job, kie, jobs=1, doubt=True)


def test_after_kie_ai_has_accepted_and_before_its_answer(job: Task, kie: KieSimulator) -> None:
    kie.fail_next("createTask", delay=1)
    run = job.start()
    until(lambda: kie.jobs, run)
    kill(run)
    settles(job, kie, jobs=2, doubt=True)


@needs_state_store
@pytest.mark.parametrize("stored", [False, True], ids=["not stored", "stored"])
def test_between_the_answer_and_the_note_of_it(stored: bool, job: Task, kie: KieSimulator) -> None:
    job.airflow.fail("store", times=2)
    # The supervisor outlives its task, and asks again.
    job.airflow.fail("store", None if stored else 0, times=1 if stored else 2, delay=0.3)
    run = job.start()
    job.airflow.wait_for("store", "PUT", count=2)
    ended = kill(run)
    assert f"Submitted job {kie.jobs[0].job_id}" in ended.log
    if stored:
        until(lambda: job.airflow.store["kie-job"]["stage"] == "submitted")
    else:
        job.airflow.wait_for("store", "PUT", count=3)
    settles(job, kie, jobs=1 if stored else 2, doubt=not stored)


@pytest.mark.parametrize("job", ["sync"], indirect=True)
def test_while_a_worker_waits(job: Task, kie: KieSimulator) -> None:
    kie.add_model("m", seconds=60, credits=4)
    run = job.start()
    until(lambda: len(kie.requests_to("recordInfo")) > 2, run)
    kill(run)
    kie.add_model("m", seconds=0.05, credits=4)
    kie.finish_jobs()
    settles(job, kie, jobs=1 if HAS_STATE_STORE else 2, doubt=not HAS_STATE_STORE)


@pytest.mark.parametrize("job", ["deferred"], indirect=True)
def test_a_triggerer_that_dies_while_it_waits(job: Task, kie: KieSimulator) -> None:
    kie.add_model("m", seconds=60, credits=4)
    assert job.run().state == "deferred"
    deferral = job.airflow.deferral
    assert deferral is not None

    async def die() -> None:
        waiting = asyncio.ensure_future(anext(deferral.trigger().run()))
        await asyncio.to_thread(until, lambda: kie.requests_to("recordInfo"))
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting

    asyncio.run(die())
    kie.finish_jobs()
    # What the next one starts from is all in the kwargs.
    ended = job.run(resumed=deferral.resumed_with(deferral.fire()))
    assert (ended.state, ended.result["job_id"]) == ("success", kie.jobs[0].job_id)
    assert len(kie.jobs) == 1


@pytest.mark.parametrize("job", ["deferred"], indirect=True)
@pytest.mark.parametrize("moment", ["before it reads its note", "while it stores the end"])
def test_while_it_is_resumed(moment: str, job: Task, kie: KieSimulator) -> None:
    assert job.run().state == "deferred"
    deferral = job.airflow.deferral
    assert deferral is not None
    told = deferral.resumed_with(deferral.fire())
    if moment == "while it stores the end":
        if not HAS_STATE_STORE:
            pytest.skip("there is no store to store it in")
        job.airflow.fail("store", times=1)
        job.airflow.fail("store", 0, times=2, delay=0.3)
    else:
        job.airflow.fail("run", times=1, delay=0.5)
    run = job.start(resumed=told)
    if moment == "while it stores the end":
        job.airflow.wait_for("store", "PUT")
    else:
        job.airflow.wait_for("run")
    kill(run)
    if moment == "while it stores the end":
        job.airflow.wait_for("store", "PUT", count=2)
    # A retry is not told of the event.
    settles(job, kie, jobs=1 if HAS_STATE_STORE else 2, doubt=not HAS_STATE_STORE)


@pytest.mark.parametrize(
    "how",
    [{"mode": "poke"}, {"mode": "reschedule"}, {"deferrable": True}],
    ids=["poke", "reschedule", "deferrable"],
)
def test_a_sensor_that_is_killed_waits_on_for_the_same_job(
    how: dict[str, Any], put: Put, kie: KieSimulator
) -> None:
    kie.add_model("m", seconds=60, credits=4)
    generate: dict[str, Any] = {"input": {"prompt": "a"}, "model": "m", "wait_for_completion": False}
    job_id = put("generate", **generate).run().result["job_id"]
    sensor = put("job_sensor", retries=1, job_id=job_id, poke_interval=1, **how)
    kie.fail_next("recordInfo", delay=1)
    run = sensor.start()
    if how.get("deferrable"):
        assert run.wait().state == "deferred"
    else:
        until(lambda: kie.requests_to("recordInfo"), run)
        kill(run)
    kie.finish_jobs()
    ended = sensor.finish()
    assert (ended.state, ended.result["job_id"], ended.result["credits"]) == ("success", job_id, 4)
    assert len(kie.jobs) == 1
