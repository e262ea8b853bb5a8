"""Which failures end the waiting, and after how many in a row."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from airflow_provider_kie.decisions.waiting import (
    FINAL_CODES,
    LIMIT,
    LOOKUP_LIMIT,
    ConsecutiveFailures,
    Decision,
    decide_failed_poll,
)


@dataclass
class Failure:
    """As much of an error as decides."""

    code: int | None = None
    said_by_kie: bool = False
    transient: bool = False
    lookup_failed: bool = False
    unknown_job: bool = False

    def __str__(self) -> str:
        return "it broke"


WRONG_KEY = Failure(401, said_by_kie=True)
CAPPED = Failure(433, said_by_kie=True)
PROXYS_401 = Failure(401)
PROXYS_403 = Failure(403)
NO_DATA = Failure(200)
GONE = Failure(404, said_by_kie=True)
FIELD = Failure()
NO_LOOKUP = Failure(transient=True, lookup_failed=True)
DOWN = Failure(500, said_by_kie=True, transient=True)


def ended_by(polls: Sequence[Failure | None], *, silent_fail: bool = False) -> int | None:
    """Say which of the polls ends the waiting; None in the list is a good answer."""
    failures = ConsecutiveFailures()
    for number, failure in enumerate(polls, 1):
        decision = Decision("wait")
        if failure:
            decision = decide_failed_poll("the balance", failures, failure, silent_fail=silent_fail)
        if decision.outcome == "fail":
            return number
        failures = decision.failures
    return None


@pytest.mark.parametrize(
    ("failure", "limit"),
    [
        (WRONG_KEY, 1),
        (CAPPED, 1),
        (PROXYS_401, 3),
        (Failure(433), 3),
        (PROXYS_403, 3),
        (Failure(403, said_by_kie=True), 3),
        (GONE, 3),
        (NO_DATA, 3),
        (FIELD, 3),
        (NO_LOOKUP, 10),
        (Failure(lookup_failed=True), 10),
        (DOWN, None),
        (Failure(401, said_by_kie=True, transient=True), None),
        (Failure(transient=True), None),
    ],
)
def test_each_failure_has_its_limit(failure: Failure, limit: int | None) -> None:
    assert ended_by([failure] * 100) == limit
    assert ended_by([failure, None] * 100) == (1 if limit == 1 else None)
    assert ended_by([failure] * 100, silent_fail=True) is None


@pytest.mark.parametrize(
    ("polls", "end"),
    [
        ([PROXYS_403, PROXYS_401, NO_DATA], 3),
        ([GONE, FIELD, GONE], 3),
        ([PROXYS_403, PROXYS_403, None, PROXYS_403, PROXYS_403, None], None),
        ([PROXYS_403, PROXYS_403, DOWN, PROXYS_403, PROXYS_403], None),
        ([PROXYS_403, PROXYS_403, NO_LOOKUP, PROXYS_403, PROXYS_403], None),
        ([NO_LOOKUP] * 9 + [DOWN] + [NO_LOOKUP] * 9, None),
        ([NO_LOOKUP] * 9 + [PROXYS_403] + [NO_LOOKUP] * 9, None),
        ([NO_LOOKUP] * 9 + [None] + [NO_LOOKUP] * 10, 20),
        ([DOWN] * 5 + [PROXYS_403] * 3, 8),
        ([PROXYS_403, WRONG_KEY], 2),
        ([NO_LOOKUP, CAPPED], 2),
        ([], None),
    ],
)
def test_only_failures_of_one_sort_make_a_row(polls: list[Failure | None], end: int | None) -> None:
    assert ended_by(polls) == end


def test_the_promised_figures() -> None:
    assert (frozenset({401, 433}), 3, 10) == (FINAL_CODES, LIMIT, LOOKUP_LIMIT)


def test_a_failure_that_is_waited_out_is_a_warning() -> None:
    decision = decide_failed_poll("the balance", ConsecutiveFailures(), GONE)
    assert (decision.outcome, decision.level) == ("wait", logging.WARNING)
    assert decision.message == "Asking for the balance failed, will ask again: it broke"


def test_failures_of_a_sort_are_no_news_whatever_they_say() -> None:
    first, second = (Failure(transient=True) for _ in range(2))
    topics = {
        decide_failed_poll(name, ConsecutiveFailures(), one).topic
        for name, one in (("a", first), ("b", second))
    }
    assert topics == {"Failure"}
