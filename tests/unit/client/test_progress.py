from __future__ import annotations

import logging

import pytest

from airflow_provider_kie.client import progress
from airflow_provider_kie.client.progress import Progress


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
    assert log.messages == ["a.bin: 25 % of 100.0 MB, 5.0 MB/s, 15 s left"]


def test_of_unknown_length_it_says_what_it_knows(clock: Clock, log: pytest.LogCaptureFixture) -> None:
    moving = Progress("a.bin")
    clock.now += 5
    moving.at(0)
    clock.now += 10
    moving.at(30_000_000)
    assert log.messages == ["a.bin: 0.0 MB, 0.0 MB/s", "a.bin: 30.0 MB, 2.0 MB/s"]


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
    assert log.messages == ["batch: 50 of 200 files are done"]
