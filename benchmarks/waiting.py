"""
Sensors and jobs that wait on a real Airflow, each beside what others do: ``python -m benchmarks.waiting``.

See ``README.md`` here for how to read the figures.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from airflow_provider_kie.simulator import KieSimulator, state
from benchmarks.gate import Gate, gate
from benchmarks.report import machine
from benchmarks.waiting_airflow import Airflow, waiting_airflow
from benchmarks.waiting_jobs import JobMeasurement
from benchmarks.waiting_measure import Measurement
from benchmarks.waiting_sensors import SensorMeasurement
from benchmarks.waiting_together import TogetherMeasurement
from benchmarks.waiting_watch import PRICE
from scripts.running import end_on_signals, say

# Ours, each with what it is compared to.
PAIRS = {"sensors": "http-sensors", "jobs": "plain-jobs", "together": "plain-together"}
# As many sensors as jobs.
TOGETHER = ("together", "plain-together")
KINDS = [kind for pair in PAIRS.items() for kind in pair]
PACKAGES = ("apache-airflow", "apache-airflow-providers-http")


def main(arguments: list[str] | None = None) -> int:
    """
    Measure and print.

    :param arguments: Of the command line.
    :return: 1 if a task of ours was lost, failed, resumed or paid wrongly, else 0, whatever the figures.
    """
    options = _options(arguments)
    end_on_signals()
    facts = {name: version(name) for name in PACKAGES} | machine()
    say(", ".join(f"{name}: {fact}" for name, fact in facts.items() if name != "sha256"))
    say(
        f"{options.tasks} of each kind, sensors polling every {options.interval:.0f} s, "
        f"jobs with a median of {options.seconds:.0f} s"
    )
    measured: dict[str, Measurement] = {}
    try:
        for kind in options.kinds:
            _measure(kind, options, measured)
    finally:
        for ours, other in PAIRS.items():
            say(_table(measured, ours, other))
    for kind, one in measured.items():
        say(f"{kind}: {'; '.join(one.wrong) or 'none was lost, failed, resumed or paid wrongly'}")
    return int(any(one.wrong for kind, one in measured.items() if kind in PAIRS))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="kind", help=f"{', '.join(KINDS)}; all by default")
    parser.add_argument(
        "--tasks", type=int, help="how many of each kind wait, together twice as many (1000; quick: 10)"
    )
    parser.add_argument("--seconds", type=float, help="median of the jobs' durations (0.8 for each task)")
    parser.add_argument("--quick", action="store_true", help="few tasks, often: shows that everything works")
    options = parser.parse_args(arguments)
    if wrong := set(options.kinds) - set(KINDS):
        parser.error(f"unknown: {', '.join(wrong)}")
    options.kinds = options.kinds or KINDS
    options.tasks = options.tasks or (10 if options.quick else 1000)
    # As long as it takes to submit them all: most wait at the same time.
    options.seconds = options.seconds or max(0.8 * options.tasks, 20.0)
    options.interval, options.outage = (1.0, 5.0) if options.quick else (10.0, 300.0)
    return options


def _measure(kind: str, options: argparse.Namespace, measured: dict[str, Measurement]) -> None:
    # Every look at every job is counted.
    state.MAX_REQUESTS = sys.maxsize
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kie-bench-")))
        kie = stack.enter_context(KieSimulator(credits=0))
        door = stack.enter_context(gate(kie))
        say(f"{kind}: starting Airflow in {home} ...")
        count = options.tasks * (2 if kind in TOGETHER else 1)
        running = waiting_airflow(
            home, kie.connection(), door.url, kind=kind, count=count, interval=options.interval
        )
        airflow = stack.enter_context(running)
        measured[kind] = _measurement(kind, options, airflow, kie, door)
        measured[kind].measure()


def _measurement(
    kind: str, options: argparse.Namespace, airflow: Airflow, kie: KieSimulator, door: Gate
) -> Measurement:
    if kind in ("jobs", "plain-jobs"):
        kie.creation_limit = None
        kie.credits = PRICE * options.tasks
        return JobMeasurement(airflow, kie, options.tasks, options.seconds)
    outage = options.outage if kind == "sensors" else None

    def requests() -> int:
        asked = ("credit", "recordInfo")
        return sum(len(kie.requests_to(call)) for call in asked) + door.requests

    if kind in TOGETHER:
        kie.creation_limit = None
        return TogetherMeasurement(airflow, kie, 2 * options.tasks, requests, options.interval, None)
    return SensorMeasurement(airflow, kie, options.tasks, requests, options.interval, outage)


def _table(measured: dict[str, Measurement], ours: str, other: str) -> str:
    mine, others = (measured[kind].figures if kind in measured else {} for kind in (ours, other))
    if not (mine or others):
        return ""
    lines = [f"\n| | {ours} | {other} | ratio |", "|---|---:|---:|---:|"]
    for name in mine or others:
        value, compared = mine.get(name), others.get(name)
        ratio = compared / value if value and compared is not None else None
        lines.append(f"| {name} | {' | '.join(_rounded(cell) for cell in (value, compared, ratio))} |")
    return "\n".join(lines) + "\n"


def _rounded(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
