"""
Measure what the hash costs: ``python -m benchmarks.hashing``.

The same transfers with sha256 and with something in its place that does nothing, in turn.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from benchmarks.contenders import CONTENDERS, HOOK, UNHASHED
from benchmarks.measure import failed, measure
from benchmarks.report import as_json, machine_lines, ratio, tables
from benchmarks.servers import running
from benchmarks.works import FULL, QUICK
from scripts.running import end_on_signals

MOST = 1.25


def main(arguments: list[str] | None = None) -> int:
    """
    Measure and print.

    :param arguments: Of the command line.
    :return: 0 if every transfer went well, whatever the hash costs.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hashing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is done (5)")
    parser.add_argument("--quick", action="store_true", help="a small file: shows that it works")
    parser.add_argument("--works", default="https", help="regular expression: only these (https)")
    parser.add_argument("--json", type=Path, help="file that gets every single figure")
    options = parser.parse_args(arguments)
    end_on_signals()
    plan = QUICK if options.quick else FULL
    works = [work for work in plan.works() if work.size == plan.sizes[-1] and work.direction != "batch"]
    works = [work for work in works if re.search(options.works, work.name)]
    with running(works) as servers:
        results = measure(works, CONTENDERS, servers, rounds=options.rounds, only=f"^{HOOK}")
    print(machine_lines(options.rounds))
    print(tables(results))
    for work in works:
        if cost := ratio(results, work, HOOK, UNHASHED):
            verdict = "reached" if cost <= MOST else "NOT REACHED"
            print(f"- {verdict}: {work.name}, with the hash at most {MOST} times without: {cost:.2f}")
    if options.json:
        options.json.write_text(json.dumps(as_json(results, rounds=options.rounds), indent=1))
    return int(failed(results))


if __name__ == "__main__":
    sys.exit(main())
