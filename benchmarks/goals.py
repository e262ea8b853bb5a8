"""What the provider promises itself, and whether a run has reached it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks.contenders import ARIA2C, BATCH, CURL, CURL_HASHED, HOOK, OPERATOR, REQUESTS, UNHASHED
from benchmarks.measure import Measured, Results
from benchmarks.works import Kind, Work

MB = 1 << 20
UNITS = {"seconds": "seconds", "processor": "CPU", "more": "memory"}


@dataclass(frozen=True)
class Verdict:
    """
    A goal, held against a run.

    :param work: What was done.
    :param goal: What is promised.
    :param figure: What was found.
    :param reached: Whether that is enough.
    """

    work: str
    goal: str
    figure: str
    reached: bool


@dataclass(frozen=True)
class Goal(ABC):
    """
    What ours is to take at most: median of all rounds.

    :param kind: In which works.
    :param ours: Which contender of ours.
    :param figure: A field of :class:`benchmarks.measure.Taken`.
    :param most: So much.
    """

    kind: Kind
    ours: str
    figure: str
    most: float

    @abstractmethod
    def judge(self, work: Work, measured: dict[str, Measured]) -> Verdict | None:
        """
        Hold it against a run.

        :param work: What was done.
        :param measured: What it took.
        :return: None if the run cannot judge it.
        """


@dataclass(frozen=True)
class Ratio(Goal):
    """
    So many times what another contender took in the same round.

    :param base: The other.
    """

    base: str

    def judge(self, work: Work, measured: dict[str, Measured]) -> Verdict | None:
        nothing = Measured()
        ratios = measured.get(self.ours, nothing).ratios(self.figure, measured.get(self.base, nothing))
        if not ratios:
            return None
        found = median(ratios)
        text = f"{self.ours}: {UNITS[self.figure]} at most {self.most:.2f} x {self.base}"
        figure = f"{found:.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        return Verdict(work.name, text, figure, found <= self.most)


@dataclass(frozen=True)
class Amount(Goal):
    """``processor``, in seconds per GB or milliseconds per file, or ``more``, in MB; over https only."""

    def judge(self, work: Work, measured: dict[str, Measured]) -> Verdict | None:
        amount = measured.get(self.ours, Measured()).median(self.figure)
        if amount is None or work.scheme != "https":
            return None
        found, unit = amount / MB, "MB more"
        if self.figure == "processor":
            found, unit = work.processor(amount), f"{'s' if work.per == 'GB' else 'ms'} per {work.per}"
        text = f"{self.ours}: {UNITS[self.figure]} at most {self.most:g} {unit}"
        return Verdict(work.name, text, f"{found:.2f} {unit}", found <= self.most)


GOALS: tuple[Goal, ...] = (
    Ratio("down", HOOK, "seconds", 1.3, CURL),
    Ratio("down", HOOK, "seconds", 1, CURL_HASHED),
    Ratio("down", HOOK, "processor", 1, CURL_HASHED),
    Amount("down", HOOK, "processor", 2.7),
    Amount("down", HOOK, "more", 40),
    Ratio("up", HOOK, "seconds", 1.4, CURL),
    Ratio("up", UNHASHED, "seconds", 1.1, CURL),
    Amount("up", HOOK, "more", 40),
    Ratio("line down", HOOK, "seconds", 1.02, CURL),
    Ratio("line up", HOOK, "seconds", 1.02, CURL),
    Ratio("batch", BATCH, "seconds", 1.3, ARIA2C),
    Ratio("batch", BATCH, "seconds", 1, REQUESTS),
    # About what requests takes, on a processor with SHA instructions.
    Amount("batch", BATCH, "processor", 5.4),
)
# What a task returns of a file, its URL, path, hash and so on, takes about 750.
MOST_BYTES_PER_FILE = 2048


def verdicts(results: Results) -> Iterator[Verdict]:
    """
    Hold a run against all goals.

    :param results: What was measured.
    :return: Those that this run can judge.
    """
    for work, measured in results.works.items():
        for goal in GOALS:
            if goal.kind == work.kind and (verdict := goal.judge(work, measured)):
                yield verdict
    yield from _flat(results)


def _flat(results: Results) -> Iterator[Verdict]:
    """Compare the memory of a task with many files with that of one with few."""
    peaks = {
        work: peak
        for work, measured in results.works.items()
        if work.kind == "task" and (peak := measured.get(OPERATOR, Measured()).median("peak"))
    }
    if len(peaks) < 2:
        return
    few, *_, many = sorted(peaks, key=lambda work: work.count)
    found = (peaks[many] - peaks[few]) / (many.count - few.count)
    text = (
        f"{OPERATOR}: for each file after the first {few.count} at most {MOST_BYTES_PER_FILE} bytes of memory"
    )
    figure = f"{found:.0f} bytes ({peaks[few] / MB:.0f} and {peaks[many] / MB:.0f} MB)"
    yield Verdict(many.name, text, figure, found <= MOST_BYTES_PER_FILE)
