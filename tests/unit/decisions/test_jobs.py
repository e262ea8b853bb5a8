"""What a task begins with, what a look at its job means, and when to look."""

from __future__ import annotations

import math
import random
import statistics
from typing import Any

import pytest

from airflow_provider_kie.client.api.records import Job
from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieConnectionNotFoundError,
    KieError,
    KieJobNotFoundError,
    KieResponseError,
    KieUnavailableError,
)
from airflow_provider_kie.decisions.jobs import (
    GRACE_SECONDS,
    Durations,
    Record,
    decide,
    first_step,
    seconds_to_look,
    step_after_look,
)
from airflow_provider_kie.decisions.waiting import ConsecutiveFailures

NO_RECORD = KieJobNotFoundError("no record", code=422, said_by_kie=True)
WRONG_KEY = KieAuthError("no", code=401, said_by_kie=True)
DOWN = KieUnavailableError("down", code=500)


class Waiting:
    """Who waits for a job, look after look."""

    def __init__(self, age: float = 1000.0, *, silent_fail: bool = False) -> None:
        self.age = age
        self.silent_fail = silent_fail
        self.failures = ConsecutiveFailures()

    def looks(self, *polls: Job | KieError) -> list[str]:
        return [self._look(poll) for poll in polls]

    def _look(self, poll: Job | KieError) -> str:
        decision = decide("0123", self.failures, poll, age=self.age, silent_fail=self.silent_fail)
        self.failures = decision.failures
        return decision.outcome


# The table of what a retry does, and what it does once a person has cleared the task.
@pytest.mark.parametrize(
    ("stage", "known", "on_a_retry", "after_a_clear"),
    [
        (None, {}, "submit", "submit"),
        ("sending", {}, "doubt", "submit"),
        ("sending", {"on_doubt": "submit"}, "submit", "submit"),
        ("submitted", {}, "look", "look"),
        ("submitted", {"differs": True}, "look", "submit"),
        ("success", {}, "result", "submit"),
        ("success", {"differs": True}, "result", "submit"),
        ("failed", {"may_pass": True}, "submit", "submit"),
        ("failed", {"may_pass": False}, "fail", "submit"),
    ],
)
def test_a_task_never_begins_with_a_submission_that_nobody_asked_for(
    stage: Any, known: dict[str, Any], on_a_retry: str, after_a_clear: str
) -> None:
    assert first_step(stage, **known) == on_a_retry
    assert first_step(stage, cleared=True, **known) == after_a_clear


@pytest.mark.parametrize(
    ("state", "known", "on_a_retry", "after_a_clear"),
    [
        ("waiting", {}, "wait", "wait"),
        ("running", {}, "wait", "wait"),
        ("running", {"delivered": True}, "wait", "wait"),
        ("success", {}, "result", "result"),
        ("success", {"delivered": True}, "result", "submit"),
        ("failed", {"may_pass": True}, "submit", "submit"),
        ("failed", {"may_pass": False}, "fail", "submit"),
        ("failed", {"may_pass": False, "delivered": True}, "fail", "submit"),
    ],
)
def test_a_result_that_nobody_got_is_paid_and_given(
    state: Any, known: dict[str, Any], on_a_retry: str, after_a_clear: str
) -> None:
    record = Job("a1b2", state=state)
    assert step_after_look(record, **known) == on_a_retry
    assert step_after_look(record, cleared=True, **known) == after_a_clear


@pytest.mark.parametrize(
    ("state", "outcome"),
    [("waiting", "wait"), ("running", "wait"), ("success", "done"), ("failed", "fail")],
)
@pytest.mark.parametrize("silent_fail", [False, True])
def test_the_record_says_how_a_job_goes(state: Any, outcome: str, silent_fail: bool) -> None:
    assert Waiting(silent_fail=silent_fail).looks(Job("a1b2", state=state)) == [outcome]


def test_a_failure_is_no_record() -> None:
    assert isinstance(Job("a1b2"), Record)
    assert not isinstance(NO_RECORD, Record)


@pytest.mark.parametrize(
    ("failure", "limit"),
    [
        (WRONG_KEY, 1),
        (KieResponseError("a page", code=403), 3),
        (KieConnectionNotFoundError("'x'"), 10),
        (NO_RECORD, 3),
    ],
)
def test_a_failure_to_look_ends_the_waiting_after_so_many_in_a_row(failure: KieError, limit: int) -> None:
    few: list[Job | KieError] = [failure] * (limit - 1)
    running = Job("a1b2", state="running")
    assert set(Waiting().looks(*few, running, *few, DOWN, *few)) <= {"wait"}
    assert Waiting().looks(*few, failure) == ["wait"] * (limit - 1) + ["fail"]
    assert set(Waiting(silent_fail=True).looks(*[failure] * 30)) == {"wait"}


def test_a_transient_failure_never_ends_it() -> None:
    assert set(Waiting().looks(*[DOWN] * 1000)) == {"wait"}


@pytest.mark.parametrize("age", [0.0, GRACE_SECONDS - 0.1])
def test_a_new_job_may_be_unknown(age: float) -> None:
    waiting = Waiting(age)
    assert set(waiting.looks(*[NO_RECORD] * 50)) == {"wait"}
    waiting.age = GRACE_SECONDS
    assert waiting.looks(NO_RECORD, NO_RECORD, NO_RECORD) == ["wait", "wait", "fail"]


def test_the_grace_of_a_new_job_is_for_nothing_else() -> None:
    assert Waiting(0.0).looks(WRONG_KEY) == ["fail"]


@pytest.mark.parametrize(
    ("elapsed", "usual", "seconds"),
    [
        (0, None, 10),
        (4, None, 6),
        (9.5, None, 2),
        (10, None, 2),
        (50, None, 5),
        (6000, None, 60),
        (0, 300, 150),
        (100, 300, 50),
        (150, 300, 15),
        (0, 1, 2),
        (3, 1, 2),
    ],
)
def test_it_looks_first_at_half_of_the_usual_time_then_every_tenth_of_the_time_elapsed(
    elapsed: float, usual: float | None, seconds: float
) -> None:
    assert seconds_to_look(elapsed, usual) == pytest.approx(seconds)


@pytest.mark.parametrize("elapsed", [0.0, 5.0, 10_000.0])
def test_an_author_who_wants_a_fixed_interval_gets_it(elapsed: float) -> None:
    assert seconds_to_look(elapsed, usual=300, interval=33) == 33


def test_the_usual_time_is_the_median_of_the_latest_of_a_sort() -> None:
    durations = Durations(remembered=3)
    assert durations.usual("a") is None
    for seconds in (1000, 10, 30, 20):
        durations.learn("a", seconds)
    assert durations.usual("a") == 20
    assert durations.usual("b") is None


def test_it_asks_seldom_and_is_seldom_late() -> None:
    """Jobs of 24 models, from half a minute to ten; each job about as long as its model's others."""
    rng = random.Random(7)
    durations = Durations()
    models = [30 * 20 ** (number / 23) for number in range(24)]
    looks, lateness = [], []
    for number in range(12_000):
        model = number % len(models)
        seconds = models[model] * math.exp(rng.gauss(0, 0.35))
        now, count = 0.0, 0
        while now < seconds:
            now += seconds_to_look(now, durations.usual(model))
            count += 1
        durations.learn(model, seconds)
        looks.append(count)
        lateness.append((now - seconds) / seconds)
    assert statistics.mean(looks) < 10
    assert statistics.mean(lateness) < 0.07
    assert statistics.quantiles(lateness, n=20)[-1] < 0.12
