"""How much of the processor someone else had meanwhile."""

from __future__ import annotations

import os
import resource
import time
from contextlib import suppress
from dataclasses import dataclass

import psutil

MOST = 0.05


@dataclass(frozen=True)
class Moment:
    """
    What the processor has done up to a moment.

    :param at: Seconds.
    :param busy: Seconds of all processes, and what the host of a virtual machine gave to others.
    :param own: Seconds of this process and all that it has started.
    """

    at: float
    busy: float
    own: float

    @classmethod
    def now(cls) -> Moment:
        """Look."""
        return cls(time.perf_counter(), _busy(), _own())

    def others(self, since: Moment) -> float:
        """
        Give the part of the processor that was someone else's.

        :param since: An earlier moment.
        :return: 1.0 if they had all cores all the time.
        """
        foreign = (self.busy - since.busy) - (self.own - since.own)
        return max(0.0, foreign / (self.at - since.at) / (os.cpu_count() or 1))


def _busy() -> float:
    # Of interrupts nobody can tell whose they were.
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + getattr(times, "steal", 0.0))


def _own() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    own = sum(usage.ru_utime + usage.ru_stime for usage in used)
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            own += sum(process.cpu_times()[:4])
    return own
