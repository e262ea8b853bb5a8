"""The process that one transfer of a Python contender gets: it transfers, and says what that took."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from benchmarks import clients
from benchmarks.works import touch_memory


def main(client: str, job: str) -> None:
    """
    Make the transfer; the last line says bytes, seconds, seconds of processor time and KB of more memory.

    :param client: Function of :mod:`benchmarks.clients`.
    :param job: File with :class:`benchmarks.clients.Job` in JSON.
    """
    told = clients.Job(**json.loads(Path(job).read_text()))
    transfer = getattr(clients, client)(told)
    touch_memory(Path(job).parent, told.copied)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, worked = time.perf_counter(), time.process_time()
    moved = transfer()
    seconds, work = time.perf_counter() - started, time.process_time() - worked
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    print(f"\n{moved} {seconds:.6f} {work:.6f} {more}")


if __name__ == "__main__":
    main(*sys.argv[1:])
