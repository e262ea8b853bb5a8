"""The process that one transfer of a Python contender gets: imports, then transfers, and says how long."""

from __future__ import annotations

import json
import sys
import time

from benchmarks import clients


def main(client: str, job: str) -> None:
    """
    Make the transfer; the last line says bytes, seconds and seconds of processor time.

    :param client: Function of :mod:`benchmarks.clients`.
    :param job: :class:`benchmarks.clients.Job` in JSON.
    """
    transfer = getattr(clients, client)(clients.Job(**json.loads(job)))
    started, worked = time.perf_counter(), time.process_time()
    moved = transfer()
    seconds, work = time.perf_counter() - started, time.process_time() - worked
    print(f"\n{moved} {seconds:.6f} {work:.6f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
