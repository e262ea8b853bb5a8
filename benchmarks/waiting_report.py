"""The table of what waiting costs, and which targets it reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any

from benchmarks.report import MB, machine
from benchmarks.waiting_figures import Waited

# Airflow warns from here on.
BLOCKED_SECONDS = 0.2
NOTES = """\
Without a core: the event loop was ready to run and other processes had the processors; in parentheses, how
much of a warning that was. By itself: with that taken off there would have been a warning still.

Resumed: no longer deferred but scheduled. When the task then runs is up to the scheduler and the workers'
slots.
"""
OURS = "ours: shared poll"
PACKAGES = ("apache-airflow", "apache-airflow-providers-http", "aiohttp", "httpx")
COLUMNS: dict[str, Callable[[Waited], str]] = {
    "sensors": lambda it: f"{it.waiting}",
    "s to defer all": lambda it: f"{it.deferring:.0f}",
    "requests per interval": lambda it: f"{_requests(it):.2f}",
    "MB without": lambda it: f"{it.idle.pss / MB:.0f}",
    "MB with all": lambda it: f"{it.full.pss / MB:.0f}",
    "KB per sensor": lambda it: f"{_kb_each(it):.1f}",
    "KB for one more": lambda it: "-" if it.each is None else f"{it.each / 1024:.1f}",
    "% of a core without": lambda it: f"{100 * it.idle.cpu:.1f}",
    "% of a core with all": lambda it: f"{100 * it.full.cpu:.1f}",
    "CPU ms per sensor and interval": lambda it: f"{_cpu_each(it):.2f}",
    "s to resume, median": lambda it: _of(median, it.resumed),
    "s to resume, most": lambda it: _of(max, it.resumed),
    "s to fire, most": lambda it: _of(max, it.fired),
    "blocked warnings": lambda it: f"{len(_warnings(it))}",
    "of them by itself": lambda it: f"{_by_itself(it)}",
}


def machine_lines() -> str:
    """
    Head a report.

    :return: Markdown.
    """
    facts = {name: fact for name, fact in machine().items() if name != "sha256"}
    return "\n".join(f"- {name}: {fact}" for name, fact in {**facts, **_versions()}.items()) + "\n"


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def report(results: list[Waited]) -> str:
    """
    Draw the table, a row for each figure, and judge.

    :param results: What was measured.
    :return: Markdown.
    """
    names = [result.name for result in results]
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for name, figure in COLUMNS.items():
        lines.append(f"| {name} | {' | '.join(figure(result) for result in results)} |")
    lines.append("")
    for result in results:
        lines.extend(_details(result))
    lines += ["", NOTES, "### Targets", ""]
    for result in results:
        if result.name == OURS:
            lines.extend(
                f"- {'reached' if reached else 'NOT REACHED'}: {target}: {found}"
                for target, found, reached in _judged(result)
            )
    return "\n".join(lines)


def _details(result: Waited) -> Iterator[str]:
    for name, phase in result.phases.items():
        warnings = ", ".join(f"{seconds:.2f} s ({starved:.2f})" for seconds, starved in phase.blocked[:9])
        more = ", ..." if len(phase.blocked) > 9 else ""
        yield (
            f"- {result.name}, {name}, {phase.seconds:.0f} s: without a core {phase.starved:.1f} s;"
            f" {len(phase.blocked)} warnings{': ' if warnings else ''}{warnings}{more}"
        )
    for wrong in result.wrong:
        yield f"- {result.name}: WRONG: {wrong}"
    if (outage := result.outage) and outage.recovered is not None:
        yield (
            f"- {result.name}: {outage.seconds:.0f} s of outage while {outage.waiting} waited:"
            f" {outage.requests} requests in it, the balance read again {outage.recovered:.0f} s after it,"
            f" {outage.after / outage.window * result.interval:.2f} requests per interval then"
        )
    if lost := result.lost:
        yield (
            f"- {result.name}: kill -9 of the triggerer while {lost.waiting} waited, another started, the"
            f" balance raised: the first resumed after {lost.first:.0f} s, the last after {lost.last:.0f} s;"
            f" all had succeeded after {lost.finished:.0f} s"
        )


def _judged(it: Waited) -> Iterator[tuple[str, str, bool]]:
    requests = _requests(it)
    yield f"{it.waiting} sensors make at most 1.1 requests per interval", f"{requests:.2f}", requests <= 1.1
    most = 2 * it.interval + 10
    last = max(it.resumed, default=0.0)
    all_in_time = len(it.resumed) == it.due and last <= most
    name = f"all {it.due} sensors whose threshold is met resume within 2 intervals + 10 s, {most:.0f} s"
    yield name, f"{len(it.resumed)}, the last after {last:.1f} s", all_in_time
    others = [wrong for wrong in it.wrong if "too early" in wrong]
    yield "no other sensor resumes", "; ".join(others) or "none did", not others
    found = f"{len(_warnings(it))} warnings, {_by_itself(it)} of them with a core to run on"
    yield "the event loop is never blocked", found, not _by_itself(it)
    if it.outage:
        others = [wrong for wrong in it.wrong if "outage" in wrong]
        name = f"an outage of {it.outage.seconds:.0f} s ends no sensor, and the interval returns"
        yield name, "; ".join(others) or "all waited on", not others
    if it.lost:
        name = "after kill -9 of the triggerer all sensors go on, and nothing else goes wrong"
        yield name, "; ".join(it.wrong) or "all succeeded", not it.wrong


def _requests(it: Waited) -> float:
    return it.requests / it.window * it.interval if it.window else 0.0


def _kb_each(it: Waited) -> float:
    return (it.full.pss - it.idle.pss) / 1024 / it.waiting if it.waiting else 0.0


def _cpu_each(it: Waited) -> float:
    return 1000 * (it.full.cpu - it.idle.cpu) * it.interval / it.waiting if it.waiting else 0.0


def _of(what: Any, seconds: list[float]) -> str:
    return f"{what(seconds):.1f}" if seconds else "-"


def _warnings(it: Waited) -> list[tuple[float, float]]:
    return [warning for phase in it.phases.values() for warning in phase.blocked]


def _by_itself(it: Waited) -> int:
    """Count the warnings that there would have been on a machine that nobody else uses."""
    return sum(seconds - starved > BLOCKED_SECONDS for seconds, starved in _warnings(it))


def as_json(results: list[Waited]) -> dict[str, Any]:
    """
    Put everything that was measured into plain values.

    :param results: What was measured.
    :return: For ``json.dump``; seconds and bytes.
    """
    return {"machine": {**machine(), **_versions()}, "kinds": [asdict(result) for result in results]}
