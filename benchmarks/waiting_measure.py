"""Sensors that wait are measured in phases: they defer, wait, lose the API, resume, lose their triggerer."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from airflow_provider_kie.triggers._polling import LONGEST_BACKOFF
from benchmarks.gate import Service
from benchmarks.processes import Usage, usage
from benchmarks.starving import Starving
from benchmarks.waiting_airflow import Airflow
from benchmarks.waiting_figures import Lost, Outage, Phase, Waited
from scripts.running import every_second, say

GLANCE_SECONDS = 0.5


@dataclass
class Measuring:
    """
    Takes the figures of one Airflow.

    :param airflow: The Airflow; its run is not yet begun.
    :param starving: Watches its event loop.
    :param service: What the sensors ask.
    :param sensors: How many sensors the DAG has; the one with the index 4 waits for 5 credits.
    :param intervals: How many the waiting is watched for.
    :param outage: Seconds that the API is down.
    :param result: Where the figures go.
    """

    airflow: Airflow
    starving: Starving
    service: Service
    sensors: int
    intervals: int
    outage: float
    result: Waited

    def measure(self, *, cut_off: bool) -> None:
        """
        Take all figures.

        :param cut_off: Whether there is an outage.
        """
        with self._phase("without sensors"):
            self._idle()
        with self._phase("deferring"):
            waiting = self._defer()
        with self._phase("waiting"):
            self._watch()
        if cut_off:
            with self._phase("outage"):
                self._cut_off(waiting)
        half = self.sensors // 2
        with self._phase("resuming"):
            self._resume_half(waiting, half)
        with self._phase("finishing"):
            self._finish(half)
        with self._phase("after kill -9"):
            self._kill(half)

    def _idle(self) -> None:
        """A triggerer without sensors has work too: it looks for some."""
        time.sleep(5)
        self.result.idle = self._rate(max(10.0, 2 * self.result.interval))

    def _defer(self) -> set[int]:
        begun = time.monotonic()
        self.airflow.begin()
        pids = self.airflow.triggerer()
        samples: list[tuple[int, int]] = []
        for _ in every_second(300 + 3 * self.sensors):
            taken = self.airflow.taken()
            samples.append((taken, usage(pids).pss))
            if taken >= self.sensors:
                break
        self.result.deferring = time.monotonic() - begun
        states = self.airflow.states()
        waiting = {index for index, state in states.items() if state == "deferred"}
        self.result.waiting = len(waiting)
        if len(waiting) < self.sensors:
            self._wrong(f"only {len(waiting)} of {self.sensors} wait: {self.airflow.counted()}")
        # The first sensors also bring what all of them import.
        later = [sample for sample in samples if sample[0] > self.sensors / 10]
        if len({taken for taken, _ in later}) > 2:
            self.result.each = statistics.linear_regression(*zip(*later, strict=True)).slope
        say(f"  {len(waiting)} sensors wait after {self.result.deferring:.0f} s")
        return waiting

    def _watch(self) -> None:
        time.sleep(max(10.0, 2 * self.result.interval))
        before, begun = self.service.requests(), time.monotonic()
        self.result.full = self._rate(self.intervals * self.result.interval)
        self.result.requests = self.service.requests() - before
        self.result.window = time.monotonic() - begun
        say(f"  {self.result.requests} requests in {self.result.window:.0f} s")

    def _rate(self, seconds: float) -> Usage:
        pids = self.airflow.triggerer()
        before, begun = usage(pids), time.monotonic()
        time.sleep(seconds)
        after = usage(pids)
        return Usage(after.pss, after.rss, (after.cpu - before.cpu) / (time.monotonic() - begun))

    def _cut_off(self, waiting: set[int]) -> None:
        interval = self.result.interval
        before = self.service.requests()
        with self.service.down():
            time.sleep(self.outage)
            requests = self.service.requests() - before
        ended, before = time.monotonic(), self.service.requests()
        recovered = None
        for _ in every_second(LONGEST_BACKOFF + 3 * interval):
            if self.service.requests() > before:
                recovered = time.monotonic() - ended
                break
        before, begun = self.service.requests(), time.monotonic()
        time.sleep(6 * interval)
        window, after = time.monotonic() - begun, self.service.requests() - before
        self.result.outage = Outage(len(waiting), self.outage, requests, recovered, window, after)
        if recovered is None:
            self._wrong("the balance was not read again after the outage")
        states = self.airflow.states()
        if gone := [index for index in waiting if states[index] != "deferred"]:
            self._wrong(f"{len(gone)} sensors did not wait through the outage: {self.airflow.counted()}")
        say(f"  {requests} requests in an outage of {self.outage:.0f} s")

    def _resume_half(self, waiting: set[int], half: int) -> None:
        due = {index for index in waiting if index < half}
        self.result.due = len(due)
        self.service.set_balance(half)
        rose = time.time()
        left = self._left(waiting, due)
        fired = self.airflow.fired()
        self.result.resumed = sorted(left[index] for index in due & left.keys())
        self.result.fired = sorted(fired[index] - rose for index in due & fired.keys())
        last = max(left.values(), default=0.0)
        say(f"  {len(left)} sensors of {len(due)} resumed, the last after {last:.1f} s")

    def _left(self, waiting: set[int], due: set[int]) -> dict[int, float]:
        """Watch sensors leave the state ``deferred``, and for two intervals more if others follow."""
        begun = time.monotonic()
        left: dict[int, float] = {}
        end = begun + 300 + self.sensors
        while (now := time.monotonic()) < end:
            for index, state in self.airflow.states().items():
                if index in waiting and state != "deferred":
                    left.setdefault(index, now - begun)
            if due <= left.keys():
                end = min(end, now + 2 * self.result.interval)
            time.sleep(GLANCE_SECONDS)
        if missing := due - left.keys():
            self._wrong(f"{len(missing)} sensors did not resume")
        if others := left.keys() - due:
            self._wrong(f"{len(others)} sensors resumed too early")
        return left

    def _finish(self, count: int) -> None:
        """Wait until so many sensors have succeeded."""
        counted = self.airflow.counted()
        for _ in every_second(300 + 3 * self.sensors):
            counted = self.airflow.counted()
            if counted["success"] + counted["failed"] >= count:
                break
        if counted["success"] != count or counted["deferred"] != self.sensors - count:
            self._wrong(f"{count} sensors should have succeeded and the others wait: {dict(counted)}")

    def _kill(self, half: int) -> None:
        rest = set(range(half, self.sensors))
        begun = time.monotonic()
        say(f"  kill -9 of the triggerer's {self.airflow.kill_triggerer()} processes; starting another")
        self.airflow.start_triggerer()
        self.service.set_balance(self.sensors)
        left = self._left(rest, rest).values()
        self._finish(self.sensors)
        self.result.lost = Lost(
            len(rest), min(left, default=0), max(left, default=0), time.monotonic() - begun
        )

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        before, begun = len(self.airflow.blocked()), time.time()
        yield
        # The last samples of the watching come a moment later.
        time.sleep(1)
        now, starved = time.time(), self.starving.between
        blocked = [(seconds, starved(end - seconds, end)) for end, seconds in self.airflow.blocked()[before:]]
        self.result.phases[name] = Phase(now - begun, starved(begun, now), blocked)

    def _wrong(self, what: str) -> None:
        say(f"  WRONG: {what}")
        self.result.wrong.append(what)
