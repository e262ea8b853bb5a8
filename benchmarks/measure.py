"""Runs contenders in turn, each transfer in a fresh process, and keeps what it took."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.contenders import CONTENDERS, Command, CommandOf
from benchmarks.quiet import Moment
from benchmarks.servers import ROOT, Servers
from benchmarks.works import KEY, Work, touch_memory

TRANSFER_SECONDS = 300
BLOCK_BYTES = 1 << 20
# The variable that hides instructions of the processor from OpenSSL, and so from Python's hashes.
CPU_MASK = "OPENSSL_ia32cap"


@dataclass(frozen=True)
class Taken:
    """
    What one transfer took.

    :param seconds: From its beginning to its end.
    :param processor: Seconds of processor time; with curl and aria2c, of the whole process.
    :param peak: Bytes of memory of its process at its fullest.
    :param more: Bytes of that beyond the fullest before the transfer; None of what is not Python.
    """

    seconds: float
    processor: float
    peak: int
    more: int | None


@dataclass
class Measured:
    """
    What one contender took for one work.

    :param taken: By the number of the round.
    :param failures: What went wrong, if anything did.
    """

    taken: dict[int, Taken] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def median(self, figure: str) -> float | None:
        """
        Give the median of all rounds.

        :param figure: A field of :class:`Taken`.
        :return: None if there is none.
        """
        values = [getattr(taken, figure) for taken in self.taken.values()]
        known = [float(value) for value in values if value is not None]
        return median(known) if known else None

    def ratios(self, figure: str, base: Measured) -> list[float]:
        """
        Compare with what another contender took in the same rounds.

        :param figure: A field of :class:`Taken`.
        :param base: The other.
        :return: For each round in which both went well.
        """
        both = [(taken, base.taken[number]) for number, taken in self.taken.items() if number in base.taken]
        return [getattr(one, figure) / getattr(other, figure) for one, other in both]


@dataclass
class Results:
    """
    What was measured.

    :param works: Per work and contender, what it took.
    :param others: Per round, the part of the processor that was someone else's.
    :param interrupted: Whether the user has ended it early.
    """

    works: dict[Work, dict[str, Measured]]
    others: list[float] = field(default_factory=list)
    interrupted: bool = False

    @property
    def failed(self) -> bool:
        """Whether a transfer failed or lost bytes."""
        return any(taken.failures for measured in self.works.values() for taken in measured.values())


def measure(works: Iterable[Work], servers: Servers, *, rounds: int, only: str = "") -> Results:
    """
    Let every contender do every work, round after round.

    :param works: What to do.
    :param servers: Where it is done.
    :param rounds: How often.
    :param only: Regular expression; other contenders sit out.
    :return: What it took; up to here, if the user has interrupted it.
    """
    results = Results(
        {
            work: {name: Measured() for name in CONTENDERS[work.kind] if re.search(only, name)}
            for work in works
        }
    )
    try:
        for number in range(rounds if results.works else 0):
            since = Moment.now()
            try:
                _round(number, rounds, results, servers)
            finally:
                results.others.append(Moment.now().others(since))
    except KeyboardInterrupt:
        results.interrupted = True
        print("interrupted: the figures are of what was done so far", file=sys.stderr)
    return results


def _round(number: int, rounds: int, results: Results, servers: Servers) -> None:
    for work, measured in results.works.items():
        if number >= work.rounds:
            continue
        print(f"round {number + 1} of {rounds}: {work.name}", file=sys.stderr, flush=True)
        # Each round begins with another one: whoever follows a heavy one has no advantage for ever.
        names = list(measured)
        turn = number % max(len(names), 1)
        for name in names[turn:] + names[:turn]:
            try:
                measured[name].taken[number] = _once(work, CONTENDERS[work.kind][name], servers)
            except (OSError, RuntimeError) as error:
                measured[name].failures.append(str(error))


def _once(work: Work, command_of: CommandOf, servers: Servers) -> Taken:
    received = servers.folder / "received"
    received.mkdir(exist_ok=True)
    target = received if work.count > 1 else received / "file.bin"
    try:
        command = command_of(work, servers, target)
        touch_memory(servers.folder, work.copied)
        output, seconds, usage = _execute(command, environment(work, servers), servers)
        _check(work, servers, target, output)
    finally:
        shutil.rmtree(received)
    said = output.rstrip().rpartition("\n")[2].split()[1:] if command.says_seconds else []
    return Taken(
        seconds=float(said[0]) if said else seconds,
        processor=float(said[1]) if said[1:] else usage.ru_utime + usage.ru_stime,
        peak=usage.ru_maxrss * 1024,
        more=int(said[2]) * 1024 if said[2:] else None,
    )


def _execute(
    command: Command, environment: dict[str, str], servers: Servers
) -> tuple[str, float, resource.struct_rusage]:
    output, errors = servers.folder / "output", servers.folder / "errors"
    with output.open("wb") as out, errors.open("wb") as err:
        started = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 (nothing in it is from outside)
            command.arguments,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=environment,
            cwd=ROOT,
            start_new_session=True,
        )
        timer = threading.Timer(TRANSFER_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        try:
            # Not process.wait(): only this call gives the peak memory of this one process.
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            timer.cancel()
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    text = output.read_text(errors="replace")
    if process.returncode:
        said = (errors.read_text(errors="replace").strip() or text.strip() or "nothing said").splitlines()[-1]
        raise RuntimeError(f"exit {process.returncode}: {said:.200}")
    return text, seconds, usage


def environment(work: Work, servers: Servers) -> dict[str, str]:
    """
    Give a process what it needs and nothing else of the caller's, proxies for example.

    :param work: What it is to do.
    :param servers: Where it is done.
    :return: All environment variables.
    """
    up = servers.upload_base_url(work)
    kie = {"conn_type": "kie", "password": KEY, "host": up, "extra": {"upload_base_url": up}}
    home = str(servers.folder / "home")
    hidden = {CPU_MASK: os.environ[CPU_MASK]} if CPU_MASK in os.environ else {}
    return hidden | {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": home,
        "AIRFLOW_HOME": home,
        "AIRFLOW_CONN_KIE_DEFAULT": json.dumps(kie),
        "SSL_CERT_FILE": str(servers.certificate),
        "REQUESTS_CA_BUNDLE": str(servers.certificate),
    }


def _check(work: Work, servers: Servers, target: Path, output: str) -> None:
    """See that every byte arrived; nobody wins by losing some."""
    if work.is_upload:
        last = output.rstrip().splitlines()[-1].split()[0]
        answered = re.search(r'"fileSize": *(\d+)', output)
        if (answered[1] if answered else last) != str(work.size):
            raise RuntimeError(f"the server counted other bytes than {work.size}")
        return
    check_copies(work, servers, target)


def check_copies(work: Work, servers: Servers, target: Path) -> None:
    """
    Compare what was downloaded with what the server has.

    :param work: What was downloaded.
    :param servers: Where it came from.
    :param target: The copy; the folder of many.
    :raises RuntimeError: A byte is missing or another one.
    """
    for number, url in enumerate(servers.urls(work)):
        copy = target / url.rpartition("/")[2] if work.count > 1 else target
        if not _same(servers.file(work, number), copy):
            raise RuntimeError(f"{copy.name} is not what the server has")


def _same(one: Path, other: Path) -> bool:
    with one.open("rb") as left, other.open("rb") as right:
        while True:
            block = left.read(BLOCK_BYTES)
            if block != right.read(BLOCK_BYTES):
                return False
            if not block:
                return True
