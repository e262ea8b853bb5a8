"""How long a process was ready to run and had no processor, by Linux's own account."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import TracebackType

PERIOD_SECONDS = 0.1


class Starving:
    """
    Watches the main thread of a process: others that use the machine hold up its event loop as well.

    :param find: Gives the pid; asked again when the process has ended, and as long as it gives None.
    """

    def __init__(self, find: Callable[[], int | None]) -> None:
        self._find = find
        self._samples: list[tuple[float, float]] = []
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def between(self, start: float, end: float) -> float:
        """
        Give the seconds without a processor in a stretch of time.

        :param start: Seconds since the epoch.
        :param end: Seconds since the epoch.
        :return: Seconds, from the sample before the stretch to the one after it.
        """
        samples = list(self._samples)
        times = [moment for moment, _ in samples]
        first = max(bisect_right(times, start) - 1, 0)
        inside = samples[first : bisect_left(times, end) + 1]
        # A process that follows on another begins with 0.
        return sum(max(after[1] - before[1], 0.0) for before, after in pairwise(inside))

    def _watch(self) -> None:
        pid: int | None = None
        while not self._enough.wait(PERIOD_SECONDS):
            pid = pid or self._find()
            if pid:
                try:
                    _, waited, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
                    self._samples.append((time.time(), int(waited) / 1e9))
                except (OSError, ValueError):
                    pid = None

    def __enter__(self) -> Starving:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._enough.set()
        self._thread.join()
