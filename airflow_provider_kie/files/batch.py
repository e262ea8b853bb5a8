"""Transfers in threads: one or many at once, all tried, and over within seconds when they are ended."""

from __future__ import annotations

import logging
import time
from collections import deque
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
# The number of a transfer, and its result or what went wrong.
_Ended = tuple[int, RESULT | BaseException]


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
) -> list[RESULT | BaseException]:
    """
    Move files at once; one that fails does not stop the others.

    They move in threads, a single one too, and this thread waits in steps: between any two it sees a flag
    that a signal handler has set, however long the network, a storage or Airflow takes.

    :param transfers: What to move.
    :param session: What they share; its client is told to stop if this is ended early.
    :param max_concurrency: How many at a time.
    :param on_done: Told of each that is done, in this thread.
    :param on_wait: Called in this thread at least ten times a second; ends everything by raising.
    :return: How each ended, in the order given: with a result, or with an exception.
    """
    on_done, on_wait = on_done or _ignore, on_wait or _ignore
    progress = Progress("batch")
    # What they share is popped and put in single steps, so that nothing is kept for each file but its result.
    waiting = deque(enumerate(transfers))
    # A SimpleQueue waits for ever where a signal handler outlasts its timeout, in Python 3.11 at least.
    ended: Queue[_Ended[RESULT]] = Queue()
    outcomes: dict[int, RESULT | BaseException] = {}
    threads = min(max_concurrency, len(transfers))
    executor = ThreadPoolExecutor(threads, thread_name_prefix="kie-transfer")
    working: list[Future[None]] = []
    try:
        on_wait()
        for _ in range(threads):
            working.append(executor.submit(_work, waiting, session, ended))
        for count in range(1, len(transfers) + 1):
            number, outcome = _next(ended, on_wait)
            outcomes[number] = outcome
            if not isinstance(outcome, BaseException):
                on_done(transfers[number], outcome)
            elif len(transfers) > 1:
                log.error("%s failed: %s: %s", transfers[number].shown, type(outcome).__name__, outcome)
            progress.files(count, len(transfers))
        on_wait()
    except BaseException:
        waiting.clear()
        _end(executor, session, working)
        raise
    executor.shutdown()
    return [outcomes[number] for number in range(len(transfers))]


def _work(
    waiting: deque[tuple[int, Transfer[RESULT]]], session: Session, ended: Queue[_Ended[RESULT]]
) -> None:
    """Move one file after the other, until none waits."""
    while True:
        try:
            number, transfer = waiting.popleft()
        except IndexError:
            return
        outcome: RESULT | BaseException
        try:
            outcome = transfer.run(session=session)
        except BaseException as error:
            outcome = error
        ended.put((number, outcome))


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


def result_of(outcome: RESULT | BaseException) -> RESULT:
    """
    Give what a transfer brought.

    :param outcome: How it ended.
    :return: The result.
    :raises BaseException: It ended with this.
    """
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def results_of(
    transfers: Sequence[Transfer[RESULT]], outcomes: Sequence[RESULT | BaseException]
) -> list[RESULT]:
    """
    Give what many transfers brought.

    :param transfers: What was to be moved.
    :param outcomes: How each ended.
    :return: The results, in the same order.
    :raises KieBatchError: Some failed.
    """
    failures = [
        (transfer.shown, outcome)
        for transfer, outcome in zip(transfers, outcomes, strict=True)
        if isinstance(outcome, Exception)
    ]
    if failures:
        raise KieBatchError(failures, len(transfers))
    return [result_of(outcome) for outcome in outcomes]


def _ignore(*_: object) -> None:
    """Stand in for a callback that nobody wants."""


def _next(ended: Queue[_Ended[RESULT]], on_wait: Callable[[], None]) -> _Ended[RESULT]:
    while True:
        on_wait()
        try:
            return ended.get(timeout=LOOK_SECONDS)
        except Empty:
            continue


def _end(executor: ThreadPoolExecutor, session: Session, working: Sequence[Future[None]]) -> None:
    """Stop what is under way, and remove what threads leave behind that do not stop in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    for _ in range(ATTEMPTS):
        try:
            session.client.stop()
            executor.shutdown(wait=False, cancel_futures=True)
            # A future that was cancelled so never counts as done for ``wait``.
            running = [future for future in working if not future.cancelled()]
            wait(running, timeout=max(0.0, deadline - time.monotonic()))
            break
        except BaseException:
            # Airflow's timeout after its signal, for example; the threads need their time all the same.
            log.debug("Ended while it was being ended", exc_info=True)
    session.unfinished.remove_all()
