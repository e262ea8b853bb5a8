"""What the log of a long wait says, whatever is waited for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from airflow_provider_kie.decisions.waiting import Decision

# A wait without news says so after a minute, then after twice as long each time, up to ten minutes.
FIRST_SILENCE = 60.0
LONGEST_SILENCE = 600.0


@dataclass
class WaitingLog:
    """
    What a wait says of itself: news at once, and otherwise a line now and then.

    :param checks: How many there have been.
    """

    checks: int = 0
    _topic: str | None = None
    _silence: float = FIRST_SILENCE
    _due_at: float = 0.0

    def line(self, decision: Decision, elapsed: float, pause: float | None = None) -> str:
        """
        Word the check that did not end the waiting, if a line is due.

        :param decision: What was decided.
        :param elapsed: Seconds that it has taken so far.
        :param pause: Seconds to the next check, if that is known.
        :return: The line; empty if none is due.
        """
        self.checks += 1
        topic = decision.topic or decision.message
        if is_news := topic != self._topic:
            self._topic, self._silence = topic, FIRST_SILENCE / 2
        elif elapsed < self._due_at:
            return ""
        self._silence = min(self._silence * 2, LONGEST_SILENCE)
        self._due_at = elapsed + self._silence
        return decision.message if is_news else f"{decision.message} ({self._so_far(elapsed, pause)})"

    def _so_far(self, elapsed: float, pause: float | None) -> str:
        then = "" if pause is None else f"; next check in {format_duration(pause)}"
        return f"checked {self.checks} times in {format_duration(elapsed)}{then}"


def will_wait(subject: str, how_often: str, seconds: float, since: float) -> str:
    """
    Word the beginning of a wait.

    :param subject: What is waited for, as the log calls it.
    :param how_often: When it is asked for.
    :param seconds: How long to wait, at the most.
    :param since: When the wait began, in seconds since the epoch.
    :return: The sentence, with the time of the end in UTC.
    """
    try:
        end = datetime.fromtimestamp(since, UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return f"Waiting for {subject}, {how_often}, with no deadline"
    return f"Waiting for {subject}, {how_often}, until {end:%Y-%m-%d %H:%M:%S} UTC"


def format_duration(seconds: float) -> str:
    """
    Format a duration for readers.

    :param seconds: Its length.
    :return: Such as ``45 s``, ``12 min``, ``3.5 h``.
    """
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
