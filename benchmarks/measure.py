"""Runs contenders in turn, each transfer in a fresh process, and keeps seconds and peak memory."""

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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.contenders import Command, CommandOf
from benchmarks.servers import ROOT, Servers
from benchmarks.works import KEY, Direction, Work

TRANSFER_SECONDS = 120
BLOCK_BYTES = 1 << 20


@dataclass
class Measured:
    """
    What one contender took for one work.

    :param seconds: Of each transfer.
    :param work: Seconds of processor time of each transfer; with curl and aria2c, of the whole process.
    :param peaks: Bytes of memory of each transfer's process at its fullest.
    :param failures: What went wrong, if anything did.
    """

    seconds: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def median(self) -> float | None:
        """Seconds, of the transfers that went well."""
        return median(self.seconds) if self.seconds else None

    @property
    def peak(self) -> float | None:
        """Bytes, median of the peaks."""
        return median(self.peaks) if self.peaks else None


Results = dict[Work, dict[str, Measured]]


def measure(
    works: Iterable[Work],
    contenders: Mapping[Direction, Mapping[str, CommandOf]],
    servers: Servers,
    *,
    rounds: int,
    only: str = "",
) -> Results:
    """
    Let every contender do every work, round after round.

    :param works: What to do.
    :param contenders: Who does it.
    :param servers: Where it is done.
    :param rounds: How often.
    :param only: Regular expression; other contenders sit out.
    :return: Per work and contender, what it took.
    """
    results: Results = {
        work: {name: Measured() for name in contenders[work.direction] if re.search(only, name)}
        for work in works
    }
    try:
        for number in range(rounds):
            _round(number, rounds, results, contenders, servers)
    except KeyboardInterrupt:
        print("interrupted: the figures are of what was done so far", file=sys.stderr)
    return results


def _round(
    number: int,
    rounds: int,
    results: Results,
    contenders: Mapping[Direction, Mapping[str, CommandOf]],
    servers: Servers,
) -> None:
    for work, measured in results.items():
        print(f"round {number + 1} of {rounds}: {work.name}", file=sys.stderr, flush=True)
        # Each round begins with another one: whoever follows a heavy one has no advantage for ever.
        names = list(measured)
        turn = number % max(len(names), 1)
        for name in names[turn:] + names[:turn]:
            _once(work, contenders[work.direction][name], servers, measured[name])


def failed(results: Results) -> bool:
    """
    Tell whether anything went wrong.

    :param results: What was measured.
    :return: True if a transfer failed or lost bytes.
    """
    return any(taken.failures for measured in results.values() for taken in measured.values())


def _once(work: Work, command_of: CommandOf, servers: Servers, measured: Measured) -> None:
    received = servers.folder / "received"
    received.mkdir(exist_ok=True)
    target = received if work.direction == "batch" else received / "file.bin"
    try:
        command = command_of(work, servers, target)
        output, seconds, usage = _execute(command, _environment(work, servers), servers)
        _check(work, servers, target, output)
    except (OSError, RuntimeError) as error:
        measured.failures.append(str(error))
    else:
        said = output.rstrip().rpartition("\n")[2].split()[1:] if command.says_seconds else []
        measured.seconds.append(float(said[0]) if said else seconds)
        measured.work.append(float(said[1]) if said[1:] else usage.ru_utime + usage.ru_stime)
        measured.peaks.append(usage.ru_maxrss * 1024)
    finally:
        shutil.rmtree(received)


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


def _environment(work: Work, servers: Servers) -> dict[str, str]:
    """Give each process what it needs and nothing of the caller's, proxies for example."""
    up = servers.upload_base_url(work.scheme)
    port = servers.up[work.scheme] if work.direction == "up" else servers.down[work.scheme]
    kie = {"conn_type": "kie", "password": KEY, "host": up, "extra": {"upload_base_url": up}}
    http = {"conn_type": "http", "host": f"{work.scheme}://127.0.0.1", "port": port}
    home = str(servers.folder / "home")
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": home,
        "AIRFLOW_HOME": home,
        "AIRFLOW_CONN_KIE_DEFAULT": json.dumps(kie),
        "AIRFLOW_CONN_HTTP_DEFAULT": json.dumps(http),
        "SSL_CERT_FILE": str(servers.certificate),
        "REQUESTS_CA_BUNDLE": str(servers.certificate),
    }


def _check(work: Work, servers: Servers, target: Path, output: str) -> None:
    """See that every byte arrived; nobody wins by losing some."""
    if work.direction == "up":
        last = output.rstrip().splitlines()[-1].split()[0]
        answered = re.search(r'"fileSize": *(\d+)', output)
        if (answered[1] if answered else last) != str(work.size):
            raise RuntimeError(f"the server counted other bytes than {work.size}")
        return
    for number in range(work.count):
        source = servers.file(work, number)
        copy = target / source.name if work.direction == "batch" else target
        if not _same(source, copy):
            raise RuntimeError(f"{copy.name} is not what the server has")


def _same(one: Path, other: Path) -> bool:
    with one.open("rb") as left, other.open("rb") as right:
        while True:
            block = left.read(BLOCK_BYTES)
            if block != right.read(BLOCK_BYTES):
                return False
            if not block:
                return True
