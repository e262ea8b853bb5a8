"""Jobs and sensors that wait on one triggerer, as many of the ones as of the others, without workers."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_kie.client.api.jobs import submit_job
from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.settings import KieSettings
from benchmarks.waiting_measure import Figures
from benchmarks.waiting_sensors import INTERVALS, SensorMeasurement, until

MODEL = "bench/together"


@dataclass
class TogetherMeasurement(SensorMeasurement):
    """Takes the figures of jobs and sensors; the count is that of both."""

    def measure(self) -> None:
        """Take all figures."""
        self.phase("idle", self.idle)
        self.phase("deferring", self.defer)
        self.phase("waiting", self.wait)
        self.phase("kill -9", self._lose_triggerer)

    def begin(self) -> None:
        """Submit the jobs, which end once all have waited for a while, and let all tasks wait."""
        seconds = 60 + self.count / 10 + (INTERVALS + 4) * self.interval
        self.kie.add_model(MODEL, seconds=seconds, credits=0)
        settings = KieSettings(self.kie.api_key, base_url=self.kie.api_url)
        with KieClient(settings) as client:
            calls = [submit_job({"number": number}, model=MODEL) for number in range(self.count // 2)]
            self._jobs = [client.send(call) for call in calls]
        self.airflow.defer(self._jobs)

    def _lose_triggerer(self) -> Figures:
        self.airflow.replace_triggerer()
        self.kie.credits = self.count
        seconds = until(lambda: "deferred" not in self.airflow.states().values(), 600 + self.count)
        states, events = self.airflow.states(), self.airflow.events()
        lost = [
            number
            for number in range(self.count)
            if states[number] != "scheduled" or not self._is_told(number, str(events[number]))
        ]
        if lost:
            self.note_wrong(f"{len(lost)} of {self.count} tasks have not resumed with what they waited for")
        return {"s until all had resumed": seconds}

    def _is_told(self, number: int, event: str) -> bool:
        """Tell whether a task resumes with what it waited for, and with its own job."""
        return '"event"' in event and (number % 2 == 1 or self._jobs[number // 2] in event)
