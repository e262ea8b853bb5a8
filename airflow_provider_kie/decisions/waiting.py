"""What a failed poll means for whoever waits, whatever is waited for."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal, Protocol

# What kie.ai itself says of a key, and no waiting mends: it is wrong, or its own usage cap is reached.
FINAL_CODES = frozenset({401, 433})
# Anything else that looks permanent may be a proxy's page, or one odd answer among thousands.
LIMIT = 3
# Airflow reports a missing connection and a failed lookup alike, and its outages last longer.
LOOKUP_LIMIT = 10


class Failure(Protocol):
    """
    What matters about an error.

    :param transient: Whether the same request may succeed later.
    :param said_by_kie: Whether kie.ai itself said the code; a proxy may have otherwise.
    :param code: kie.ai's code; None without an answer.
    :param lookup_failed: Whether Airflow could not look up the connection.
    :param unknown_job: Whether kie.ai knows no such job, be it too new or of another family.
    """

    transient: bool
    said_by_kie: bool
    code: int | None
    lookup_failed: bool
    unknown_job: bool


def limit_of(failure: Failure) -> int | None:
    """
    Look up how many failures of this sort in a row end the waiting.

    :param failure: Why a poll failed.
    :return: How many; None if only the timeout ends it.
    """
    if failure.lookup_failed:
        return LOOKUP_LIMIT
    if failure.transient:
        return None
    return 1 if failure.said_by_kie and failure.code in FINAL_CODES else LIMIT


@dataclass(frozen=True)
class ConsecutiveFailures:
    """
    Failures of one sort in a row; anything else in between starts a new row.

    :param limit: How many of them end the waiting; None if no number does.
    :param count: How many there have been.
    """

    limit: int | None = None
    count: int = 0

    def after(self, failure: Failure) -> ConsecutiveFailures:
        """
        Count a failed poll.

        :param failure: Why it failed.
        :return: The row that it continues or starts.
        """
        limit = limit_of(failure)
        return ConsecutiveFailures(limit, self.count + 1 if limit == self.limit else 1)

    @property
    def reached_limit(self) -> bool:
        """Whether these are too many."""
        return self.limit is not None and self.count >= self.limit


@dataclass(frozen=True)
class Decision:
    """
    What to do after a poll.

    :param outcome: ``wait`` for the next poll, ``done``, or ``fail`` with the error.
    :param message: What to log; empty for ``fail``, where the error says it all.
    :param level: Level of the message.
    :param failures: What to decide the next poll with.
    :param topic: What makes two messages the same news; empty for the whole message.
    """

    outcome: Literal["wait", "done", "fail"]
    message: str = ""
    level: int = logging.INFO
    failures: ConsecutiveFailures = ConsecutiveFailures()
    topic: str = ""


def decide_failed_poll(
    subject: str, failures: ConsecutiveFailures, failure: Failure, *, silent_fail: bool = False
) -> Decision:
    """
    Decide whether waiting goes on after a failed poll.

    :param subject: What was asked for, as the log calls it.
    :param failures: Those right before.
    :param failure: Why the poll failed.
    :param silent_fail: Whether to go on whatever it is.
    :return: ``wait`` or ``fail``.
    """
    failures = failures.after(failure)
    if failures.reached_limit and not silent_fail:
        return Decision("fail", failures=failures)
    # Proxies put the time, or a number, into their pages.
    message, topic = will_ask_again(subject, failure), type(failure).__name__
    return Decision("wait", message, logging.WARNING, failures, topic)


def will_ask_again(subject: str, failure: Failure) -> str:
    """
    Word a failed poll for the log.

    :param subject: What was asked for.
    :param failure: Why the poll failed.
    :return: The sentence.
    """
    return f"Asking for {subject} failed, will ask again: {failure}"
