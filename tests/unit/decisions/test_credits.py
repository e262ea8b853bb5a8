from __future__ import annotations

import dataclasses
import logging
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from airflow_provider_kie.client.errors import KieAuthError, KieNotFoundError
from airflow_provider_kie.decisions.credits import CONDITIONS, CreditsCrossing, CreditsGoal, decide
from airflow_provider_kie.decisions.waiting import ConsecutiveFailures, Decision


@pytest.mark.parametrize(
    ("threshold", "number"),
    [
        (100, 100.0),
        (0, 0.0),
        (-5, -5.0),
        (0.5, 0.5),
        ("100", 100.0),
        (" 99.5 ", 99.5),
        ("1e3", 1000.0),
        (Decimal("10.25"), 10.25),
        (Fraction(1, 4), 0.25),
    ],
)
def test_a_threshold_is_a_number_or_one_as_text(threshold: Any, number: float) -> None:
    goal = CreditsGoal.parse(threshold)
    assert (type(goal.threshold), goal.threshold, goal.condition) == (float, number, "at_least")


@pytest.mark.parametrize(
    "threshold",
    [
        None,
        True,
        False,
        "",
        " ",
        "many",
        "12,5",
        "{{ var.value.threshold }}",
        "nan",
        "inf",
        float("nan"),
        float("inf"),
        float("-inf"),
        [],
        [5],
        {},
        1j,
        object(),
    ],
)
def test_another_threshold_is_refused_and_shown(threshold: Any) -> None:
    with pytest.raises(ValueError, match=r"^threshold must be a number of credits, not ") as caught:
        CreditsGoal.parse(threshold)
    assert repr(threshold) in str(caught.value)


@pytest.mark.parametrize("threshold", [10**400, -(10**400), "1" + "0" * 400], ids=["large", "small", "text"])
def test_a_threshold_beyond_all_bounds_is_refused(threshold: Any) -> None:
    with pytest.raises(ValueError, match=r"^threshold must be a number of credits, not "):
        CreditsGoal.parse(threshold)


@pytest.mark.parametrize("condition", ["", "above", "AT_LEAST", "at least", "below "])
def test_another_condition_is_refused_and_the_allowed_ones_are_named(condition: str) -> None:
    with pytest.raises(ValueError, match=r"^condition must be one of at_least, below; not '") as caught:
        CreditsGoal.parse(5, condition)
    assert repr(condition) in str(caught.value)


@pytest.mark.parametrize(
    ("condition", "balance", "met"),
    [
        ("at_least", 99.99, False),
        ("at_least", 100, True),
        ("at_least", 100.0, True),
        ("at_least", 5916.25, True),
        ("at_least", -1, False),
        ("below", 99.99, True),
        ("below", 100, False),
        ("below", 5916.25, False),
        ("below", -1, True),
    ],
)
def test_a_balance_meets_its_goal(condition: str, balance: float, met: bool) -> None:
    assert CreditsGoal.parse(100, condition).met_by(balance) is met


@pytest.mark.parametrize("balance", [-1.0, 0.0, 9.99, 10.0, 10.01, 1e9])
def test_of_two_conditions_a_balance_meets_just_one(balance: float) -> None:
    assert sum(CreditsGoal.parse(10, condition).met_by(balance) for condition in CONDITIONS) == 1


@pytest.mark.parametrize(
    ("goal", "shown"),
    [
        (CreditsGoal(100.0), "at least 100"),
        (CreditsGoal(0.5, "below"), "below 0.5"),
        (CreditsGoal(5916.25), "at least 5916.25"),
        (CreditsGoal(1_234_567.0), "at least 1234567"),
        (CreditsGoal(12345.75, "below"), "below 12345.75"),
    ],
)
def test_a_goal_can_be_shown_exactly(goal: CreditsGoal, shown: str) -> None:
    assert str(goal) == shown


