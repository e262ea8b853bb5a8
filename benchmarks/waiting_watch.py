"""Jobs of many durations, and the tasks that wait for them, watched from both ends."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import psutil

from airflow_provider_kie.simulator import KieSimulator
from benchmarks.waiting_airflow import MODELS, Airflow

# How far the durations of a model are spread, log-normally: about as far as kie.ai's.
SPREAD = 0.35
# No run is to last for a single job.
LONGEST = 2.0
PRICE = 4.0
TICK_SECONDS = 0.1
TICKS_PER_GLANCE = 5


class Watch:
    """
    Watches while tasks submit jobs, wait for them, and resume.

    :param airflow: Where the tasks are.
    :param kie: Where the jobs are.
    :param seconds: Median of the jobs' durations.
    """

    def __init__(self, airflow: Airflow, kie: KieSimulator, seconds: float) -> None:
        self.resumed: dict[int, float] = {}
        """When tasks were seen to wait no longer, by their index; seconds since the epoch."""
        self.waiting: set[int] = set()
        """Tasks that wait, by their index."""
        self.most_waiting = 0
        self.most_connections = 0
        self._airflow = airflow
        self._kie = kie
        self._seconds = seconds
        self._port = urlsplit(kie.api_url).port
        self._process = psutil.Process()

    def until(self, condition: Callable[[], bool], seconds: float) -> float:
        """
        Watch until something is so.

        :param condition: What; asked twice a second.
        :param seconds: For how long at most.
        :return: Seconds that it took.
        """
        begun = time.monotonic()
        for tick in _ticks(seconds):
            self._script_models()
            self._count_connections()
            if tick % TICKS_PER_GLANCE == 0:
                self._glance()
                if condition():
                    break
        return time.monotonic() - begun

    def _script_models(self) -> None:
        """Give the next jobs other durations: no two submissions are as close as two ticks."""
        for model, share in MODELS.items():
            drawn = min(random.lognormvariate(0, SPREAD), LONGEST)
            self._kie.add_model(model, seconds=self._seconds * share * drawn, credits=PRICE)

    def _count_connections(self) -> None:
        # The simulator is in this process.
        ports = [
            one.laddr.port for one in self._process.net_connections("tcp") if one.status == "ESTABLISHED"
        ]
        self.most_connections = max(self.most_connections, ports.count(self._port))

    def _glance(self) -> None:
        now, states = time.time(), self._airflow.states()
        deferred = {index for index, state in states.items() if state == "deferred"}
        self.resumed |= dict.fromkeys(self.waiting - deferred, now)
        self.waiting = deferred
        self.most_waiting = max(self.most_waiting, len(deferred))


def _ticks(seconds: float) -> Iterator[int]:
    end, tick = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        yield tick
        tick += 1
        time.sleep(TICK_SECONDS)
