"""What was played and what was lost, counted over the whole session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

Loss = Literal[
    "other ending than promised",
    "error without a type",
    "wrong byte",
    "half file",
    "old file lost",
    "leftover file",
    "key at a wrong host",
    "key or signed link told",
    "request too many",
    "too slow",
]
LOSSES: tuple[Loss, ...] = Loss.__args__  # type: ignore[attr-defined]


@dataclass
class Ledger:
    """
    The cases of a session.

    :param lost: What each case has lost; nothing for one that survived.
    :param rounds: How often each case was played.
    :param notes: What else the report tells.
    """

    lost: dict[str, list[tuple[Loss, str]]] = field(default_factory=dict)
    rounds: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def open(self, case: str) -> None:
        """
        Note that a case begins; until it is closed it counts as lost.

        :param case: The test's name.
        """
        self.lost[case] = [("other ending than promised", "it did not come to its end")]

    def close(self, case: str, losses: list[tuple[Loss, str]], rounds: int = 1) -> None:
        """
        Note how a case ended.

        :param case: The test's name.
        :param losses: What it lost and how.
        :param rounds: How often it was played.
        """
        self.lost[case] = losses
        self.rounds[case] = rounds

    def add(self, lost: Mapping[str, Any], rounds: Mapping[str, int], notes: Sequence[str]) -> None:
        """
        Add what another ledger says.

        :param lost: Its cases.
        :param rounds: Of each.
        :param notes: Its notes.
        """
        self.lost |= lost
        self.rounds.update(rounds)
        self.notes += [note for note in notes if note not in self.notes]

    def report(self) -> list[str]:
        """Give the lines of the report."""
        cases = len(self.lost)
        survived = sum(not losses for losses in self.lost.values())
        repeated = sum(count for count in self.rounds.values() if count > 1)
        counts = Counter(loss for losses in self.lost.values() for loss in {loss for loss, _ in losses})
        lines = [
            f"{cases} cases, {survived} survived, {cases - survived} lost something"
            f" ({repeated} rounds of kills among them)",
            "lost: " + ("something" if counts else "nothing"),
        ]
        lines += [f"  {counts[loss]:4}  {loss}" for loss in LOSSES]
        lines += [*self._themes(), *self.notes]
        for case, losses in self.lost.items():
            lines += [f"LOST {case}: {loss}: {how}" for loss, how in losses]
        return lines

    def _themes(self) -> list[str]:
        cases = Counter(case.partition(":")[0] for case in self.lost)
        survived = Counter(case.partition(":")[0] for case, losses in self.lost.items() if not losses)
        return [f"{theme}: {count} cases, {survived[theme]} survived" for theme, count in cases.items()]


LEDGER = pytest.StashKey[Ledger]()
"""Where a session has its ledger."""
