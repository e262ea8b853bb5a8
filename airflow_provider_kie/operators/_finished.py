"""What earlier tries of a task have finished, so that a retry does not do it again."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_kie.transfers import Download, Upload


class Finished:
    """
    Remembers results between the tries of a task: from Airflow 3.3 on, before not at all.

    :param context: The task's context.
    """

    def __init__(self, context: Context) -> None:
        self._store: Any = context.get("task_state_store")
        self._is_retry = getattr(context.get("ti"), "try_number", 1) > 1

    def get(self, item: Upload | Download) -> dict[str, Any] | None:
        """
        Give the result of an earlier try, if it still holds.

        :param item: What is to be moved.
        :return: The result as the task returns it, or None.
        """
        if self._store is None or not self._is_retry or not (key := _key(item)):
            return None
        result: dict[str, Any] | None = self._store.get(key)
        return result if result and item.still_holds(result) else None

    def set(self, item: Upload | Download, result: dict[str, Any]) -> None:
        """
        Remember a result, an upload for as long as kie.ai keeps the file.

        :param item: What was moved.
        :param result: The result as the task returns it.
        """
        if self._store is not None and item.still_holds(result) and (key := _key(item)):
            self._store.set(key, result, retention=item.lifetime(result))


def _key(item: Upload | Download) -> str | None:
    try:
        identity = item.identity()
    except (OSError, ValueError):
        # The source is not there; moving it will say so.
        return None
    return "kie-" + hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:40]
