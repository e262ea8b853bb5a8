"""Random schedules of crashes, retries and clears: never more is paid than somebody asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from airflow_provider_kie._compat import AirflowFailException
from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.simulator import KieSimulator

from . import FULL
from .tries import MODES, PRICE, Crash, Ended, FaultyStore, Mode, PaidTask

POINTS = [f"{when} {point}" for point in ("load", "a", "b", "c", "forget") for when in ("before", "after")]
# Beside those of the store: around the submission, and at a look.
CRASHES = st.none() | st.sampled_from([*POINTS, "before sending", "accepted", "looking"])
ERRORS = st.sets(st.sampled_from(POINTS), max_size=2)
# What kie.ai may answer to a submission.
ANSWERS: list[dict[str, Any]] = [
    {},
    {},
    {"code": 402},
    {"code": 429, "times": 5},
    {"code": 500, "msg": "prompt is required"},
    {"code": 500},
    {"code": 500, "accept": True},
    {"drop_after": -1},
    {"drop_after": -1, "accept": True},
]


@contextmanager
def befalling(kie: KieSimulator, crash: str | None, answer: dict[str, Any]) -> Iterator[None]:
    """Have the worker die at a point that is none of the store's, and kie.ai answer a submission oddly."""
    send, look = KieClient.send, KieHook.get_job

    def sending(self: KieClient, call: Any, **how: Any) -> Any:
        if call.repeatable:
            return send(self, call, **how)
        if crash == "before sending":
            raise Crash
        if answer:
            kie.fail_next("createTask", **answer)
        result = send(self, call, **how)
        if crash == "accepted":
            raise Crash
        return result

    def looking(self: KieHook, *args: Any, **how: Any) -> Any:
        if crash == "looking":
            raise Crash
        return look(self, *args, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(KieClient, "send", sending)
        patch.setattr(KieHook, "get_job", looking)
        yield


class Schedule(RuleBasedStateMachine):
    """One task, and all that can befall it; between two rules no process of it is alive."""

    kie: KieSimulator

    @initialize(mode=st.sampled_from(MODES))
    def begin(self, mode: Mode) -> None:
        self.kie.reset()
        self.kie.creation_limit = None
        self.kie.credits = 10_000
        self.kie.add_model("m", seconds=0, credits=PRICE)
        self.store = FaultyStore()
        self.task = PaidTask(self.kie, mode, store=self.store, timeout=0.02)
        self.last, self.deferral = Ended(), cast("Any", None)
        self.clears = self.inputs = 0

    @property
    def may_begin(self) -> bool:
        """Whether Airflow would start another try."""
        never = not self.task.try_number
        return self.deferral is None and (never or self.last.may_retry or self.last == Ended())

    @rule(seconds=st.sampled_from([0, 60]), fail=st.sampled_from([None, None, 500, 422]))
    def the_model_changes(self, seconds: int, fail: int | None) -> None:
        self.kie.add_model("m", seconds=seconds, credits=PRICE, fail=fail)

    @rule()
    def all_jobs_end(self) -> None:
        self.kie.finish_jobs()

    @rule()
    def the_author_changes_the_input(self) -> None:
        self.inputs += 1
        self.task.arguments["input"] = {"prompt": f"cat number {self.inputs}"}

    @rule(mode=st.sampled_from(MODES))
    def the_author_changes_the_mode(self, mode: Mode) -> None:
        self.task.mode = mode

    @precondition(lambda self: self.task.try_number)
    @rule()
    def a_person_clears(self) -> None:
        self.task.clear()
        self.clears += 1
        self.last, self.deferral = Ended(), None

    @precondition(lambda self: self.last.result is not None or self.deferral is not None)
    @rule()
    def airflow_does_not_hear_of_the_end(self) -> None:
        self.last, self.deferral = Ended(error=Crash()), None

    @precondition(lambda self: self.may_begin)
    @rule(crash=CRASHES, errors=ERRORS, answer=st.sampled_from(ANSWERS))
    def a_try(self, crash: str | None, errors: set[str], answer: dict[str, Any]) -> None:
        self._play(crash, errors, answer, lambda: self.task.run(resume=False))

    @precondition(lambda self: self.deferral is not None)
    @rule(crash=CRASHES, errors=ERRORS)
    def the_trigger_fires(self, crash: str | None, errors: set[str]) -> None:
        deferral, self.deferral = self.deferral, None
        self._play(crash, errors, {}, lambda: self.task.resume(deferral))

    def _play(
        self, crash: str | None, errors: set[str], answer: dict[str, Any], play: Callable[[], Ended]
    ) -> None:
        self.store.faults = {point: RuntimeError("the database is away") for point in errors}
        if crash in POINTS:
            self.store.faults[crash] = Crash()
        with befalling(self.kie, crash, answer):
            self.last = play()
        self.store.faults = {}
        self.deferral = self.last.deferral
        assert isinstance(self.last.error, KieError | AirflowFailException | Crash | None), self.last.error

    @invariant()
    def nothing_is_paid_that_nobody_asked_for(self) -> None:
        jobs = self.kie.jobs
        # Their reason may pass, and they cost nothing.
        replaced = [job for job in jobs if (job.state, job.fail_code) == ("failed", 500)]
        assert len(jobs) <= 1 + self.clears + len(replaced)
        paid = sum(job.held if job.completed_at is None else job.charged for job in jobs)
        assert paid <= PRICE * (1 + self.clears)

    def teardown(self) -> None:
        """Left alone, the task ends well: after a retry, or else after a person's clear."""
        if not hasattr(self, "task"):
            return
        self.kie.add_model("m", seconds=0, credits=PRICE)
        self.kie.finish_jobs()
        ended = self.task.run()
        self.nothing_is_paid_that_nobody_asked_for()
        if ended.result is None:
            assert isinstance(ended.error, AirflowFailException)
            self.task.clear()
            self.clears += 1
            ended = self.task.run()
            self.nothing_is_paid_that_nobody_asked_for()
        assert ended.result is not None, ended.error
        assert ended.result["job_id"] in [job.job_id for job in self.kie.jobs]


def test_no_schedule_pays_for_more_than_was_asked_for(kie: KieSimulator) -> None:
    machine = type("Bound", (Schedule,), {"kie": kie})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=200 if FULL else 25,
            stateful_step_count=12,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
