"""
Sensors that wait on a real Airflow, ours beside Airflow's HttpSensor: ``python -m benchmarks.waiting``.

See ``README.md`` here for how to read the figures.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from airflow_provider_kie.simulator import KieSimulator
from benchmarks.gate import gate
from benchmarks.report import machine
from benchmarks.waiting_airflow import waiting_airflow
from benchmarks.waiting_measure import Measurement
from scripts.running import end_on_signals, say

OURS, OTHER = "KieCreditsSensor", "HttpSensor"
PACKAGES = ("apache-airflow", "apache-airflow-providers-http")


def main(arguments: list[str] | None = None) -> int:
    """
    Measure and print.

    :param arguments: Of the command line.
    :return: 1 if a sensor of ours was lost, failed or resumed wrongly, else 0, whatever the figures.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description=__doc__)
    parser.add_argument("--sensors", type=int, help="how many of each kind wait (1000; quick: 10)")
    parser.add_argument(
        "--quick", action="store_true", help="few sensors, often: shows that everything works"
    )
    options = parser.parse_args(arguments)
    interval, outage = (1.0, 5.0) if options.quick else (10.0, 300.0)
    sensors = options.sensors or (10 if options.quick else 1000)
    end_on_signals()
    facts = {name: version(name) for name in PACKAGES} | machine()
    say(", ".join(f"{name}: {fact}" for name, fact in facts.items() if name != "sha256"))
    say(f"{sensors} of each kind of sensor, polling every {interval:.0f} s")
    measured: dict[str, Measurement] = {}
    try:
        _measure(OURS, sensors, interval, outage, measured)
        _measure(OTHER, sensors, interval, None, measured)
    finally:
        say(_table(measured))
    for sensor, one in measured.items():
        say(f"{sensor}: {'; '.join(one.wrong) or 'no sensor was lost, failed or resumed wrongly'}")
    return int(bool(measured[OURS].wrong))


def _measure(
    sensor: str, sensors: int, interval: float, outage: float | None, measured: dict[str, Measurement]
) -> None:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kie-bench-")))
        kie = stack.enter_context(KieSimulator(credits=0))
        door = stack.enter_context(gate(kie))
        say(f"{sensor}: starting Airflow in {home} ...")
        running = waiting_airflow(
            home, kie.connection(), door.url, sensor=sensor, sensors=sensors, interval=interval
        )
        airflow = stack.enter_context(running)

        def requests() -> int:
            return len(kie.requests_to("credit")) + door.requests

        measured[sensor] = Measurement(airflow, kie, requests, sensors, interval)
        measured[sensor].measure(outage)


def _table(measured: dict[str, Measurement]) -> str:
    ours, other = (measured[sensor].figures if sensor in measured else {} for sensor in (OURS, OTHER))
    lines = [f"\n| | {OURS} | {OTHER} | ratio |", "|---|---:|---:|---:|"]
    for name, value in ours.items():
        ratio = other[name] / value if value and name in other else None
        cells = (_rounded(cell) for cell in (value, other.get(name), ratio))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _rounded(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
