"""Sensors that wait are measured in phases: they defer, wait, lose the API, resume, lose their triggerer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from statistics import linear_regression, median

from benchmarks.waiting_measure import KB, MB, Figures, Measurement, memory
from scripts.running import every_second

INTERVALS = 12
GLANCE_SECONDS = 0.5
# After failures a poll waits up to this much longer than its interval.
LONGEST_BACKOFF = 300.0


@dataclass
class SensorMeasurement(Measurement):
    """
    Takes the figures of one kind of sensor.

    :param requests: Counts the requests so far.
    :param interval: Seconds between polls.
    :param outage: Seconds that the API is down; None for no outage.
    """

    requests: Callable[[], int]
    interval: float
    outage: float | None

    def measure(self) -> None:
        """Take all figures."""
        self.phase("idle", self.idle)
        self.phase("deferring", self.defer)
        self.phase("waiting", self.wait)
        if (outage := self.outage) is not None:
            self.phase("outage", lambda: self._cut_off(outage))
        self.phase("resuming", self._resume_half)
        self.phase("kill -9", self._lose_triggerer)

    def begin(self) -> None:
        """Let the sensors come."""
        self.airflow.begin()

    def idle(self) -> Figures:
        """Measure what the triggerer takes anyway."""
        time.sleep(self.interval)
        return self.usage(2 * self.interval)

    def defer(self) -> Figures:
        processes = self.airflow.triggerer()
        samples: list[tuple[int, int]] = []

        def all_wait() -> bool:
            samples.append((self.airflow.taken(), memory(processes)))
            return samples[-1][0] >= self.count

        self.begin()
        figures = {"s until all wait": until(all_wait, 300 + 3 * self.count)}
        # The first sensors also load what all of them import.
        later = [sample for sample in samples if sample[0] > self.count / 10]
        if len({taken for taken, _ in later}) > 1:
            figures["KB for one more"] = linear_regression(*zip(*later, strict=True)).slope / KB
        self._check("after deferring", succeeded=0)
        return figures

    def wait(self) -> Figures:
        time.sleep(2 * self.interval)
        before = self.requests()
        usage = self.usage(INTERVALS * self.interval)
        more = {name: value - self.figures[f"idle: {name}"] for name, value in usage.items()}
        return {
            "requests per interval": (self.requests() - before) / INTERVALS,
            **usage,
            "KB per sensor": more["MB"] * MB / KB / self.count,
            "CPU ms per sensor and interval": 1000 * more["% of a core"] / 100 * self.interval / self.count,
        }

    def _cut_off(self, seconds: float) -> Figures:
        """Let the API answer 429 at first, and then hang up on everyone."""
        before = self.requests()
        self.kie.fail_next("credit", status=429, times=2)
        self.kie.fail_next("credit", drop_after=-1, times=10_000)
        time.sleep(seconds)
        during = self.requests() - before
        self.kie.reset()
        before = self.requests()
        recovered = until(lambda: self.requests() > before, LONGEST_BACKOFF + 3 * self.interval)
        if self.requests() == before:
            self.note_wrong("after the outage: nobody asked again")
        before = self.requests()
        time.sleep(6 * self.interval)
        after = (self.requests() - before) / 6
        self._check("after the outage", succeeded=0)
        return {"requests": during, "s until asked again": recovered, "requests per interval then": after}

    def _resume_half(self) -> Figures:
        half = self.count // 2
        figures = self._raise_balance(half)
        # A sensor that wrongly follows needs time to do so.
        time.sleep(2 * self.interval)
        self._check(f"with {half} credits", succeeded=half)
        return figures

    def _lose_triggerer(self) -> Figures:
        self.airflow.replace_triggerer()
        figures = self._raise_balance(self.count)
        self._check("after kill -9", succeeded=self.count)
        return figures

    def _raise_balance(self, credits: int) -> Figures:
        """Time how sensors leave the state ``deferred``, and wait until they have ended."""
        due = {
            index for index, state in self.airflow.states().items() if state == "deferred" and index < credits
        }
        resumed: list[float] = []
        begun = time.monotonic()
        self.kie.credits = credits
        while due and time.monotonic() - begun < 300 + self.count:
            time.sleep(GLANCE_SECONDS)
            states = self.airflow.states()
            left = {index for index in due if states[index] != "deferred"}
            resumed += [time.monotonic() - begun] * len(left)
            due -= left

        def all_ended() -> bool:
            states = self.airflow.states()
            return all(states.get(index) in ("success", "failed") for index in range(credits))

        until(all_ended, 300 + 3 * self.count)
        resumed = resumed or [float("nan")]
        return {
            "s until the first resumed": resumed[0],
            "s until half of them resumed": median(resumed),
            "s until the last resumed": resumed[-1],
            "s until all had ended": time.monotonic() - begun,
        }

    def _check(self, when: str, succeeded: int) -> None:
        """Require that the first sensors have succeeded and that the others still wait."""
        states = self.airflow.states()
        wrong = Counter(
            states.get(index, "missing")
            for index in range(self.count)
            if states.get(index) != ("success" if index < succeeded else "deferred")
        )
        if wrong:
            found = ", ".join(f"{count} wrongly {state}" for state, count in wrong.items())
            waiting = self.count - succeeded
            self.note_wrong(f"{when}: expected {succeeded} success and {waiting} deferred, but {found}")


def until(condition: Callable[[], bool], seconds: float) -> float:
    """Wait for a condition, checked every second, and give the seconds it took."""
    begun = time.monotonic()
    for _ in every_second(seconds):
        if condition():
            break
    return time.monotonic() - begun
