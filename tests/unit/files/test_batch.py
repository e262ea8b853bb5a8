"""Transfers in threads: how they are ended, and that they end."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import pytest

from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import KieBatchError, KieCancelledError
from airflow_provider_kie.client.settings import KieSettings
from airflow_provider_kie.files import batch as batches
from airflow_provider_kie.files.batch import Session, results_of, run_all
from airflow_provider_kie.files.local import Unfinished
from airflow_provider_kie.files.results import DownloadedFile
from airflow_provider_kie.files.shutdown import LOOK_SECONDS

LONG = 30.0


class Ended(BaseException):
    """What Airflow raises from a signal handler when ``execution_timeout`` is over."""


@dataclass
class Move:
    """A transfer that waits until it is told to end, or that its client is stopped."""

    shown: str
    seconds: float = 0.0
    hears: bool = True
    part: Path | None = None
    began: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self, *, session: Session) -> DownloadedFile:
        if self.part:
            self.part.write_bytes(b"half")
            session.unfinished.add(self.part)
        self.began.set()
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline:
            time.sleep(0.01)
            if self.hears:
                session.client.check_running()
        self.ended.set()
        if self.shown == "bad":
            raise ValueError("bad")
        return DownloadedFile(self.shown, self.shown, 1, None, None, skipped=False)


@pytest.fixture
def session() -> Iterator[Session]:
    with KieClient(KieSettings(api_key="key")) as client:
        yield Session(client, Unfinished(client.check_running), lambda moved: None)


def test_all_are_tried_and_told_of_in_this_thread(session: Session) -> None:
    told = []
    moves = [Move("a", 0.5), Move("bad"), Move("b")]
    outcomes = run_all(
        moves,
        session,
        max_concurrency=2,
        on_done=lambda move, moved: told.append((move.shown, moved.path, threading.current_thread())),
    )
    main = threading.main_thread()
    assert told == [("b", "b", main), ("a", "a", main)]
    with pytest.raises(KieBatchError, match="1 of 3 files failed, 2 are done") as caught:
        results_of(moves, outcomes)
    assert [file for file, _ in caught.value.failures] == ["bad"]


def test_one_that_is_ended_before_it_begins_begins_nothing(session: Session) -> None:
    move = Move("a")

    def end() -> None:
        raise KieCancelledError("ended")

    with pytest.raises(KieCancelledError):
        run_all([move], session, max_concurrency=1, on_wait=end)
    assert not move.began.is_set()


def test_those_that_wait_for_their_turn_hold_nobody_up(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "PATIENCE_SECONDS", LONG)
    moves = [Move("a", LONG), *(Move(str(number)) for number in range(20))]

    def end() -> None:
        if moves[0].began.is_set():
            raise KieCancelledError("ended")

    began = time.monotonic()
    with pytest.raises(KieCancelledError):
        run_all(moves, session, max_concurrency=1, on_wait=end)
    assert time.monotonic() - began < LONG / 2
    assert not any(move.began.is_set() for move in moves[1:])


def test_what_a_thread_that_hangs_leaves_is_removed(
    session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(batches, "PATIENCE_SECONDS", 0.1)
    deaf = Move("deaf", 1.0, hears=False, part=tmp_path / "a.part")

    def end() -> None:
        if deaf.began.is_set():
            raise KieCancelledError("ended")

    others = tmp_path / "b.part"
    others.write_bytes(b"of another batch in this process")
    Unfinished().add(others)
    with pytest.raises(KieCancelledError):
        run_all([deaf], session, max_concurrency=1, on_wait=end)
    assert list(tmp_path.iterdir()) == [others]


def test_a_timeout_while_it_is_being_ended_leaves_nothing_either(session: Session, tmp_path: Path) -> None:
    deaf = Move("deaf", 1.0, hears=False, part=tmp_path / "a.part")

    def on_alarm(number: int, frame: FrameType | None) -> None:
        raise Ended

    def end() -> None:
        if deaf.began.is_set():
            # Airflow's signal first, its timeout in the middle of what follows.
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            raise KieCancelledError("ended")

    before = signal.signal(signal.SIGALRM, on_alarm)
    try:
        with pytest.raises(KieCancelledError):
            run_all([deaf], session, max_concurrency=1, on_wait=end)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert deaf.ended.is_set()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("moment", [0.0001, 0.001, 0.01, 0.15])
def test_an_exception_out_of_a_signal_handler_ends_all(session: Session, moment: float) -> None:
    def on_alarm(number: int, frame: FrameType | None) -> None:
        raise Ended

    def on_wait() -> None:
        if not signal.getitimer(signal.ITIMER_REAL)[0]:
            # Again and again: Python loses what is raised in the middle of some of its own.
            signal.setitimer(signal.ITIMER_REAL, moment, 2.0)

    before = signal.signal(signal.SIGALRM, on_alarm)
    try:
        with pytest.raises(Ended):
            run_all(
                [Move(str(number), LONG) for number in range(4)], session, max_concurrency=2, on_wait=on_wait
            )
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(KieCancelledError):
        session.client.check_running()


def test_a_signal_handler_that_takes_its_time_makes_nobody_deaf(session: Session) -> None:
    """With ``SimpleQueue.get`` a handler that outlasted the wait made it one without end."""
    killed = []

    def on_alarm(number: int, frame: FrameType | None) -> None:
        time.sleep(2 * LOOK_SECONDS)
        killed.append(number)

    def on_wait() -> None:
        if killed:
            raise KieCancelledError("ended")

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, LOOK_SECONDS / 2)
    began = time.monotonic()
    try:
        with pytest.raises(KieCancelledError):
            run_all([Move("a", LONG)], session, max_concurrency=1, on_wait=on_wait)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - began < LONG / 2
