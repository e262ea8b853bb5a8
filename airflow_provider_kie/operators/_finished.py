"""What a batch has finished, so that a retry of its task does not do it again."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_kie.batches import Moved, Session
    from airflow_provider_kie.transfers import Download, Upload

log = logging.getLogger(__name__)

# A worker that dies loses at most what came since: so much time, or so many files.
SAVE_SECONDS = 3.0
SAVE_FILES = 100
# So long a task that is to end still waits for its last results to be stored.
LAST_SAVE_SECONDS = 1.0
# Airflow warns of values above 64 KiB.
PAGE_BYTES = 48 * 1024


class Finished:
    """
    A batch's results, kept in the task's state store between its tries: from Airflow 3.3 on.

    They are for the task's own retries. A success forgets them, and what another life of the task has left,
    before somebody cleared it, is not used: Airflow gives every life another ``max_tries``.

    Many results share a value, a *page*, and a thread of its own stores it: whoever waits for Airflow cannot
    see that the task is to end.

    :param context: The task's context.
    :param kie_conn_id: Airflow connection; what was done with another one counts for nothing.
    :param is_ended: Whether the task is to end, which no answer of Airflow's is worth waiting for.
    """

    def __init__(self, context: Context, kie_conn_id: str, is_ended: Callable[[], bool]) -> None:
        ti = context.get("ti")
        self._store: Any = context.get("task_state_store")
        self._life = getattr(ti, "max_tries", None)
        self._is_retry = getattr(ti, "try_number", 1) > 1
        self._kie_conn_id = kie_conn_id
        self._is_ended = is_ended
        self._pages: list[dict[str, Any]] = [{}]
        self._page_bytes = 0
        self._saved_pages = 0
        self._unsaved = 0
        self._saved_at = time.monotonic()
        self._saving: threading.Thread | None = None
        self._has_warned = False
        self.earlier: dict[str, Any] = {}

    @property
    def is_kept(self) -> bool:
        """Whether Airflow keeps anything at all."""
        return self._store is not None

    def load(self) -> None:
        """Read what earlier tries have finished, if this is a retry."""
        if self._store is None or not self._is_retry:
            return
        number = 0
        # Pages of another life are of no use, but a success removes them too.
        while not self._is_ended() and (page := self._read(number)):
            self.earlier |= page["files"] if page["max_tries"] == self._life else {}
            number += 1
        self._pages = [{} for _ in range(number + 1)]
        self._saved_pages = number
        log.info("Earlier tries have finished %d files", len(self.earlier))

    def key(self, transfer: Upload | Download) -> str:
        """
        Name a transfer.

        :param transfer: What is to be moved.
        :return: The name under which its result is kept.
        :raises OSError: Its source cannot be looked at.
        """
        identity = json.dumps([self._kie_conn_id, *transfer.identity()])
        return hashlib.sha256(identity.encode()).hexdigest()[:32]

    def add(self, key: str, result: dict[str, Any]) -> None:
        """
        Take note of a result; it is stored a little later.

        :param key: Its name.
        :param result: What was moved, JSON-safe.
        """
        size = len(json.dumps(result)) + len(key)
        if self._page_bytes + size > PAGE_BYTES:
            self._pages.append({})
            self._page_bytes = 0
        self._pages[-1][key] = result
        self._page_bytes += size
        self._unsaved += 1

    def save_if_due(self) -> None:
        """Store what is new, in the background, if it is much or has waited for some time."""
        is_due = self._unsaved >= SAVE_FILES or time.monotonic() - self._saved_at >= SAVE_SECONDS
        if self._store is None or not self._unsaved or not is_due:
            return
        if not self._is_saving():
            self._start_saving()

    def save(self) -> None:
        """Store what is new, for the retry that will follow."""
        deadline = time.monotonic() + LAST_SAVE_SECONDS
        self._wait_for_saving(deadline)
        if self._store is not None and self._unsaved and not self._is_saving():
            self._start_saving()
            self._wait_for_saving(deadline)

    def forget(self) -> None:
        """Remove all that was stored: the task has succeeded."""
        self._wait_for_saving(time.monotonic())
        try:
            # From the end: what is left after a failure is still in one piece.
            while self._saved_pages and not self._is_ended():
                self._store.delete(_name(self._saved_pages - 1))
                self._saved_pages -= 1
        except Exception as error:
            log.warning("Cannot tell Airflow to forget what is finished: %s", error)

    def _read(self, number: int) -> dict[str, Any] | None:
        """Give a page; None where there is none."""
        try:
            page = self._store.get(_name(number))
            return page and {"max_tries": page["max_tries"], "files": dict(page["files"])}
        except Exception as error:
            log.warning("Cannot ask Airflow for all that earlier tries have finished: %s", error)
            return None

    def _is_saving(self) -> bool:
        return self._saving is not None and self._saving.is_alive()

    def _start_saving(self) -> None:
        self._saving = threading.Thread(target=self._save, args=self._take_unsaved(), daemon=True)
        self._saving.start()

    def _wait_for_saving(self, deadline: float) -> None:
        """Wait until it is done; past the deadline only as long as the task is not to end."""
        while self._saving and self._saving.is_alive():
            if self._is_ended() and time.monotonic() >= deadline:
                return
            self._saving.join(0.1)

    def _take_unsaved(self) -> tuple[int, list[dict[str, Any]]]:
        """Give the first page that is not stored as it is now, and copies of it and all after it."""
        first = max(self._saved_pages - 1, 0)
        self._unsaved, self._saved_at = 0, time.monotonic()
        return first, [dict(page) for page in self._pages[first:]]

    def _save(self, first: int, pages: list[dict[str, Any]]) -> None:
        try:
            for number, page in enumerate(pages, first):
                if page:
                    self._store.set(_name(number), {"max_tries": self._life, "files": page})
                    self._saved_pages = max(self._saved_pages, number + 1)
        except Exception as error:
            # The files are moved; that a retry would move them again is no reason to fail.
            self._unsaved += 1
            if not self._has_warned:
                log.warning("Cannot tell Airflow what is finished, will try again: %s", error)
            self._has_warned = True


def _name(page: int) -> str:
    return f"kie-finished-{page}"


@dataclass
class Remembered:
    """
    A transfer that is left out if an earlier try of the task has done it.

    :param transfer: What is to be moved.
    :param finished: What earlier tries have done.
    """

    transfer: Upload | Download
    finished: Finished
    key: str = ""
    is_reused: bool = False

    @property
    def shown(self) -> str:
        """What it is called in logs and errors."""
        return self.transfer.shown

    def run(self, session: Session) -> Moved:
        """Move it, or give what an earlier try has moved, if that is still there."""
        if self.finished.is_kept:
            # Before the transfer: a source that changes afterwards is another one.
            self.key = self.finished.key(self.transfer)
            earlier = self.finished.earlier.get(self.key)
            if earlier and (result := self._reusable(session, earlier)):
                self.is_reused = True
                return result
        return self.transfer.run(session)

    def note(self, result: Moved) -> None:
        """
        Have the result remembered, unless it is already.

        :param result: What was moved.
        """
        if self.key and not self.is_reused and not getattr(result, "skipped", False):
            self.finished.add(self.key, result.to_dict())

    def _reusable(self, session: Session, earlier: dict[str, Any]) -> Moved | None:
        from airflow_provider_kie.client.errors import KieCancelledError

        try:
            return self.transfer.reusable(session, earlier)
        except KieCancelledError:
            raise
        except Exception as error:
            log.warning("%s: cannot tell whether what is done still holds: %s", self.shown, error)
            return None
