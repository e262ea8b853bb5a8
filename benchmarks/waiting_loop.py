"""How an event loop's thread spent its time, by Linux's own account: other processes hold it up as well."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

PERIOD_SECONDS = 0.05
# From here on Airflow's triggerer warns.
THRESHOLD_SECONDS = 0.2


class Blocked(NamedTuple):
    """
    A warning that an event loop was blocked.

    :param seconds: For how long.
    :param ran: Seconds of it in which the loop's thread ran.
    :param starved: Seconds of it in which it was ready to run and other processes had the processors.
    """

    seconds: float
    ran: float
    starved: float

    @property
    def by_itself(self) -> bool:
        """Whether it would have come on a machine that nobody else uses as well."""
        return self.seconds - self.starved > THRESHOLD_SECONDS

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s (ran {self.ran:.2f}, without a core {self.starved:.2f})"


class LoopWatch:
    """
    Watches the main thread of a process.

    :param find: Gives the pid; asked again when the process has ended, and as long as it gives None.
    """

    def __init__(self, find: Callable[[], int | None]) -> None:
        self._find = find
        self._samples: list[tuple[float, float, float]] = []
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def blocked(self, seconds: float, end: float) -> Blocked:
        """
        Say what a thread did while its loop was blocked.

        :param seconds: For how long it was.
        :param end: When it no longer was, in seconds since the epoch.
        :return: From the sample before the stretch to the one after it.
        """
        samples = list(self._samples)
        times = [moment for moment, _, _ in samples]
        first = max(bisect_right(times, end - seconds) - 1, 0)
        inside = list(pairwise(samples[first : bisect_left(times, end) + 1]))
        # A process that follows on another begins with 0.
        ran = sum(max(after[1] - before[1], 0.0) for before, after in inside)
        starved = sum(max(after[2] - before[2], 0.0) for before, after in inside)
        return Blocked(seconds, min(ran, seconds), min(starved, seconds))

    def _watch(self) -> None:
        pid: int | None = None
        while not self._enough.wait(PERIOD_SECONDS):
            pid = pid or self._find()
            if pid:
                try:
                    ran, starved, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
                    self._samples.append((time.time(), int(ran) / 1e9, int(starved) / 1e9))
                except (OSError, ValueError):
                    pid = None

    def __enter__(self) -> LoopWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._enough.set()
        self._thread.join()
