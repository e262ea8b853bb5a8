"""The decisions about a balance, without I/O: sensor, triggers and branch all ask here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

CONDITIONS = ("at_least", "below")


@dataclass(frozen=True)
class CreditsGoal:
    """
    A balance to wait for.

    :param threshold: Credits.
    :param condition: ``at_least`` or ``below``.
    """

    threshold: float
    condition: str = "at_least"

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
        Tell whether a balance is the one waited for.

        :param balance: Credits.
        :return: True if so.
        """
        return balance >= self.threshold if self.condition == "at_least" else balance < self.threshold

    def __str__(self) -> str:
        return f"{self.condition.replace('_', ' ')} {self.threshold:.15g}"


@dataclass(frozen=True)
class Seen:
    """
    What a watcher of the balance remembers.

    :param balance: The last balance, in credits.
    :param armed: Whether the next balance that meets the goal is a crossing.
    """

    balance: float
    armed: bool


@dataclass(frozen=True)
class CreditsCrossing:
    """
    A balance that comes to meet a goal, having been elsewhere before.

    After a crossing there is no other before the balance has gone back beyond the threshold by the
    hysteresis: a balance that hovers around the threshold, as refunds make it, is one crossing.

    :param goal: What the balance has to meet.
    :param hysteresis: Credits.
    """

    goal: CreditsGoal
    hysteresis: float

    @classmethod
    def parse(cls, threshold: Any, condition: str, hysteresis: Any = None) -> Self:
        """
        Read what a DAG author wrote.

        :param threshold: A number, or one as text.
        :param condition: ``at_least`` or ``below``.
        :param hysteresis: Credits, not negative; None for 5 % of the threshold.
        :return: The crossing.
        :raises ValueError: One of them is unusable.
        """
        goal = CreditsGoal.parse(threshold, condition)
        if hysteresis is None:
            return cls(goal, abs(goal.threshold) / 20)
        margin = finite("hysteresis", hysteresis, "credits")
        if margin < 0:
            raise ValueError(f"hysteresis must not be negative, and is {hysteresis!r}")
        return cls(goal, margin)

    def seen(self, before: Seen | None, balance: float) -> tuple[Seen, bool]:
        """
        Take a new balance into account.

        :param before: What was remembered; None if nothing is, and then nothing can have been crossed yet.
        :param balance: Credits.
        :return: What to remember, and whether this was a crossing.
        """
        if self.goal.met_by(balance):
            return Seen(balance, armed=False), before is not None and before.armed
        armed = before is None or before.armed or self._is_far(balance)
        return Seen(balance, armed), False

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
