"""One screen of tables: which goals are reached, and what everyone took."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import quiet
from benchmarks.contenders import BASES, OPERATOR
from benchmarks.goals import MB, verdicts
from benchmarks.mapped import Mapped
from benchmarks.measure import CPU_MASK, Measured, Results
from benchmarks.works import Kind, Work

HASHED_MB = 32
HASH_TRIES = 5
LIBRARIES = ("apache-airflow", "httpx", "urllib3", "requests", "aiohttp")
PROGRAMS = (["curl", "--version"], ["aria2c", "--version"], ["nginx", "-v"], ["openssl", "version"])
GROUPS: dict[str, tuple[Kind, ...]] = {
    "One file, as fast as it goes": ("down", "up"),
    "One file on a line": ("line down", "line up"),
    "Small files, 16 at a time": ("batch",),
    "Very many small files": ("task",),
}
UNFAIR = """\
- **To ours**: it hashes every byte, checks the length, writes beside the target and renames. The others only
  copy, but for "curl, then sha256". Airflow is in its memory: look at what is in brackets.
- **To everyone**: server and client share the cores, so a client's second thread takes from the server. The
  lines, and processor time, say more about a real network.
- **To curl and aria2c**: their processor time is of the whole process, that of Python is without start and
  imports. The seconds of aria2c and of "curl, then sha256" have some 10 to 20 ms of start in them.
- **To the documents' client**: requests can stream, but the documents do not.
- **To aiohttp**: an event loop is made for many slow peers, not for one fast one."""


def machine() -> dict[str, str]:
    """Say what the figures were measured on."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    name = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    sha = "with" if re.search(r"^flags.*\bsha_ni\b|^Features.*\bsha2\b", text, re.MULTILINE) else "without"
    hidden = ", hidden" if CPU_MASK in os.environ else ""
    programs = [subprocess.run(each, check=True, capture_output=True, text=True) for each in PROGRAMS]  # noqa: S603
    said = [(each.stdout or each.stderr).splitlines()[0] for each in programs]
    versions = [f"{library} {version(library)}" for library in LIBRARIES]
    cpu = f"{os.cpu_count()} cores of {name[1] if name else platform.machine()}"
    speed = f"{sha} SHA instructions{hidden}: sha256 of {_sha256_speed():.0f} MB/s"
    return {
        "machine": f"{cpu}, {speed}; {platform.system()} {platform.release().partition('-')[0]}",
        "versions": ", ".join([f"Python {platform.python_version()}", *versions, *map(_short, said)]),
    }


def _short(said: str) -> str:
    """Shorten what a program says of itself to its name and version."""
    found = re.match(r"(?:nginx version: )?(\w+)(?: version |[ /])([\w.]+)", said)
    return f"{found[1]} {found[2]}" if found else said


def _sha256_speed() -> float:
    """Give the best of some tries: whoever else uses the machine only makes it slower."""
    block = bytes(HASHED_MB * MB)
    times = []
    for _ in range(HASH_TRIES):
        started = time.perf_counter()
        hashlib.sha256(block)
        times.append(time.perf_counter() - started)
    return HASHED_MB / min(times)


def report(results: Results, mapped: list[Mapped], *, minutes: float) -> str:
    """
    Say everything.

    :param results: What was measured.
    :param mapped: What mapped tasks took, if they were measured.
    :param minutes: How long it took.
    :return: Markdown.
    """
    head = [f"- {name}: {text}" for name, text in machine().items()]
    if results.others:
        head.append(f"- rounds: {len(results.others)}, in {minutes:.0f} minutes; {_company(results.others)}")
    groups = [_group(title, kinds, results) for title, kinds in GROUPS.items()]
    parts = [
        "\n".join(head),
        _goals(results),
        *groups,
        _mapped(mapped, results),
        f"## What is unfair\n\n{UNFAIR}",
    ]
    return "\n\n".join(part for part in parts if part)


def _company(others: list[float]) -> str:
    loud = [
        f"{share:.0%} of the processor was someone else's in round {number}"
        for number, share in enumerate(others, 1)
        if share > quiet.MOST
    ]
    if loud:
        return f"**not quiet**: {', '.join(loud)}"
    return f"quiet: at most {max(others):.1%} of the processor was someone else's"


