"""What a task remembers of its job: with a store that breaks, with notes of others, without any store."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from airflow_provider_kie._compat import AirflowFailException
from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.operators._job_memory import KEY
from airflow_provider_kie.simulator import KieSimulator
from tests.paid.tries import Crash, FaultyStore, Mode, PaidTask, prepare
from tests.unit.state_store import StateStore


@pytest.fixture(autouse=True)
def _prepared(kie: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(kie, monkeypatch)


def faulty(task: PaidTask, point: str, error: BaseException | None = None) -> FaultyStore:
    """Have the store break at one point, both before and after it does what is asked."""
    assert isinstance(task.store, FaultyStore)
    when = [point] if " " in point else [f"before {point}"]
    task.store.faults = {each: error or RuntimeError("the database is away") for each in when}
    return task.store


def test_a_store_that_cannot_be_read_lets_nothing_be_sent(kie: KieSimulator) -> None:
    task = PaidTask(kie, store=FaultyStore())
    faulty(task, "load")
    ended = task.run()
    assert ended.may_retry
    assert "nothing was sent: RuntimeError: the database is away" in ended.said
    assert task.posts == 0
    faulty(task, "none")
    assert task.run().result is not None
    assert task.posts == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_cannot_be_announced_is_not_sent(when: str, kie: KieSimulator) -> None:
    task = PaidTask(kie, store=FaultyStore())
    store = faulty(task, f"{when} a")
    ended = task.run()
    assert ended.may_retry
    assert "nothing was sent" in ended.said
    assert (task.posts, store.values) == (0, {})
    faulty(task, "none")
    assert task.run().result is not None
    assert task.posts == 1


@pytest.mark.parametrize("mode", ["sync", "deferred"])
@pytest.mark.parametrize("point", ["before b", "after b", "before c", "after c"])
def test_a_store_that_breaks_after_the_submission_costs_no_result(
    point: str, mode: Mode, kie: KieSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    task = PaidTask(kie, mode, store=FaultyStore())
    faulty(task, point)
    ended = task.run()
    assert ended.result is not None
    [job] = kie.jobs
    assert ended.result["job_id"] == job.job_id
    assert any(job.job_id in line and "the database is away" in line for line in caplog.messages)


@pytest.mark.parametrize(
    ("point", "then"),
    [
        ("before load", "new"),
        ("before a", "new"),
        ("after a", "doubt"),
        ("before b", "doubt"),
        ("after b", "same"),
        ("before c", "same"),
        ("after c", "same"),
    ],
)
@pytest.mark.parametrize("mode", ["sync", "deferred"])
def test_a_retry_after_a_crash_knows_what_was_paid(
    point: str, then: str, mode: Mode, kie: KieSimulator
) -> None:
    task = PaidTask(kie, mode, store=FaultyStore())
    faulty(task, point, Crash())
    assert isinstance(task.run().error, Crash)
    faulty(task, "none")
    ended = task.run()
    if then == "doubt":
        assert isinstance(ended.error, AirflowFailException)
        assert task.posts == (0 if point == "after a" else 1)
        task.clear()
        assert task.run().result is not None
        return
    assert ended.result is not None
    assert ended.result["job_id"] == kie.jobs[0].job_id
    assert task.posts == 1


@pytest.mark.parametrize("point", ["before b", "before c"])
def test_a_clear_after_a_note_was_lost_pays_for_one_more_at_the_most(point: str, kie: KieSimulator) -> None:
    task = PaidTask(kie, store=FaultyStore())
    faulty(task, point)
    assert task.run().result is not None
    faulty(task, "none")
    task.clear()
    # Without its end in the memory, the first job counts as not delivered.
    assert task.run().result is not None
    assert task.posts == (2 if point == "before b" else 1)


def test_a_refusal_that_cannot_be_forgotten_becomes_a_doubt(
    kie: KieSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    task = PaidTask(kie, store=FaultyStore())
    faulty(task, "forget")
    kie.fail_next("createTask", code=402)
    assert "KieInsufficientCreditsError" in task.run().said
    assert "none was accepted" in caplog.text
    faulty(task, "none")
    assert "KieInDoubtError" in task.run().said
    task.clear()
    assert task.run().result is not None
    assert len(kie.jobs) == 1


@pytest.mark.parametrize("mode", ["sync", "deferred"])
def test_a_result_too_large_to_store_is_read_again(mode: Mode, kie: KieSimulator) -> None:
    kie.add_model("m", seconds=0.05, output={"resultObject": {"text": "x" * 50_000}})
    store = StateStore()
    task = PaidTask(kie, mode, store=store)
    first, again = task.run().result, task.run().result
    assert first is not None
    assert first == again
    assert len(store.values[KEY]) < 2000
    assert task.posts == 1


# Before Airflow 3.3.


@pytest.mark.parametrize("mode", ["sync", "deferred", "no wait"])
def test_without_a_store_only_the_first_try_since_a_clear_submits(mode: Mode, kie: KieSimulator) -> None:
    task = PaidTask(kie, mode, store=None)
    for jobs in (1, 2):
        assert task.run().result is not None
        for _ in range(2):
            ended = task.run()
            assert isinstance(ended.error, AirflowFailException)
            assert "KieInDoubtError: Airflow before 3.3 cannot remember" in ended.said
        assert (task.posts, len(kie.jobs)) == (jobs, jobs)
        task.clear()


def test_without_a_store_a_doubt_may_be_told_to_submit(kie: KieSimulator) -> None:
    task = PaidTask(kie, store=None, on_doubt="submit")
    assert [task.run().result is not None for _ in range(2)] == [True, True]
    assert task.posts == 2


def test_without_a_store_the_first_try_submits_whatever_the_retries_became(kie: KieSimulator) -> None:
    task = PaidTask(kie, store=None, retries=0)
    task.retries = 3
    assert task.run().result is not None
    assert "KieInDoubtError" in task.run().said


def test_without_a_store_fewer_retries_make_no_later_try_the_first_one(kie: KieSimulator) -> None:
    for retries in (0, 1):
        task = PaidTask(kie, store=None, retries=3)
        assert task.run().result is not None
        task.retries = retries
        assert "KieInDoubtError" in task.run().said
    assert len(kie.jobs) == 2


# Two attempts of one task.


class ZombieStore(StateStore):
    """As the API server answers an attempt whose id is no longer the task's."""

    def get(self, key: str) -> Any:
        return None

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        raise RuntimeError("404: task instance not found")

    def delete(self, key: str) -> None:
        raise RuntimeError("404: task instance not found")


def test_an_attempt_that_is_no_longer_the_task_sends_nothing(kie: KieSimulator) -> None:
    task = PaidTask(kie, store=ZombieStore())
    assert "nothing was sent" in task.run().said
    assert task.posts == 0


def test_of_two_attempts_at_once_the_later_is_in_doubt_while_the_first_is_sending(kie: KieSimulator) -> None:
    store = StateStore()
    first, second = (PaidTask(kie, store=store) for _ in range(2))
    second.try_number = 1
    kie.fail_next("createTask", delay=0.5)
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(first.run().result))
    thread.start()
    while not kie.requests_to("createTask"):
        pass
    ended = second.run()
    thread.join()
    assert "KieInDoubtError" in ended.said
    assert results[0]["job_id"] == kie.jobs[0].job_id
    assert len(kie.jobs) == 1


def test_errors_of_the_store_are_errors_that_a_retry_may_mend(kie: KieSimulator) -> None:
    task = PaidTask(kie, store=FaultyStore())
    faulty(task, "load")
    error = task.run().error
    assert isinstance(error, KieError)
    assert error.transient
