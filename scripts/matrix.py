"""
Run the unit tests and the demo on every supported Airflow and Python that is there, two pairs at a time.

``AIRFLOWS`` and ``PYTHONS`` (like ``"3.2 3.4"``) narrow it. Ends with a table of what ran and what did not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

# Nothing of Airflow's environments is imported here: any Python runs this.
ROOT = Path(__file__).resolve().parent.parent
AIRFLOWS = os.environ.get("AIRFLOWS", "3.1 3.2 3.3 3.4").split()
PYTHONS = os.environ.get("PYTHONS", "3.11 3.12 3.13 3.14").split()
LINES_OF_A_FAILURE = 60


@dataclass
class Pair:
    """An Airflow on a Python, and what became of it: a result a part, or why nothing ran."""

    airflow: str
    python: str
    interpreter: str = ""
    absent: str = ""
    results: list[str] = field(default_factory=list)
    failed: bool = False

    @property
    def name(self) -> str:
        """Names the pair, and its environment."""
        return f"{self.airflow}-py{self.python}"

    @property
    def parts(self) -> dict[str, list[str]]:
        """Names the parts, with their commands."""
        python = str(ROOT / f".venv-{self.name}/bin/python")
        tests = [
            "-m",
            "pytest",
            "--quiet",
            "--numprocesses=2",
            "--dist=worksteal",
            "tests/structure",
            "tests/unit",
        ]
        return {
            "install": ["make", f"PYTHON={self.interpreter}", f".venv-{self.name}/installed"],
            "unit": [python, *tests],
            "demo": [python, "-m", "scripts.demo"],
        }


def main() -> int:
    """Run the matrix; 0 if all that could run passed."""
    pairs = [find(airflow, python) for airflow, python in product(AIRFLOWS, PYTHONS)]
    there = [pair for pair in pairs if not pair.absent]
    say(f"{len(there)} of {len(pairs)} pairs can run here; about three minutes each, two at a time.")
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(run, there))
    for pair in pairs:
        say(f"Airflow {pair.airflow}  Python {pair.python}  {pair.absent or '  '.join(pair.results)}")
    return int(not there or any(pair.failed for pair in there))


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


def find(airflow: str, python: str) -> Pair:
    """Look for the interpreter of a pair."""
    found = subprocess.run(  # noqa: S603 - the commands are ours
        [ROOT / "scripts/find-python", airflow, python], capture_output=True, text=True, check=False
    )
    return Pair(airflow, python, found.stdout.strip(), "" if found.returncode == 0 else found.stderr.strip())


def run(pair: Pair) -> None:
    """Run the parts of a pair up to the first that fails."""
    for part, command in pair.parts.items():
        began = time.monotonic()
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(  # noqa: S603 - the commands are ours
                command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, check=False
            )
            output.seek(0)
            lines = output.read().splitlines()
        pair.failed = done.returncode != 0
        took = f"{part} {'FAILED' if pair.failed else 'ok'} {time.monotonic() - began:.0f} s"
        pair.results.append(took)
        say(f"{pair.name}: {took}")
        if pair.failed:
            say("\n".join(lines[-LINES_OF_A_FAILURE:]))
            return


if __name__ == "__main__":
    sys.exit(main())