def _table(title: str, columns: str, rows: Iterable[Iterable[str]], *, words: int) -> str:
    """Draw a table whose first columns are words, and the others figures; nothing if it has no rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    count = columns.count("|") + 1
    rule = "|---" * words + "|---:" * (count - words) + "|"
    return "\n".join([f"## {title}", "", f"| {columns} |", rule, *lines]) if lines else ""


def _goals(results: Results) -> str:
    rows = (
        (verdict.work, verdict.goal, verdict.figure, "reached" if verdict.reached else "**NOT REACHED**")
        for verdict in verdicts(results)
    )
    return _table("Goals", "work | goal | median (least to most) | verdict", rows, words=4)


def _group(title: str, kinds: Iterable[Kind], results: Results) -> str:
    works = {work: measured for work, measured in results.works.items() if work.kind in kinds}
    rows = [row for work, measured in works.items() for row in _rows(work, measured)]
    base = "aria2c" if any(work.count > 1 for work in works) else "curl"
    per = "ms per file" if base == "aria2c" else "s per GB"
    columns = f"work | contender | seconds | x {base} | CPU s | CPU {per} | peak MB (more)"
    return _table(title, columns, rows, words=2)


def _rows(work: Work, measured: dict[str, Measured]) -> Iterator[list[str]]:
    base = next((measured[name] for name in BASES if name in measured), Measured())
    name = work.name
    if work.rate:
        yield [name, *_line(work, measured.values())]
        name = ""
    for contender, taken in measured.items():
        yield [name, contender, *_figures(work, taken, base)]
        name = ""


def _line(work: Work, measured: Iterable[Measured]) -> Iterator[str]:
    """Give what the line itself takes. What the fastest transfer takes is all that it can be wrong by."""
    seconds = work.size / work.rate
    taken = [transfer.seconds for each in measured for transfer in each.taken.values()]
    fastest = f" (the fastest transfer: {min(taken) / seconds - 1:+.2%})" if taken else ""
    yield from (f"the line itself{fastest}", f"{seconds:.3f}", *"----")


def _figures(work: Work, taken: Measured, base: Measured) -> Iterator[str]:
    seconds, processor, peak = (taken.median(figure) for figure in ("seconds", "processor", "peak"))
    lost = f" ({len(taken.failures)} failed: {taken.failures[-1]})" if taken.failures else ""
    if seconds is None or processor is None or peak is None:
        yield from (f"-{lost}", *"----")
        return
    ratios, more = taken.ratios("seconds", base), taken.median("more")
    yield f"{seconds:.3f}{lost}"
    yield f"{median(ratios):.{3 if work.rate else 2}f}" if ratios else "-"
    yield f"{processor:.2f}"
    yield f"{work.processor(processor):.2f}"
    yield f"{peak / MB:.0f}" + ("" if more is None else f" (+{more / MB:.0f})")


def _mapped(mapped: list[Mapped], results: Results) -> str:
    """Set a file in a mapped task beside a file in a list."""
    rows = [
        [
            f"{each.name}, {len(each.tasks)} tasks",
            f"{each.seconds / len(each.tasks):.3f}",
            f"{median(each.tasks) * 1000:.1f}",
            f"{each.airflow / len(each.tasks) * 1000:.0f}",
            f"{median(each.peaks) / MB:.0f} ({each.growth / MB:+.1f})",
        ]
        for each in mapped
    ]
    for work, measured in results.works.items():
        ours = measured.get(OPERATOR)
        if mapped and ours and (seconds := ours.median("seconds")):
            processor, peak = ours.median("processor") or 0, ours.median("peak") or 0
            figures = [
                f"{seconds / work.count:.3f}",
                f"{work.processor(processor):.1f}",
                "-",
                f"{peak / MB:.0f}",
            ]
            rows.append([f"{OPERATOR}, {work.count} files", *figures])
    columns = (
        "contender | seconds per file | CPU ms per file: the task's | all of Airflow's"
        " | peak MB of a task (last third - first)"
    )
    return _table("A small file in each mapped task: a sample, on a real Airflow", columns, rows, words=1)


def as_json(results: Results, mapped: list[Mapped], **more: Any) -> dict[str, Any]:
    """
    Put everything that was measured into plain values.

    :param results: What was measured.
    :param mapped: What mapped tasks took.
    :param more: What else to keep.
    :return: For ``json.dump``; seconds and bytes.
    """
    works = [
        {
            "work": work.name,
            **asdict(work),
            "contenders": {name: asdict(taken) for name, taken in measured.items()},
        }
        for work, measured in results.works.items()
    ]
    goals = [asdict(verdict) for verdict in verdicts(results)]
    tasks = [asdict(each) for each in mapped]
    return {
        "machine": machine(),
        **more,
        "others": results.others,
        "goals": goals,
        "works": works,
        "mapped": tasks,
    }
