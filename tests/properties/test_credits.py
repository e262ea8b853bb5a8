"""A goal is a finite number and one of two conditions, or a ValueError."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_kie.decisions.credits import CONDITIONS, Condition, CreditsGoal

finite = st.floats(allow_nan=False, allow_infinity=False)
conditions = st.sampled_from(CONDITIONS)
anything = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(alphabet="0123456789.eE+-_ naif")
    | st.binary()
    | st.lists(st.integers())
    | st.dictionaries(st.text(), st.integers())
)


@given(threshold=anything, condition=conditions | st.text())
@example(threshold=10**400, condition="at_least")
@example(threshold="1_000", condition="below")
@example(threshold="nan", condition="below")
def test_anything_is_a_goal_or_a_value_error(threshold: Any, condition: str) -> None:
    try:
        goal = CreditsGoal.parse(threshold, condition)
    except ValueError:
        return
    assert math.isfinite(goal.threshold)
    assert goal.condition in CONDITIONS
    assert CreditsGoal.parse(goal.threshold, goal.condition) == goal
    assert str(goal)


@given(threshold=finite, condition=conditions)
def test_a_number_as_text_is_the_same_goal(threshold: float, condition: Condition) -> None:
    assert CreditsGoal.parse(repr(threshold), condition) == CreditsGoal(threshold, condition)
    assert CreditsGoal.parse(f" {threshold!r}\n", condition) == CreditsGoal(threshold, condition)


@given(threshold=finite, balance=finite)
def test_a_balance_meets_one_condition_and_never_both(threshold: float, balance: float) -> None:
    met = [CreditsGoal(threshold, condition).met_by(balance) for condition in CONDITIONS]
    assert sorted(met) == [False, True]


@given(threshold=finite, balance=finite, more=st.floats(0, 1e6))
def test_more_credits_never_undo_enough(threshold: float, balance: float, more: float) -> None:
    goal = CreditsGoal(threshold)
    assert goal.met_by(balance + more) or not goal.met_by(balance)


@pytest.mark.parametrize("condition", ["", "at least", "above"])
def test_another_condition_is_refused(condition: str) -> None:
    with pytest.raises(ValueError, match="condition must be one of"):
        CreditsGoal.parse(1, condition)
