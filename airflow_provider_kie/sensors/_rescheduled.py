"""How earlier polls of a rescheduled sensor ended: each poll is a process of its own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_kie._state import TaskStateStore
from airflow_provider_kie.decisions.waiting import ConsecutiveFailures

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

KEY = "kie-misses"


class RescheduledFailures:
    """
    Failures in a row, in the task's state store.

    Where there is none, or it fails as well, no row grows, and the waiting goes on.

    :param context: The task's context.
    """

    def __init__(self, context: Context) -> None:
        self._state = TaskStateStore(context)

    def load(self) -> ConsecutiveFailures:
        """
        Load the row that the last poll saved.

        :return: The row; an empty one if the last poll saved none.
        """
        try:
            saved = self._state.load(KEY)
        except Exception as error:
            log.warning("Airflow cannot tell how the last poll ended; waiting goes on: %s", error)
            return ConsecutiveFailures()
        # A retry and a clear raise the number of the try. A poll that saves nothing leaves a gap in the
        # numbers of the polls, and so ends the row.
        last = (self._state.try_number, self._state.poll_number - 1)
        match saved:
            case {"try": number, "poll": poll, "limit": int(limit), "count": int(count)}:
                if (number, poll) == last:
                    return ConsecutiveFailures(limit, count)
        return ConsecutiveFailures()

    def save(self, failures: ConsecutiveFailures) -> None:
        """
        Save a row for the next poll.

        :param failures: With the failure of this poll; a row that never ends the waiting is not saved.
        """
        if failures.limit is None:
            return
        row = {"limit": failures.limit, "count": failures.count}
        try:
            self._state.save(KEY, {"try": self._state.try_number, "poll": self._state.poll_number} | row)
        except Exception as error:
            log.warning("Airflow cannot keep how this poll ended; waiting goes on: %s", error)
