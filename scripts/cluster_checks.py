"""What has to hold after the cluster test's plays; each check says what it has found, or fails."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow_provider_kie.simulator import KieSimulator
from scripts.cluster_runs import Run
from scripts.cluster_store import Store
from scripts.running import say

UPLOAD, DOWNLOAD = "move.upload", "move.download"


class Failed(Exception):
    """Something does not hold."""


def check(holds: bool, text: str) -> None:
    """Say that something holds, or fail."""
    if not holds:
        raise Failed(f"it does not hold that {text}")
    say(f"  ok: {text}")


@dataclass(frozen=True)
class Kill:
    """
    The end of a worker.

    :param worker: Its name.
    :param at: When it ended.
    """

    worker: str
    at: datetime


@dataclass
class Tries:
    """
    How often the tasks of a run were tried.

    :param more: Task id and map index of those tried more than once, with the number of tries.
    :param cut: Task id and map index of the tries that ended with their worker.
    """

    more: dict[tuple[str, int], int] = field(default_factory=dict)
    cut: list[tuple[str, int]] = field(default_factory=list)

    def of(self, task_id: str, map_index: int) -> int:
        """Give the number of tries of a task."""
        return self.more.get((task_id, map_index), 1)


def check_tries(
    run: Run, tasks: list[dict[str, Any]], kill: Kill | None, *, faults: int, retries: int
) -> Tries:
    """
    Check that every try beyond a task's first has its reason.

    :param run: A run that has ended.
    :param tasks: Its task instances.
    :param kill: The worker's end, if there was one.
    :param faults: How many tries kie.ai made fail.
    :param retries: What the DAG allows.
    :return: The tries.
    """
    tries, failed = Tries(), list[str]()
    for task in tasks:
        if task["try_number"] <= 1:
            continue
        name = (str(task["task_id"]), int(task["map_index"]))
        tries.more[name] = int(task["try_number"])
        for earlier in run.tries(task)[:-1]:
            if kill and earlier["hostname"] == kill.worker and _time(earlier["end_date"]) > kill.at:
                tries.cut.append(name)
            else:
                failed.append(f"{name[0]}[{name[1]}] on {earlier['hostname']}")
    if len(failed) != faults:
        raise Failed(f"kie.ai made {faults} tries fail, and these failed: {failed}")
    if kill and not tries.cut:
        raise Failed("the kill hit no task")
    say(f"  ok: {faults} tries failed by what kie.ai answered, {len(tries.cut)} by the kill, no others")
    most = max(tries.more.values(), default=1)
    check(most <= retries + 1, f"no task took more than {most} tries; the DAG allows {retries + 1}")
    return tries


def check_uploads(kie: KieSimulator, files: list[bytes], tries: Tries) -> None:
    """Check that no file was sent again without a reason."""
    copies = Counter(upload.sha256 for upload in kie.uploads.values())
    wrong = []
    for number, data in enumerate(files):
        if not 1 <= copies[hashlib.sha256(data).hexdigest()] <= tries.of(UPLOAD, number):
            wrong.append(number)
    asked = sum(len(kie.requests_to(call)) for call in ("file-base64-upload", "file-stream-upload"))
    allowed = sum(tries.of(UPLOAD, number) for number in range(len(files)))
    text = f"{len(files)} files took {asked} upload requests and are {copies.total()} times at kie.ai"
    check(not wrong, f"{text}; only what was cut or not answered was sent again")
    check(len(files) <= asked <= allowed, f"none of the {allowed} tries sent more than one request")


def check_files(store: Store, files: list[bytes], tries: Tries) -> None:
    """Check that all came back whole, once, and was never there by halves."""
    found = store.versions("")
    sources = {name: found.pop(name, []) for name in sorted(found) if name.startswith("in/")}
    check([copy for copies in sources.values() for copy in copies] == files, "the sources are as they were")
    names = [f"out/{number:03}.bin" for number in range(len(files))]
    check(sorted(found) == names, f"{len(found)} objects in the bucket beside them, and no others")
    halves = [name for name, data in zip(names, files, strict=True) if set(found[name]) != {data}]
    check(not halves, f"every version of every object has all its bytes: {sum(map(len, files)):,} in all")
    again = [number for number, name in enumerate(names) if len(found[name]) > tries.of(DOWNLOAD, number)]
    check(not again, f"{sum(map(len, found.values()))} objects written for {len(files)} files")
    cut = {f"out/{number:03}.bin" for task_id, number in tries.cut if task_id == DOWNLOAD}
    unfinished = store.unfinished()
    check(set(unfinished) <= cut, f"{len(unfinished)} uploads to the bucket left unfinished by the kill")


def check_spools(folder: Path, tries: Tries) -> None:
    """Check that nothing is left on the workers' disks but by the kill."""
    left = [path.name for path in folder.glob("**/kie-*")]
    cut = sum(task_id == DOWNLOAD for task_id, _ in tries.cut)
    check(len(left) <= cut, f"{len(left)} temporary files left on the workers, by the kill")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
