"""
Run the benchmark: ``python -m benchmarks.run``.

See ``README.md`` here for what has to be installed and how to read the figures.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from pathlib import Path

from benchmarks.mapped import Mapped, measure_mapped
from benchmarks.measure import measure
from benchmarks.report import as_json, report
from benchmarks.servers import running
from benchmarks.works import SMALL, Work, plan
from scripts.running import end_on_signals


def main(arguments: list[str] | None = None) -> int:
    """
    Measure and print.

    :param arguments: Of the command line.
    :return: 0 if every transfer went well, whatever the goals.
    """
    options = _parser().parse_args(arguments)
    end_on_signals()
    began = time.monotonic()
    mapped_tasks = Work("mapped", SMALL, count=options.mapped or (4 if options.quick else 30))
    works = [
        work for work in [*plan(quick=options.quick), mapped_tasks] if re.search(options.works, work.name)
    ]
    rounds = options.rounds or (2 if options.quick else 5)
    mapped: list[Mapped] = []
    failure = ""
    with running(works) as servers:
        single = [work for work in works if work.kind != "mapped"]
        results = measure(single, servers, rounds=rounds, only=options.contenders)
        if mapped_tasks in works and not results.interrupted:
            try:
                mapped = measure_mapped(mapped_tasks, servers)
            except (KeyboardInterrupt, OSError, RuntimeError, SystemExit) as error:
                failure = f"mapped tasks: {str(error) or 'interrupted'}"
    if options.quick:
        print("Quick: the files are too small to judge anything by.\n")
    print(report(results, mapped, minutes=(time.monotonic() - began) / 60))
    if options.json:
        options.json.write_text(json.dumps(as_json(results, mapped), indent=1))
    if failure:
        print(failure, file=sys.stderr)
    return int(results.failed or bool(failure))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--rounds", type=int, help="how often each contender does each work (5; quick: 2)")
    parser.add_argument("--quick", action="store_true", help="small files: shows that everything works")
    parser.add_argument("--works", default="", help="regular expression: only these, '1 GB down' for example")
    parser.add_argument("--contenders", default="", help="regular expression: only these, 'curl|ours'")
    parser.add_argument(
        "--mapped", type=int, help="how many mapped tasks (30; quick: 4; 1000 take half an hour)"
    )
    parser.add_argument("--json", type=Path, help="file that gets every single figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
