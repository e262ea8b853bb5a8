"""Jobs that are waited for are measured in phases: they are submitted, wait, and lose their triggerer."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from statistics import mean, median, quantiles

from benchmarks.waiting_measure import KB, MB, Figures, Measurement, cpu_seconds, memory
from benchmarks.waiting_watch import PRICE, Watch


@dataclass
class JobMeasurement(Measurement):
    """
    Takes the figures of one way to wait for jobs.

    :param seconds: Median of the jobs' durations.
    """

    seconds: float

    def __post_init__(self) -> None:
        self._watch = Watch(self.airflow, self.kie, self.seconds)
        self._deadline = 600 + 3 * self.count + 4 * self.seconds

    def measure(self) -> None:
        """Take all figures."""
        self.phase("idle", self._idle)
        self.phase("submitting", self._submit)
        self.phase("waiting", self._wait)
        self.phase("kill -9", self._lose_triggerer)
        self.figures |= self._looks_and_lateness()
        self._check()

    def _idle(self) -> Figures:
        time.sleep(5)
        return self.usage(20)

    def _submit(self) -> Figures:
        self._processes = self.airflow.triggerer()
        self._cpu, self._begun = cpu_seconds(self._processes), time.monotonic()
        self.airflow.begin()
        seconds = self._watch.until(lambda: len(self.kie.jobs) >= self.count, self._deadline)
        held, waiting = memory(self._processes) / MB, len(self._watch.waiting)
        return {
            "s until all were submitted": seconds,
            "jobs waiting then": waiting,
            "MB": held,
            "KB per waiting job": (held - self.figures["idle: MB"]) * MB / KB / max(waiting, 1),
        }

    def _wait(self) -> Figures:
        cpu, looks = cpu_seconds(self._processes), self._looks()
        seconds = self._watch.until(lambda: len(self._watch.resumed) >= self.count / 2, self._deadline)
        now = cpu_seconds(self._processes)
        idle = self.figures["idle: % of a core"] / 100 * (time.monotonic() - self._begun)
        self._cpu_per_look = (now - self._cpu - idle) / max(self._looks(), 1)
        return {
            "s until half had resumed": seconds,
            "% of a core": 100 * (now - cpu) / max(seconds, 1.0),
            "requests per s": (self._looks() - looks) / max(seconds, 1.0),
        }

    def _lose_triggerer(self) -> Figures:
        resumed, killed_at = self._watch.resumed, time.time()
        before = set(resumed)
        self.airflow.replace_triggerer()
        back = self._watch.until(lambda: len(resumed) > len(before), self._deadline)
        # Nobody could see these in time.
        self._missed = {number for number, (_, end) in self._ended().items() if end} - before
        seconds = back + self._watch.until(self._all_ended, self._deadline)
        late = [resumed[number] - killed_at for number in self._missed & resumed.keys()]
        return {
            "s until the first resumed": back,
            "jobs that had ended by then": len(late),
            "s until the last of these resumed": max(late, default=0.0),
            "s until all had succeeded": seconds,
        }

    def _looks_and_lateness(self) -> Figures:
        looks = self._looks() / self.count
        late = {
            number: (self._watch.resumed[number] - end, end - begin)
            for number, (begin, end) in self._ended().items()
            if end and number in self._watch.resumed and number not in self._missed
        }
        shares = [100 * seconds / duration for seconds, duration in late.values()]
        return {
            "most jobs waiting at once": self._watch.most_waiting,
            "most connections at once": self._watch.most_connections,
            "requests per job": looks,
            "CPU ms per request": 1000 * self._cpu_per_look,
            "CPU ms per job": 1000 * self._cpu_per_look * looks,
            "lateness in % of the duration, mean": mean(shares),
            "lateness in % of the duration, p95": quantiles(shares, n=20)[-1],
            "lateness in s, median": median(seconds for seconds, _ in late.values()),
            "lateness in s, most": max(seconds for seconds, _ in late.values()),
        }

    def _looks(self) -> int:
        return len(self.kie.requests_to("recordInfo"))

    def _ended(self) -> dict[int, tuple[float, float | None]]:
        """Give when jobs began and ended, by the indexes of their tasks."""
        return {int(job.input["number"]): (job.submitted_at, job.completed_at) for job in self.kie.jobs}

    def _all_ended(self) -> bool:
        return set(self.airflow.states().values()) <= {"success", "failed"}

    def _check(self) -> None:
        """Require one job, paid once, and its result for every task."""
        states = Counter(self.airflow.states().values())
        if states != {"success": self.count}:
            self.note_wrong(f"{self.count} tasks, and they are {dict(states)}")
        jobs = self.kie.jobs
        paid = sum(job.charged for job in jobs) / PRICE
        if len(jobs) != self.count or paid != self.count:
            self.note_wrong(f"{self.count} tasks, and {len(jobs)} jobs, {paid:g} of them paid")
        results = {result["job_id"] for result in self.airflow.results()}
        if results != {job.job_id for job in jobs}:
            self.note_wrong(f"{len(jobs)} jobs, and results of {len(results)}")
