"""The decisions about a balance: sensor, triggers and branch all ask here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from airflow_provider_kie.decisions.waiting import (
    ConsecutiveFailures,
    Decision,
    Failure,
    decide_failed_poll,
)

Condition = Literal["at_least", "below"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)


@dataclass(frozen=True)
class CreditsGoal:
    """
    A balance to wait for.

    :param threshold: Credits.
    :param condition: ``at_least`` or ``below``.
    """

    threshold: float
    condition: Condition = "at_least"

    @classmethod
    def parse(cls, threshold: Any, condition: str = "at_least") -> Self:
        """
        Read what a DAG author wrote, after templating.

        :param threshold: A number, or one as text.
        :param condition: ``at_least`` or ``below``.
        :return: The goal.
        :raises ValueError: The threshold is no finite number, or there is no such condition.
        """
        number = finite("threshold", threshold, "credits")
        if condition not in CONDITIONS:
            raise ValueError(f"condition must be one of {', '.join(CONDITIONS)}; not {condition!r}")
        return cls(number, condition)

    def met_by(self, balance: float) -> bool:
        """
        Compare a balance with the threshold.

        :param balance: Credits.
        :return: True if it is the one waited for.
        """
        return balance >= self.threshold if self.condition == "at_least" else balance < self.threshold

    def __str__(self) -> str:
        return f"{self.condition.replace('_', ' ')} {self.threshold:.15g}"


def decide(
    goal: CreditsGoal,
    failures: ConsecutiveFailures,
    poll: float | Failure,
    *,
    silent_fail: bool = False,
) -> Decision:
    """
    Decide what a poll for the balance means for whoever waits.

    :param goal: What is waited for.
    :param failures: Failed polls right before this one.
    :param poll: The balance, or why there is none.
    :param silent_fail: Whether no failure ends the waiting.
    :return: The decision.
    """
    if not isinstance(poll, (int, float)):
        return decide_failed_poll("the balance", failures, poll, silent_fail=silent_fail)
    if goal.met_by(poll):
        return Decision("done", f"The balance of {poll:.15g} credits is {goal}")
    return Decision("wait", f"The balance of {poll:.15g} credits is not yet {goal}", topic="balance")


@dataclass(frozen=True)
class Snapshot:
    """
    What a watcher of the balance remembers between polls.

    :param balance: The last balance, in credits.
    :param armed: Whether the next balance that meets the goal is a crossing.
    """

    balance: float
    armed: bool


@dataclass(frozen=True)
class CreditsCrossing:
    """
    A balance that comes to meet a goal, having been elsewhere before.

    After a crossing the balance has to go back beyond the threshold by the hysteresis before there can be
    another: a balance that hovers around the threshold, as refunds make it, is one crossing.

    :param goal: What the balance has to meet.
    :param hysteresis: Credits.
    :param fire_on_start: Whether a first balance that meets the goal counts as a crossing.
    """

    goal: CreditsGoal
    hysteresis: float
    fire_on_start: bool = False

    @classmethod
    def parse(
        cls, threshold: Any, condition: str, hysteresis: Any = None, *, fire_on_start: bool = False
    ) -> Self:
        """
        Read what a DAG author wrote.

        :param threshold: A number, or one as text.
        :param condition: ``at_least`` or ``below``.
        :param hysteresis: Credits, not negative; None for 5 % of the threshold.
        :param fire_on_start: Whether a first balance that meets the goal counts as a crossing.
        :return: The crossing.
        :raises ValueError: One of them is unusable.
        """
        goal = CreditsGoal.parse(threshold, condition)
        if hysteresis is None:
            return cls(goal, abs(goal.threshold) / 20, fire_on_start)
        margin = finite("hysteresis", hysteresis, "credits")
        if margin < 0:
            raise ValueError(f"hysteresis must not be negative, and is {hysteresis!r}")
        return cls(goal, margin, fire_on_start)

    def observe(self, before: Snapshot | None, balance: float) -> tuple[Snapshot, bool]:
        """
        Take a new balance into account.

        :param before: The last snapshot; None at the start.
        :param balance: Credits.
        :return: The new snapshot, and whether this was a crossing.
        """
        if self.goal.met_by(balance):
            return Snapshot(balance, armed=False), before.armed if before else self.fire_on_start
        armed = before is None or before.armed or self._is_far(balance)
        return Snapshot(balance, armed), False

    def _is_far(self, balance: float) -> bool:
        back = self.hysteresis if self.goal.condition == "below" else -self.hysteresis
        return not CreditsGoal(self.goal.threshold + back, self.goal.condition).met_by(balance)


def finite(name: str, value: Any, unit: str) -> float:
    """
    Read a number that a DAG author wrote.

    :param name: The argument's name.
    :param value: A number, or one as text.
    :param unit: What it counts, for the error.
    :return: The number.
    :raises ValueError: It is no finite number.
    """
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a number of {unit}, not {value!r}")
    return number
