"""The decisions about a job: whether to submit one, when to look at it, and what a look means."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from airflow_provider_kie.decisions.waiting import (
    ConsecutiveFailures,
    Decision,
    Failure,
    decide_failed_poll,
)
from airflow_provider_kie.decisions.waiting_log import format_duration, will_wait

OnDoubt = Literal["fail", "submit"]
Stage = Literal["sending", "submitted", "success", "failed"]
Step = Literal["submit", "look", "result", "fail", "doubt"]

# A job that was just accepted may have no record yet.
GRACE_SECONDS = 90.0

# Measured on recorded durations: 8.4 looks a job, 95 of 100 ends noticed within a tenth of the duration. One
# every 5 s takes 31.
FIRST_LOOK_SECONDS = 10.0
FIRST_LOOK_SHARE = 0.5
LATER_LOOKS_SHARE = 0.1
SHORTEST_SECONDS = 2.0
# kie.ai answers three requests a second for one job.
SHORTEST_INTERVAL = 1.0
LONGEST_SECONDS = 60.0


@runtime_checkable
class Record(Protocol):
    """
    What matters about a job's record.

    :param state: ``waiting``, ``running``, ``success`` or ``failed``.
    """

    @property
    def state(self) -> str: ...


def first_step(
    stage: Stage | None,
    *,
    forgotten: bool = False,
    cleared: bool = False,
    differs: bool = False,
    may_pass: bool = True,
    on_doubt: OnDoubt = "fail",
) -> Step:
    """
    Decide what a task begins with: never with a submission that nobody asked for.

    :param stage: How far the job came that an earlier try has left; None if nothing is known of one.
    :param forgotten: Whether an earlier try may have left one of which nothing could be written down.
    :param cleared: Whether a person has cleared the task since.
    :param differs: Whether model or input are others now.
    :param may_pass: Whether the reason of a failed job may pass.
    :param on_doubt: What to do where nobody can tell whether there is a job.
    :return: ``submit``; ``look`` at the job and then decide by :func:`step_after_look`; give its ``result``;
        ``fail`` as it did; or report the ``doubt``.
    """
    if stage == "sending" or (stage is None and forgotten):
        return "submit" if cleared or on_doubt == "submit" else "doubt"
    if stage is None:
        return "submit"
    if stage == "submitted":
        return "submit" if cleared and differs else "look"
    if cleared:
        return "submit"
    if stage == "success":
        return "result"
    return "submit" if may_pass else "fail"


def step_after_look(
    record: Record, *, cleared: bool = False, may_pass: bool = True, delivered: bool = False
) -> Step | Literal["wait"]:
    """
    Decide what follows from the record of a job whose end no earlier try has seen.

    :param record: The record.
    :param cleared: Whether a person has cleared the task since.
    :param may_pass: Whether the reason of a failed job may pass.
    :param delivered: Whether the earlier try had nothing to wait for, and so had ended well.
    :return: ``wait`` for it, or as :func:`first_step`. A result that nobody got is given even after a clear:
        it is paid.
    """
    if record.state not in ("success", "failed"):
        return "wait"
    if record.state == "success" and not (cleared and delivered):
        return "result"
    return "submit" if cleared or may_pass else "fail"


def decide(
    job_id: str,
    failures: ConsecutiveFailures,
    poll: Record | Failure,
    *,
    age: float,
    silent_fail: bool = False,
) -> Decision:
    """
    Decide what a look at a job means for whoever waits.

    :param job_id: The job.
    :param failures: Failed looks right before this one.
    :param poll: The record, or why there is none.
    :param age: Seconds since the submission, as far as is known.
    :param silent_fail: Whether no failure to look ends the waiting.
    :return: The decision; ``fail`` for a failed job too.
    """
    if isinstance(poll, Record):
        if poll.state == "success":
            return Decision("done", f"Job {job_id} has succeeded")
        if poll.state == "failed":
            return Decision("fail")
        return Decision("wait", f"Job {job_id} is {poll.state}")
    if poll.unknown_job and age < GRACE_SECONDS:
        return Decision("wait", f"kie.ai has no record of job {job_id} yet", failures=failures)
    subject = f"the record of job {job_id}"
    return decide_failed_poll(subject, failures, poll, silent_fail=silent_fail)


def seconds_to_look(elapsed: float, usual: float | None = None, interval: float | None = None) -> float:
    """
    Calculate how long to wait before the next look at a job that runs.

    :param elapsed: Seconds since the submission.
    :param usual: Seconds that such jobs usually take, if that is known.
    :param interval: Seconds between two looks, if the author wants them fixed; one at the least.
    :return: Seconds: first until half of the usual duration is over, then a tenth of what has elapsed, from
        2 to 60.
    """
    if interval is not None:
        return max(interval, SHORTEST_INTERVAL)
    first = FIRST_LOOK_SECONDS if usual is None else usual * FIRST_LOOK_SHARE
    if elapsed < first:
        return max(first - elapsed, SHORTEST_SECONDS)
    return min(max(elapsed * LATER_LOOKS_SHARE, SHORTEST_SECONDS), LONGEST_SECONDS)


def job_wait_message(job_id: str, first: float, interval: float | None, timeout: float, since: float) -> str:
    """
    Word the beginning of a wait for a job.

    :param job_id: The job.
    :param first: Seconds to the first look.
    :param interval: Seconds between two looks, if the author wants them fixed.
    :param timeout: Seconds to wait, at the most.
    :param since: When the wait began, in seconds since the epoch.
    :return: The sentence.
    """
    first_check = f"first check in {format_duration(first)}"
    how_often = first_check if interval is None else f"checking every {format_duration(interval)}"
    return will_wait(f"job {job_id}", how_often, timeout, since)


@dataclass
class Durations:
    """
    How long jobs take, learned from those that have ended.

    :param remembered: How many jobs of a sort count: the latest.
    """

    remembered: int = 25
    _seen: dict[Hashable, deque[float]] = field(default_factory=dict)

    def learn(self, sort: Hashable, seconds: float) -> None:
        """
        Take note of a job that has succeeded.

        :param sort: What makes jobs alike, such as api and model.
        :param seconds: How long it took.
        """
        self._seen.setdefault(sort, deque(maxlen=self.remembered)).append(seconds)

    def usual(self, sort: Hashable) -> float | None:
        """
        Give the median.

        :param sort: What makes jobs alike.
        :return: Seconds; None before any has ended.
        """
        seen = self._seen.get(sort)
        return statistics.median(seen) if seen else None
