"""Tables of what was measured, and which targets it reaches."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.contenders import ARIA2C_BATCH, BATCH, CURL, DOCUMENTS, HOOK, ONE_BY_ONE, OPERATOR, UNHASHED
from benchmarks.measure import Measured, Results
from benchmarks.works import Direction, Work

MB = 1 << 20
HASHED_MB = 32
HASH_TRIES = 5


def machine() -> dict[str, str]:
    """Say what the figures were measured on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = lines[0].partition(":")[2].strip() if lines else cpu
    return {
        "cpu": cpu,
        "cores": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release()}",
        "sha256": f"{_sha256_speed():.0f} MB/s on one core",
        "python": platform.python_version(),
    }


def _sha256_speed() -> float:
    """Give the best of some tries: whoever else uses the machine only makes it slower."""
    block = bytes(HASHED_MB * MB)
    times = []
    for _ in range(HASH_TRIES):
        started = time.perf_counter()
        hashlib.sha256(block)
        times.append(time.perf_counter() - started)
    return HASHED_MB / min(times)


def machine_lines(rounds: int) -> str:
    """
    Head a report.

    :param rounds: How many were run.
    :return: Markdown.
    """
    return "\n".join(f"- {name}: {value}" for name, value in {**machine(), "rounds": rounds}.items()) + "\n"


def tables(results: Results) -> str:
    """
    Draw a table for each work.

    :param results: What was measured.
    :return: Markdown.
    """
    smallest = {(work.direction, work.scheme): work for work in sorted(results, key=_descending)}
    return "\n".join(
        _table(work, measured, results[smallest[work.direction, work.scheme]])
        for work, measured in results.items()
    )


def _descending(work: Work) -> int:
    return -work.size


def _table(work: Work, measured: dict[str, Measured], least: dict[str, Measured]) -> str:
    base = next((name for name in (CURL, ARIA2C_BATCH) if name in measured), next(iter(measured), ""))
    lines = [
        f"### {work.name}",
        "",
        f"| contender | seconds | x {base} | least .. most | CPU s | peak MB | MB over the smallest file |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, taken in measured.items():
        lines.append(_row(name, taken, measured[base], least.get(name)))
    return "\n".join([*lines, ""])


def _row(name: str, taken: Measured, base: Measured, least: Measured | None) -> str:
    lost = f" ({len(taken.failures)} failed: {taken.failures[-1]})" if taken.failures else ""
    if taken.median is None or taken.peak is None:
        return f"| {name}{lost} | - | - | - | - | - | - |"
    work = f"{median(taken.work):.2f}"
    ratio = f"{taken.median / base.median:.2f}" if base.median else "-"
    spread = f"{min(taken.seconds):.3f} .. {max(taken.seconds):.3f}"
    grown = f"{(taken.peak - least.peak) / MB:.0f}" if least and least.peak and least is not taken else "-"
    figures = [f"{taken.median:.3f}", ratio, spread, work, f"{taken.peak / MB:.0f}", grown]
    return f"| {name}{lost} | {' | '.join(figures)} |"


def targets(results: Results) -> str:
    """
    Hold the results against what the provider promises itself.

    :param results: What was measured.
    :return: A line for each target that this run can judge.
    """
    lines = [
        f"- {'reached' if reached else 'NOT REACHED'}: {name}: {found}"
        for name, found, reached in _judged(results)
    ]
    return "\n".join(lines or ["- nothing here to judge"])


def _judged(results: Results) -> Iterator[tuple[str, str, bool]]:
    directions: tuple[Direction, ...] = ("down", "up")
    for ours in (HOOK, UNHASHED, OPERATOR):
        for direction, most in (("down", 1.2), ("up", 1.1)):
            work = _largest(results, direction, "https")
            yield from _at_most(results, work, ours, CURL, most)
            if direction == "down":
                yield from _at_least(results, work, DOCUMENTS, ours, 3)
        for direction in directions:
            for scheme in ("http", "https"):
                yield from _memory(results, direction, scheme, ours)
    for work in results:
        if work.direction == "batch":
            yield from _at_least(results, work, ONE_BY_ONE, BATCH, 10)
            yield from _at_most(results, work, BATCH, ARIA2C_BATCH, 1)


def _largest(results: Results, direction: str, scheme: str) -> Work | None:
    works = [work for work in results if (work.direction, work.scheme) == (direction, scheme)]
    return max(works, key=lambda work: work.size, default=None)


def ratio(results: Results, work: Work | None, one: str, other: str) -> float | None:
    """
    Compare two contenders.

    :param results: What was measured.
    :param work: In what; None if it was not done.
    :param one: Contender.
    :param other: Contender.
    :return: Median seconds of the one in those of the other; None if one of them is missing.
    """
    measured = results[work] if work else {}
    first = measured[one].median if one in measured else None
    second = measured[other].median if other in measured else None
    return first / second if first and second else None


def _at_most(
    results: Results, work: Work | None, one: str, other: str, most: float
) -> Iterator[tuple[str, str, bool]]:
    if work and (found := ratio(results, work, one, other)):
        yield f"{work.name}, {one} at most {most} times {other}", f"{found:.2f}", found <= most


def _at_least(
    results: Results, work: Work | None, slow: str, fast: str, least: float
) -> Iterator[tuple[str, str, bool]]:
    if work and (found := ratio(results, work, slow, fast)):
        yield f"{work.name}, {fast} at least {least} times faster than {slow}", f"{found:.2f}", found >= least


def _memory(
    results: Results, direction: Direction, scheme: str, ours: str, most: float = 40
) -> Iterator[tuple[str, str, bool]]:
    works = sorted(
        (work for work in results if (work.direction, work.scheme) == (direction, scheme)),
        key=lambda work: work.size,
    )
    peaks = [results[work][ours].peak for work in works if ours in results[work]]
    if len(peaks) > 1 and peaks[0] and peaks[-1]:
        grown = (peaks[-1] - peaks[0]) / MB
        name = f"{works[-1].name}, {ours} at most {most:.0f} MB over {works[0].name}"
        yield name, f"{grown:.1f} MB", grown <= most


def as_json(results: Results, **more: Any) -> dict[str, Any]:
    """
    Put everything that was measured into plain values.

    :param results: What was measured.
    :param more: What else to keep.
    :return: For ``json.dump``; seconds and bytes.
    """
    works = [
        {
            "work": work.name,
            "direction": work.direction,
            "scheme": work.scheme,
            "size": work.size,
            "count": work.count,
            "contenders": {name: vars(taken) for name, taken in measured.items()},
        }
        for work, measured in results.items()
    ]
    return {"machine": machine(), **more, "works": works}
