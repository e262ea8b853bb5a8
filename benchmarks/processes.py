"""What running processes take, as Linux tells it in ``/proc``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
KB = 1 << 10


@dataclass(frozen=True)
class Usage:
    """
    What some processes take together.

    :param pss: Bytes of memory; what several processes share is counted once.
    :param rss: Bytes of memory; what several processes share is counted for each.
    :param cpu: Seconds of processor time since they began.
    """

    pss: int
    rss: int
    cpu: float


def usage(pids: Iterable[int]) -> Usage:
    """
    Look at some processes.

    :param pids: Of processes that run.
    :return: Their sum.
    :raises OSError: One of them has ended.
    """
    pss = rss = 0
    cpu = 0.0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            pss += int(rest.split()[0]) * KB if name == "Pss" else 0
            rss += int(rest.split()[0]) * KB if name == "Rss" else 0
        user, system = _stat(pid)[11:13]
        cpu += (int(user) + int(system)) / TICKS
    return Usage(pss, rss, cpu)


def family(pid: int) -> list[int]:
    """
    List a process and all that descend from it.

    :param pid: The process.
    :return: Their pids, the process first, children after their parents.
    """
    parents = _parents()
    found = [pid]
    for one in found:
        found.extend(child for child, parent in parents.items() if parent == one)
    return found


def find(root: int, word: str) -> int | None:
    """
    Find a process among another and its descendants.

    :param root: Pid of the other.
    :param word: Argument of its command line.
    :return: Pid of the first one, its parents before itself; None if there is none.
    """
    for pid in family(root):
        with suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
            # A process that gives itself a title has blanks between the words.
            if word in command.replace("\0", " ").split():
                return pid
    return None


def _parents() -> dict[int, int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
    return parents


def _stat(pid: int) -> list[str]:
    # The name comes first, in parentheses, and may have blanks and parentheses in it.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
