"""What a rescheduled sensor knows of its earlier polls: each poll is a process of its own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_kie.decisions.waiting import Misses

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

KEY = "kie-misses"


class KeptMisses:
    """
    Failures in a row, in the state store that Airflow 3.3 gives a task.

    Where there is none, or it fails as well, no row grows, and the waiting goes on.

    :param context: The task's context.
    """

    def __init__(self, context: Context) -> None:
        self._store: Any = context.get("task_state_store")
        # A retry and a clear raise the number of the try. A poll that kept nothing is missing in the count of
        # polls, so what breaks a row need not be written down.
        self._try = getattr(context.get("ti"), "try_number", 1)
        self._poll = context.get("task_reschedule_count", 0)

    def recall(self) -> Misses:
        """Give the row that the last poll kept, or none."""
        try:
            kept = self._store.get(KEY) if self._store is not None else None
        except Exception as error:
            log.warning("Airflow cannot tell how the last poll ended; waiting goes on: %s", error)
            return Misses()
        match kept:
            case {"try": number, "poll": poll, "limit": int(limit), "count": int(count)}:
                if (number, poll) == (self._try, self._poll - 1):
                    return Misses(limit, count)
        return Misses()

    def keep(self, misses: Misses) -> None:
        """
        Keep a row for the next poll.

        :param misses: The row with the failure of this poll; one that never ends the waiting is not kept.
        """
        if self._store is None or misses.limit is None:
            return
        kept = {"try": self._try, "poll": self._poll, "limit": misses.limit, "count": misses.count}
        try:
            self._store.set(KEY, kept)
        except Exception as error:
            log.warning("Airflow cannot keep how this poll ended; waiting goes on: %s", error)
