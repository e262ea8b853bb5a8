"""What every kind of waiting is measured by: phases, memory, processor time, the event loop's warnings."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

from airflow_provider_kie.simulator import KieSimulator
from benchmarks.waiting_airflow import Airflow
from scripts.running import say

KB, MB = 1 << 10, 1 << 20

Figures = dict[str, float]


@dataclass
class Measurement(ABC):
    """
    Takes the figures of one kind of waiting.

    :param airflow: Where tasks will wait.
    :param kie: What they wait for.
    :param count: How many of them there are.
    :param figures: What was measured, by phase and name.
    :param wrong: What must not have happened.
    """

    airflow: Airflow
    kie: KieSimulator
    count: int
    figures: Figures = field(default_factory=dict, kw_only=True)
    wrong: list[str] = field(default_factory=list, kw_only=True)

    @abstractmethod
    def measure(self) -> None:
        """Take all figures."""

    def phase(self, name: str, phase: Callable[[], Figures]) -> None:
        """
        Take the figures of a phase.

        :param name: Its name.
        :param phase: Goes through it.
        """
        before, begun = len(self.airflow.blocked()), time.monotonic()
        figures = phase()
        blocked = self.airflow.blocked()[before:]
        figures["blocked warnings"] = len(blocked)
        figures["of them by itself"] = sum(one.by_itself for one in blocked)
        figures["longest of them, s"] = max((one.seconds for one in blocked), default=0.0)
        self.figures |= {f"{name}: {figure}": value for figure, value in figures.items()}
        warnings = ", ".join(map(str, blocked)) or "none"
        say(f"  {name}: {time.monotonic() - begun:.0f} s; blocked warnings: {warnings}")

    def usage(self, seconds: float) -> Figures:
        """
        Measure what the triggerer takes.

        :param seconds: How long to measure.
        :return: Its memory in MB, its processor time in % of a core.
        """
        processes = self.airflow.triggerer()
        before, begun = cpu_seconds(processes), time.monotonic()
        time.sleep(seconds)
        cpu = (cpu_seconds(processes) - before) / (time.monotonic() - begun)
        return {"MB": memory(processes) / MB, "% of a core": 100 * cpu}

    def note_wrong(self, what: str) -> None:
        """
        Note what must not have happened.

        :param what: What it is.
        """
        say(f"  WRONG: {what}")
        self.wrong.append(what)


def memory(processes: list[psutil.Process]) -> int:
    """
    Measure memory; what several processes share is counted once.

    :param processes: The processes.
    :return: Bytes.
    """
    return sum(process.memory_full_info().pss for process in processes)


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """
    Add up processor time.

    :param processes: The processes.
    :return: Seconds.
    """
    times = [process.cpu_times() for process in processes]
    return float(sum(one.user + one.system for one in times))
