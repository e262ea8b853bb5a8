from __future__ import annotations

import logging

import pytest

from airflow_provider_kie.client.transfer import progress
from airflow_provider_kie.client.transfer.progress import RENEWING_BYTES, Progress, Tries


class Clock:
    """Time that goes on when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def test_a_short_transfer_says_nothing(clock: Clock, log: pytest.LogCaptureFixture) -> None:
    moving = Progress("a.bin", 100)
    for second in range(4):
        clock.now += 1
        moving.at(25 * (second + 1))
    assert log.messages == []


def test_a_long_one_says_how_far_it_is_how_fast_and_how_long_it_will_take(
    clock: Clock, log: pytest.LogCaptureFixture
) -> None:
    moving = Progress("a.bin", 100_000_000)
    clock.now += 5
    moving.at(25_000_000)
    assert log.messages == ["25 % of 100.0 MB, 5.0 MB/s, 15 s left: a.bin"]


def test_of_unknown_length_it_says_what_it_knows(clock: Clock, log: pytest.LogCaptureFixture) -> None:
    moving = Progress("a.bin")
    clock.now += 5
    moving.at(0)
    clock.now += 10
    moving.at(30_000_000)
    assert log.messages == ["0 B, 0 B/s: a.bin", "30.0 MB, 2.0 MB/s: a.bin"]


def test_a_slow_one_says_more_than_0_mb(clock: Clock, log: pytest.LogCaptureFixture) -> None:
    moving = Progress("a.bin", 1_000_000)
    clock.now += 50
    moving.at(5_000)
    assert log.messages == ["0 % of 1.0 MB, 100 B/s, 9950 s left: a.bin"]


def test_the_steps_grow_to_a_minute(clock: Clock, log: pytest.LogCaptureFixture) -> None:
    moving = Progress("a.bin", 10**9)
    for second in range(600):
        clock.now += 1
        moving.at(second)
    assert 10 <= len(log.messages) <= 14


def test_a_batch_says_how_many_files_are_done(clock: Clock, log: pytest.LogCaptureFixture) -> None:
    moving = Progress("batch")
    moving.files(1, 200)
    clock.now += 6
    moving.files(50, 200)
    assert log.messages == ["50 of 200 files are done"]


@pytest.mark.parametrize(
    ("total", "step"),
    [(None, RENEWING_BYTES), (10**9, RENEWING_BYTES), (1_000_000, 50_000), (30, 2), (1, 1), (0, 1)],
)
def test_what_renews_the_tries_is_a_twentieth_or_256_kib(total: int | None, step: int) -> None:
    tries = Tries(1)
    for done, renews in ((step - 1, False), (step, True), (2 * step - 1, False), (2 * step, True)):
        tries.begin()
        tries.begin()
        tries.at(done, total)
        assert tries.are_over() is not renews


def test_what_was_there_before_renews_nothing() -> None:
    tries = Tries(1)
    for done in (600_000, 0, 500_000, 600_000, 600_001):
        tries.begin()
        tries.at(done, 1_000_000)
    assert tries.are_over()


def test_a_single_try_is_the_only_one_whatever_it_brings() -> None:
    tries = Tries(0)
    tries.begin()
    tries.at(500_000, 1_000_000)
    assert tries.are_over()
