"""What earlier tries of a task have finished, so that a retry does not do it again."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_kie.transfers import Download, Upload

log = logging.getLogger(__name__)


class Finished:
    """
    Remembers results between the tries of a task: from Airflow 3.3 on, before not at all.

    :param context: The task's context.
    """

    def __init__(self, context: Context) -> None:
        self._store: Any = context.get("task_state_store")
        self._is_retry = getattr(context.get("ti"), "try_number", 1) > 1
        # Made before the transfer: a source that changes afterwards is another one.
        self._keys: dict[int, str] = {}

    def get(self, item: Upload | Download) -> dict[str, Any] | None:
        """
        Give the result of an earlier try, if it still holds.

        :param item: What is to be moved.
        :return: The result as the task returns it, or None.
        """
        if self._store is None or not (key := _key(item)):
            return None
        self._keys[id(item)] = key
        try:
            result: dict[str, Any] | None = self._store.get(key) if self._is_retry else None
            return result if result and item.still_holds(result) else None
        except Exception as error:
            log.warning("Cannot ask Airflow what earlier tries have finished: %s", error)
            return None

    def set(self, item: Upload | Download, result: dict[str, Any]) -> None:
        """
        Remember a result, an upload for as long as kie.ai keeps the file.

        :param item: What was moved.
        :param result: The result as the task returns it.
        """
        key = self._keys.get(id(item))
        try:
            if key and item.still_holds(result):
                self._store.set(key, result, retention=item.lifetime(result))
        except Exception as error:
            # The file is moved; that a retry would move it again is no reason to fail.
            log.warning("Cannot tell Airflow what is finished: %s", error)


def _key(item: Upload | Download) -> str | None:
    try:
        identity = item.identity()
    except (OSError, ValueError):
        # The source is not there; moving it will say so.
        return None
    return "kie-" + hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:40]
