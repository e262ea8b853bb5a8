"""What a task remembers from one process to the next: from Airflow 3.3 on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context


class TaskStateStore:
    """
    The state store of a task, and which try and poll this is.

    The store outlives retries, the worker and, in Airflow 3.3, clears: what was saved before a request is
    sent will be there.
    Before Airflow 3.3 there is none (:attr:`is_available`): nothing is saved, nothing found.
    What the store raises is passed on, because only the caller knows whether its work can go on without it.

    :param context: The task's context.
    """

    def __init__(self, context: Context) -> None:
        self._store: Any = context.get("task_state_store")
        self._ti = context.get("ti")
        self.poll_number = context.get("task_reschedule_count", 0)
        """How often a sensor was rescheduled in this try."""

    @property
    def is_available(self) -> bool:
        """Whether there is a store; without one nothing is saved, and nothing found."""
        return self._store is not None

    @property
    def try_number(self) -> int:
        """Number of this try; a retry and a clear raise it, rescheduling does not."""
        return getattr(self._ti, "try_number", 1)

    @property
    def max_tries(self) -> int:
        """How far the tries may go; a clear sets it anew, a retry leaves it alone."""
        return getattr(self._ti, "max_tries", 0)

    def is_first_try(self, retries: int | None) -> bool:
        """
        Find out whether this is the first try since the task was last cleared.

        :param retries: How often Airflow retries the task.
        :return: True outside a task run, too.
        """
        # Exactly that one: a later try must not be taken for it where the DAG file has other retries by now.
        return self._ti is None or self.try_number <= 1 or self.try_number == self.first_try(retries)

    def first_try(self, retries: int | None) -> int:
        """
        Find the first try since the task was last cleared.

        :param retries: How often Airflow retries the task.
        :return: Its number, from 1.
        """
        # A clear sets ``max_tries`` to the number of the try and the retries; a retry leaves it alone.
        return self.max_tries - (retries or 0) + 1

    def load(self, key: str) -> Any:
        """
        Load a value.

        :param key: Its name, unique within the task.
        :return: The value; None where there is none.
        """
        return self._store.get(key) if self._store is not None else None

    def save(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        """
        Save a value over the one that is there.

        :param key: Its name.
        :param value: JSON-safe, not None; above 64 KiB Airflow warns.
        :param retention: How long Airflow keeps it; None for what Airflow is configured to.
        """
        if self._store is not None:
            self._store.set(key, value, retention=retention)

    def delete(self, key: str) -> None:
        """
        Delete a value, if it is there.

        :param key: Its name.
        """
        if self._store is not None:
            self._store.delete(key)
