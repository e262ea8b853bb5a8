"""What a task can ask of Airflow's store, and of its own numbers, on any supported Airflow."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_kie._state import TaskStateStore
from tests.unit.state_store import StateStore


def context(**given: Any) -> Any:
    return given


def test_what_is_saved_can_be_loaded_until_it_is_deleted() -> None:
    state = TaskStateStore(context(task_state_store=StateStore()))
    assert state.is_available
    assert state.load("a") is None
    state.save("a", {"b": 1})
    assert state.load("a") == {"b": 1}
    state.delete("a")
    assert state.load("a") is None


def test_before_airflow_3_3_nothing_is_saved() -> None:
    state = TaskStateStore(context())
    assert not state.is_available
    state.save("a", 1)
    assert state.load("a") is None
    state.delete("a")


def test_an_empty_store_is_a_store() -> None:
    assert TaskStateStore(context(task_state_store=StateStore())).is_available


def test_what_the_store_raises_is_passed_on() -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("the API server is away")

    state = TaskStateStore(context(task_state_store=Broken()))
    for call in (state.load, state.delete, lambda key: state.save(key, 1)):
        with pytest.raises(RuntimeError, match="away"):
            call("a")


@pytest.mark.parametrize(
    ("try_number", "max_tries", "retries", "first"),
    [
        (1, 3, 3, 1),
        (3, 3, 3, 1),
        (2, 4, 3, 2),
        (4, 5, 3, 3),
        (2, 3, 2, 2),
        (1, 0, None, 1),
    ],
    ids=["first", "retry", "cleared", "retry of a cleared one", "cleared with fewer retries", "no retries"],
)
def test_a_try_knows_the_first_since_a_clear(
    try_number: int, max_tries: int, retries: int | None, first: int
) -> None:
    state = TaskStateStore(context(ti=SimpleNamespace(try_number=try_number, max_tries=max_tries)))
    assert (state.try_number, state.first_try(retries)) == (try_number, first)


def test_a_sensor_knows_how_often_it_was_rescheduled() -> None:
    assert TaskStateStore(context(task_reschedule_count=7)).poll_number == 7
    assert TaskStateStore(context()).poll_number == 0
