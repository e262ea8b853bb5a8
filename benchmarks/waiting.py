"""
A thousand sensors that wait, on a real Airflow: ``python -m benchmarks.waiting``.

See ``README.md`` here for how to read the figures.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from airflow_provider_kie.simulator import KieSimulator
from benchmarks.gate import Gate, Service
from benchmarks.starving import Starving
from benchmarks.waiting_airflow import waiting_airflow
from benchmarks.waiting_figures import Waited
from benchmarks.waiting_measure import Measuring
from benchmarks.waiting_report import OURS, as_json, machine_lines, report
from scripts.running import end_on_signals, say

# The name in the tables and the DAG of it; ours comes first.
KINDS = {OURS: "waiting_ours", "plain triggers": "waiting_plain", "HttpSensor": "waiting_http"}


def main(arguments: list[str] | None = None) -> int:
    """
    Measure and print.

    :param arguments: Of the command line.
    :return: 0 if no sensor of ours was lost, failed or resumed wrongly, whatever the figures.
    """
    options = _options(arguments)
    end_on_signals()
    results: list[Waited] = []
    try:
        for name, dag_id in KINDS.items():
            if re.search(options.kinds, name):
                sensors = options.sensors if name == OURS else options.others
                results.append(Waited(name, options.interval))
                _measure(results[-1], dag_id, sensors, options)
    except KeyboardInterrupt:
        say("Interrupted; what there is so far:")
        results = [result for result in results if result.resumed]
    print(f"\n{machine_lines()}\n{report(results)}")
    if options.json:
        options.json.write_text(json.dumps(as_json(results), indent=1))
    return int(any(result.wrong for result in results if result.name == OURS))


def _measure(result: Waited, dag_id: str, sensors: int, options: argparse.Namespace) -> None:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kie-bench-")))
        kie = stack.enter_context(KieSimulator(credits=0))
        gate = stack.enter_context(Gate(lambda: kie.credits))
        say(f"{result.name}: starting Airflow in {home} ...")
        running = waiting_airflow(
            home,
            dag_id,
            kie.connection(),
            gate.url,
            sensors=sensors,
            interval=options.interval,
            parallel=options.parallel,
        )
        airflow = stack.enter_context(running)
        starving = stack.enter_context(Starving(airflow.event_loop))
        measuring = Measuring(
            airflow, starving, Service(kie, gate), sensors, options.intervals, options.outage, result
        )
        measuring.measure(cut_off=result.name == OURS)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description=__doc__)
    parser.add_argument("--sensors", type=int, help="how many of ours wait (1000; quick: 30)")
    parser.add_argument("--others", type=int, help="how many of the others wait (as many)")
    parser.add_argument("--interval", type=float, help="seconds between polls (10; quick: 2)")
    parser.add_argument("--intervals", type=int, default=12, help="how many the waiting is watched for (12)")
    parser.add_argument("--outage", type=float, help="seconds that the API is down (300; quick: 10)")
    parser.add_argument("--parallel", type=int, default=4, help="how many tasks run at once (4)")
    parser.add_argument("--kinds", default="", help="regular expression: only these, 'ours|plain'")
    parser.add_argument("--quick", action="store_true", help="few sensors: shows that everything works")
    parser.add_argument("--json", type=Path, help="file that gets every single figure")
    options = parser.parse_args(arguments)
    options.sensors = options.sensors or (30 if options.quick else 1000)
    options.others = options.others or options.sensors
    options.interval = options.interval or (2.0 if options.quick else 10.0)
    options.outage = options.outage or (10.0 if options.quick else 300.0)
    return options


if __name__ == "__main__":
    sys.exit(main())
