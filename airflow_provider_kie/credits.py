"""The decision about a balance, without I/O: the sensor, its trigger and the branch all ask here."""

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
        try:
            number = math.nan if isinstance(threshold, bool) else float(threshold)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"threshold must be a number of credits, not {threshold!r}")
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
