"""What is noted is there as long as others hold it, and nothing runs when it dies."""

from __future__ import annotations

import gc
import signal
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import pytest

from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.http.weak import WeakList
from airflow_provider_kie.client.settings import KieSettings


class Thing:
    """Can be noted."""


@pytest.fixture
def alarm() -> Iterator[type[Exception]]:
    """Have SIGALRM raise, as it does for Airflow's timeout of a task."""

    class TooLateError(Exception):
        pass

    def raise_it(number: int, frame: FrameType | None) -> None:
        raise TooLateError

    before = signal.signal(signal.SIGALRM, raise_it)
    yield TooLateError
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_what_nobody_holds_any_more_is_not_there() -> None:
    noted: WeakList[Thing] = WeakList()
    one, other = Thing(), Thing()
    noted.add(one)
    noted.add(other)
    assert noted.alive() == [one, other]
    del one
    assert noted.alive() == [other]
    noted.add(other)
    assert len(noted._references) == 2


def test_none_is_lost_when_threads_note_theirs_at_once() -> None:
    noted: WeakList[Thing] = WeakList()

    def note(_: int) -> Thing:
        for _ in range(50):
            noted.add(Thing())
        noted.add(kept := Thing())
        return kept

    with ThreadPoolExecutor(8) as threads:
        kept = list(threads.map(note, range(40)))
    assert set(noted.alive()) == set(kept)


def test_a_timeout_that_strikes_while_clients_are_collected_as_garbage_is_not_lost(
    alarm: type[Exception],
) -> None:
    # So many that collecting takes longer than the alarm; counting them keeps them till the end.
    heap = [[number] for number in range(2_000_000)]
    gc.collect()
    client = KieClient(KieSettings("a-key"))
    client.itself = client  # type: ignore[attr-defined]
    client.close()
    seen = weakref.ref(client)
    with pytest.raises(alarm):  # noqa: PT012 (the signal may come at any of these lines)
        signal.setitimer(signal.ITIMER_REAL, 0.005)
        del client
        gc.collect()
        time.sleep(1)
    gc.collect()
    assert seen() is None
    assert len(heap) == 2_000_000