def test_a_goal_cannot_be_changed_and_is_equal_to_its_like() -> None:
    assert CreditsGoal.parse("5") == CreditsGoal(5.0)
    assert len({CreditsGoal.parse("5"), CreditsGoal(5.0)}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        CreditsGoal(5.0).threshold = 6.0  # type: ignore[misc]


TWO_FAILED = ConsecutiveFailures(limit=3, count=2)


@pytest.mark.parametrize(
    ("balance", "outcome", "message"),
    [
        (100.0, "done", "The balance of 100 credits is at least 100"),
        (5916, "done", "The balance of 5916 credits is at least 100"),
        (99.5, "wait", "The balance of 99.5 credits is not yet at least 100"),
    ],
)
def test_a_balance_ends_the_waiting_or_not_and_ends_a_row_of_failures(
    balance: float, outcome: Any, message: str
) -> None:
    decision = decide(CreditsGoal(100.0), TWO_FAILED, balance)
    topic = "balance" if outcome == "wait" else ""
    assert decision == Decision(outcome, message, logging.INFO, ConsecutiveFailures(), topic)


def test_a_failed_poll_is_decided_with_those_before_it() -> None:
    gone = KieNotFoundError("no", code=404)
    decision = decide(CreditsGoal(100.0), ConsecutiveFailures(), gone)
    assert (decision.outcome, decision.failures.count) == ("wait", 1)
    assert decision.message == "Asking for the balance failed, will ask again: no"
    assert decide(CreditsGoal(100.0), TWO_FAILED, gone).outcome == "fail"


def test_with_silent_fail_no_failure_ends_the_waiting() -> None:
    wrong_key = KieAuthError("no", code=401, said_by_kie=True)
    assert decide(CreditsGoal(100.0), TWO_FAILED, wrong_key).outcome == "fail"
    assert decide(CreditsGoal(100.0), TWO_FAILED, wrong_key, silent_fail=True).outcome == "wait"


def crossings(
    condition: str, *balances: float, hysteresis: Any = None, fire_on_start: bool = False
) -> list[float]:
    crossing = CreditsCrossing.parse(100, condition, hysteresis, fire_on_start=fire_on_start)
    before, fired = None, []
    for balance in balances:
        before, crossed = crossing.observe(before, balance)
        if crossed:
            fired.append(balance)
    return fired


@pytest.mark.parametrize(
    ("condition", "balances", "fired"),
    [
        ("below", [120, 99], [99]),
        ("below", [120, 100], []),
        ("below", [120, 99, 98, 0, -3], [99]),
        ("below", [99, 50, 10], []),
        ("below", [99, 120, 80], [80]),
        ("below", [120, 99, 101, 99, 104.9, 98], [99]),
        ("below", [120, 99, 105, 99], [99, 99]),
        ("below", [102, 99], [99]),
        ("at_least", [80, 100], [100]),
        ("at_least", [80, 99.9], []),
        ("at_least", [80, 100, 120, 1e6], [100]),
        ("at_least", [100, 120], []),
        ("at_least", [80, 100, 99, 100, 95, 100], [100]),
        ("at_least", [80, 100, 94.9, 100], [100, 100]),
        ("at_least", [], []),
    ],
)
def test_a_crossing_is_told_once(condition: str, balances: list[float], fired: list[float]) -> None:
    assert crossings(condition, *balances) == fired


@pytest.mark.parametrize(
    ("condition", "balances", "fired"),
    [
        ("below", [99, 98, 0], [99]),
        ("below", [99, 101, 99, 105, 98], [99, 98]),
        ("below", [100, 99], [99]),
        ("below", [120, 110], []),
        ("at_least", [100, 120], [100]),
        ("at_least", [120, 96, 100, 94, 100], [120, 100]),
    ],
)
def test_a_start_beyond_the_threshold_is_told_once_if_asked_for(
    condition: str, balances: list[float], fired: list[float]
) -> None:
    assert crossings(condition, *balances, fire_on_start=True) == fired


def test_the_hysteresis_is_the_authors_if_given() -> None:
    assert crossings("below", 120, 99, 100, 99, hysteresis=0) == [99, 99]
    assert crossings("below", 120, 99, 119, 99, 120, 99, hysteresis="20") == [99, 99]


@pytest.mark.parametrize("hysteresis", [-1, "some", float("nan"), float("inf"), True])
def test_a_hysteresis_is_a_number_that_is_not_negative(hysteresis: Any) -> None:
    with pytest.raises(ValueError, match="hysteresis must"):
        CreditsCrossing.parse(100, "below", hysteresis)
