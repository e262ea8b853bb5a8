"""
Run the benchmark: ``python -m benchmarks.run``.

See ``README.md`` here for what has to be installed and how to read the figures.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.measure import failed, measure
from benchmarks.report import as_json, machine_lines, tables, targets
from benchmarks.servers import running
from benchmarks.works import FULL, QUICK
from scripts.running import end_on_signals


def main(arguments: list[str] | None = None) -> int:
    """
    Measure and print.

    :param arguments: Of the command line.
    :return: 0 if every transfer went well, whatever the targets.
    """
    options = _parser().parse_args(arguments)
    end_on_signals()
    plan = QUICK if options.quick else FULL
    rounds = options.rounds or (2 if options.quick else 5)
    works = [work for work in plan.works() if re.search(options.works, work.name)]
    with running(works) as servers:
        results = measure(works, CONTENDERS, servers, rounds=rounds, only=options.contenders)
    print(machine_lines(rounds))
    if options.quick:
        print("Quick: the files are too small to judge anything by.\n")
    print(tables(results))
    print("### Targets\n")
    print(targets(results))
    if options.json:
        options.json.write_text(json.dumps(as_json(results, rounds=rounds), indent=1))
    return int(failed(results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--rounds", type=int, help="how often each contender does each work (5; quick: 2)")
    parser.add_argument("--quick", action="store_true", help="small files: shows that everything works")
    parser.add_argument("--works", default="", help="regular expression: only these, '1 GB down' for example")
    parser.add_argument("--contenders", default="", help="regular expression: only these, 'curl|ours'")
    parser.add_argument("--json", type=Path, help="file that gets every single figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
