"""Sensors that wait are measured in phases: they defer, wait, lose the API, resume, lose their triggerer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import linear_regression, median

import psutil

from airflow_provider_kie.simulator import KieSimulator
from benchmarks.waiting_airflow import Airflow
from scripts.running import every_second, say

KB, MB = 1 << 10, 1 << 20
INTERVALS = 12
GLANCE_SECONDS = 0.5
# After failures a poll waits up to this much longer than its interval.
LONGEST_BACKOFF = 300.0

Figures = dict[str, float]


@dataclass
class Measurement:
    """
    Takes the figures of one kind of sensor.

    :param airflow: Where the sensors will run.
    :param kie: Simulator that holds the balance.
    :param requests: Counts the requests so far.
    :param sensors: How many sensors there are.
    :param interval: Seconds between polls.
    :param figures: What was measured, by phase and name.
    :param wrong: What must not have happened.
    """

    airflow: Airflow
    kie: KieSimulator
    requests: Callable[[], int]
    sensors: int
    interval: float
    figures: Figures = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def measure(self, outage: float | None) -> None:
        """
        Take all figures.

        :param outage: Seconds that the API is down; None for no outage.
        """
        self._phase("idle", self._idle)
        self._phase("deferring", self._defer)
        self._phase("waiting", self._wait)
        if outage is not None:
            self._phase("outage", lambda: self._cut_off(outage))
        self._phase("resuming", self._resume_half)
        self._phase("kill -9", self._lose_triggerer)
        self.figures["longest blocked warning, s"] = max(self.airflow.blocked(), default=0.0)

    def _phase(self, name: str, phase: Callable[[], Figures]) -> None:
        before, begun = len(self.airflow.blocked()), time.monotonic()
        figures = phase()
        figures["blocked warnings"] = blocked = len(self.airflow.blocked()) - before
        self.figures |= {f"{name}: {figure}": value for figure, value in figures.items()}
        say(f"  {name}: {time.monotonic() - begun:.0f} s, blocked warnings: {blocked}")

    def _idle(self) -> Figures:
        """Measure what the triggerer takes anyway."""
        time.sleep(self.interval)
        return self._usage(2 * self.interval)

    def _defer(self) -> Figures:
        processes = self.airflow.triggerer()
        samples: list[tuple[int, int]] = []

        def all_wait() -> bool:
            samples.append((self.airflow.taken(), _memory(processes)))
            return samples[-1][0] >= self.sensors

        self.airflow.begin()
        figures = {"s until all wait": _until(all_wait, 300 + 3 * self.sensors)}
        # The first sensors also load what all of them import.
        later = [sample for sample in samples if sample[0] > self.sensors / 10]
        if len({taken for taken, _ in later}) > 1:
            figures["KB for one more"] = linear_regression(*zip(*later, strict=True)).slope / KB
        self._check("after deferring", succeeded=0)
        return figures

    def _wait(self) -> Figures:
        time.sleep(2 * self.interval)
        before = self.requests()
        usage = self._usage(INTERVALS * self.interval)
        more = {name: value - self.figures[f"idle: {name}"] for name, value in usage.items()}
        return {
            "requests per interval": (self.requests() - before) / INTERVALS,
            **usage,
            "KB per sensor": more["MB"] * MB / KB / self.sensors,
            "CPU ms per sensor and interval": 1000 * more["% of a core"] / 100 * self.interval / self.sensors,
        }

    def _usage(self, seconds: float) -> Figures:
        processes = self.airflow.triggerer()
        before, begun = _cpu(processes), time.monotonic()
        time.sleep(seconds)
        cpu = (_cpu(processes) - before) / (time.monotonic() - begun)
        return {"MB": _memory(processes) / MB, "% of a core": 100 * cpu}

    def _cut_off(self, seconds: float) -> Figures:
        """Let the API answer 429 at first, and then hang up on everyone."""
        before = self.requests()
        self.kie.fail_next("credit", status=429, times=2)
        self.kie.fail_next("credit", drop_after=-1, times=10_000)
        time.sleep(seconds)
        during = self.requests() - before
        self.kie.reset()
        before = self.requests()
        recovered = _until(lambda: self.requests() > before, LONGEST_BACKOFF + 3 * self.interval)
        if self.requests() == before:
            self._wrong("after the outage: nobody asked again")
        before = self.requests()
        time.sleep(6 * self.interval)
        after = (self.requests() - before) / 6
        self._check("after the outage", succeeded=0)
        return {"requests": during, "s until asked again": recovered, "requests per interval then": after}

    def _resume_half(self) -> Figures:
        half = self.sensors // 2
        figures = self._raise_balance(half)
        # A sensor that wrongly follows needs time to do so.
        time.sleep(2 * self.interval)
        self._check(f"with {half} credits", succeeded=half)
        return figures

    def _lose_triggerer(self) -> Figures:
        self.airflow.replace_triggerer()
        figures = self._raise_balance(self.sensors)
        self._check("after kill -9", succeeded=self.sensors)
        return figures

    def _raise_balance(self, credits: int) -> Figures:
        """Time how sensors leave the state ``deferred``, and wait until they have ended."""
        due = {
            index for index, state in self.airflow.states().items() if state == "deferred" and index < credits
        }
        resumed: list[float] = []
        begun = time.monotonic()
        self.kie.credits = credits
        while due and time.monotonic() - begun < 300 + self.sensors:
            time.sleep(GLANCE_SECONDS)
            states = self.airflow.states()
            left = {index for index in due if states[index] != "deferred"}
            resumed += [time.monotonic() - begun] * len(left)
            due -= left

        def all_ended() -> bool:
            states = self.airflow.states()
            return all(states.get(index) in ("success", "failed") for index in range(credits))

        _until(all_ended, 300 + 3 * self.sensors)
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
            for index in range(self.sensors)
            if states.get(index) != ("success" if index < succeeded else "deferred")
        )
        if wrong:
            found = ", ".join(f"{count} wrongly {state}" for state, count in wrong.items())
            waiting = self.sensors - succeeded
            self._wrong(f"{when}: expected {succeeded} success and {waiting} deferred, but {found}")

    def _wrong(self, what: str) -> None:
        say(f"  WRONG: {what}")
        self.wrong.append(what)


def _until(condition: Callable[[], bool], seconds: float) -> float:
    """Wait for a condition, checked every second, and give the seconds it took."""
    begun = time.monotonic()
    for _ in every_second(seconds):
        if condition():
            break
    return time.monotonic() - begun


def _memory(processes: list[psutil.Process]) -> int:
    # What several processes share is counted once.
    return sum(process.memory_full_info().pss for process in processes)


def _cpu(processes: list[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return float(sum(one.user + one.system for one in times))
