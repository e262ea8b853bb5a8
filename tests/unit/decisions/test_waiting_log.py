"""What a long wait says of itself, and when."""

from __future__ import annotations

import pytest

from airflow_provider_kie.decisions.waiting import Decision
from airflow_provider_kie.decisions.waiting_log import WaitingLog, format_duration, will_wait

STILL = Decision("wait", "Still waiting")


def lines(*decisions: Decision, every: float = 30) -> list[tuple[int, str]]:
    """Check regularly, and tell what is said, and at which seconds."""
    log = WaitingLog()
    checks = [(round(n * every), log.line(one, n * every, every)) for n, one in enumerate(decisions, 1)]
    return [(at, line) for at, line in checks if line]


def test_a_wait_without_news_says_so_ever_more_rarely_but_every_ten_minutes() -> None:
    said = lines(*[STILL] * 240)
    assert [at for at, _ in said] == [
        30,
        90,
        210,
        450,
        930,
        1530,
        2130,
        2730,
        3330,
        3930,
        4530,
        5130,
        5730,
        6330,
        6930,
    ]
    assert said[0][1] == "Still waiting"
    assert said[1][1] == "Still waiting (checked 3 times in 90 s; next check in 30 s)"
    assert said[-1][1] == "Still waiting (checked 231 times in 116 min; next check in 30 s)"


def test_news_is_said_at_once_and_begins_anew() -> None:
    other = Decision("wait", "Something else")
    said = lines(STILL, other, STILL, STILL, STILL, STILL)
    assert said == [
        (30, "Still waiting"),
        (60, "Something else"),
        (90, "Still waiting"),
        (150, "Still waiting (checked 5 times in 2 min; next check in 30 s)"),
    ]


def test_a_number_that_changes_is_no_news() -> None:
    balances = [Decision("wait", f"{number} credits", topic="balance") for number in range(4)]
    assert [at for at, _ in lines(*balances)] == [30, 90]


def test_a_wait_whose_next_check_is_not_known_does_not_say_when() -> None:
    log = WaitingLog()
    log.line(STILL, 0)
    assert log.line(STILL, 60) == "Still waiting (checked 2 times in 60 s)"


def test_the_beginning_says_until_when() -> None:
    assert will_wait("a job", "checking every 5 s", 3600, 1_790_000_000) == (
        "Waiting for a job, checking every 5 s, until 2026-09-21 15:13:20 UTC"
    )
    assert will_wait("a job", "checking every 5 s", 1e15, 0).endswith(", with no deadline")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.01, "0.01 s"), (59.96, "60 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (9000, "2.5 h")],
)
def test_durations_are_worded_for_readers(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
