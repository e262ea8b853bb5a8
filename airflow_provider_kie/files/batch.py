"""Transfers in threads: one or many at once, all tried, and over within seconds when they are ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Thread
from typing import Any, Protocol, TypeVar

from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import KieBatchError
from airflow_provider_kie.client.transfer.progress import Progress
from airflow_provider_kie.files.local import Unfinished
from airflow_provider_kie.files.results import Moved
from airflow_provider_kie.files.shutdown import ATTEMPTS, LOOK_SECONDS, PATIENCE_SECONDS

log = logging.getLogger(__name__)

T = TypeVar("T")
RESULT = TypeVar("RESULT", bound=Moved)
RESULT_co = TypeVar("RESULT_co", bound=Moved, covariant=True)


@dataclass(frozen=True)
class Session:
    """
    What the transfers of one piece of work share.

    :param client: The open client.
    :param unfinished: Their temporary files.
    :param count: Told of each file that was moved, in the thread that moved it.
    """

    client: KieClient
    unfinished: Unfinished
    count: Callable[[Moved], None]


class Transfer(Protocol[RESULT_co]):
    """One file to be moved."""

    @property
    def shown(self) -> str:
        """What it is called in logs and errors."""

    def run(self, *, session: Session) -> RESULT_co:
        """Move it, in a thread of its own."""


def run_all(
    transfers: Sequence[Transfer[RESULT]],
    session: Session,
    *,
    max_concurrency: int,
    on_done: Callable[[Any, RESULT], None] | None = None,
    on_wait: Callable[[], None] | None = None,
) -> list[Future[RESULT]]:
    """
    Move files at once; one that fails does not stop the others.

    They move in threads, a single one too, and this thread waits in steps: between any two it sees a flag
    that a signal handler has set, however long the network, a storage or Airflow takes.

    :param transfers: What to move.
    :param session: What they share; its client is told to stop if this is ended early.
    :param max_concurrency: How many at a time.
    :param on_done: Told of each that is done, in this thread.
    :param on_wait: Called in this thread at least ten times a second; ends everything by raising.
    :return: How each ended, in the order given.
    """
    on_done, on_wait = on_done or _ignore, on_wait or _ignore
    progress = Progress("batch")
    # A SimpleQueue waits for ever where a signal handler outlasts its timeout, in Python 3.11 at least.
    ended: Queue[Future[RESULT]] = Queue()
    begun: dict[Future[RESULT], Transfer[RESULT]] = {}
    executor = ThreadPoolExecutor(max_concurrency, thread_name_prefix="kie-transfer")
    try:
        on_wait()
        for transfer in transfers:
            future = executor.submit(transfer.run, session=session)
            begun[future] = transfer
            future.add_done_callback(ended.put)
        for count in range(1, len(transfers) + 1):
            future = _next(ended, on_wait)
            if not (error := future.exception()):
                on_done(begun[future], future.result())
            elif len(transfers) > 1:
                log.error("%s failed: %s: %s", begun[future].shown, type(error).__name__, error)
            progress.files(count, len(transfers))
        on_wait()
    except BaseException:
        _end(executor, session, list(begun))
        raise
    executor.shutdown()
    return list(begun)


def run_in_background(work: Callable[[], T], on_wait: Callable[[], None]) -> T:
    """
    Do what a storage may take long for; this thread sees that it is to end.

    :param work: Changes nothing, so that it may be left behind; the process does not wait for it.
    :param on_wait: Called in this thread at least ten times a second; ends the waiting by raising.
    :return: What the work gives.
    :raises Exception: What the work raises.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    on_wait()
    Thread(target=run, name="kie-background", daemon=True).start()
    while not wait([future], timeout=LOOK_SECONDS).done:
        on_wait()
    return future.result()


def results_of(transfers: Sequence[Transfer[RESULT]], futures: Sequence[Future[RESULT]]) -> list[RESULT]:
    """
    Give what many transfers brought.

    :param transfers: What was to be moved.
    :param futures: How each ended.
    :return: The results, in the same order.
    :raises KieBatchError: Some failed.
    """
    failures = []
    for transfer, future in zip(transfers, futures, strict=True):
        error = future.exception()
        if isinstance(error, Exception):
            failures.append((transfer.shown, error))
        elif error:
            raise error
    if failures:
        raise KieBatchError(failures, len(transfers))
    return [future.result() for future in futures]


def _ignore(*_: object) -> None:
    """Stand in for a callback that nobody wants."""


def _next(ended: Queue[Future[RESULT]], on_wait: Callable[[], None]) -> Future[RESULT]:
    while True:
        on_wait()
        try:
            return ended.get(timeout=LOOK_SECONDS)
        except Empty:
            continue


def _end(executor: ThreadPoolExecutor, session: Session, futures: Sequence[Future[RESULT]]) -> None:
    """Stop what is under way, and remove what threads leave behind that do not stop in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    for _ in range(ATTEMPTS):
        try:
            session.client.stop()
            executor.shutdown(wait=False, cancel_futures=True)
            # A future that was cancelled so never counts as done for ``wait``.
            running = [future for future in futures if not future.cancelled()]
            wait(running, timeout=max(0.0, deadline - time.monotonic()))
            break
        except BaseException:
            # Airflow's timeout after its signal, for example; the threads need their time all the same.
            log.debug("Ended while it was being ended", exc_info=True)
    session.unfinished.remove_all()
