"""What a batch has finished, so that a retry of its task does not do it again."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider_kie._state import TaskStateStore
from airflow_provider_kie.files.shutdown import LOOK_SECONDS

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

# A worker that dies loses at most what came since: so much time, or so many files.
SAVE_SECONDS = 3.0
SAVE_FILES = 100
# Airflow warns of values above 64 KiB.
PAGE_BYTES = 48 * 1024
# How long a task that nobody has asked to end waits for the store when its work is done.
STORE_SECONDS = 30.0


class Finished:
    """
    A batch's results, kept in the task's state store between its tries: from Airflow 3.3 on.

    They are for the task's own retries. A success forgets them, and what is from before a clear is not used.

    Many results share a value, a *page*; each try has pages of its own. A thread of its own stores them:
    whoever waits for Airflow cannot see that the task is to end.

    :param context: The task's context.
    :param retries: How often Airflow retries the task.
    :param is_ended: Whether the task is to end, which no answer of Airflow's is worth waiting for.
    """

    def __init__(self, context: Context, retries: int | None, is_ended: Callable[[], bool]) -> None:
        self._state = TaskStateStore(context)
        self._first_try = self._state.first_try(retries)
        self._is_ended = is_ended
        self._stored: list[str] = []
        self._pages: list[dict[str, Any]] = [{}]
        self._page_bytes = 0
        self._first_unsaved = 0
        self._unsaved = 0
        self._saved_at = time.monotonic()
        self._at_work: threading.Thread | None = None
        self._has_warned = False
        self.earlier: dict[str, Any] = {}

    @property
    def is_kept(self) -> bool:
        """Whether Airflow keeps anything at all."""
        return self._state.is_available

    def load(self) -> None:
        """Read what earlier tries have finished."""
        if not self.is_kept or self._state.try_number <= 1:
            return
        for number in range(1, self._state.try_number):
            page = 0
            while not self._is_ended() and (files := self._read(_name(number, page))):
                # Pages from before a clear are of no use, but a success removes them too.
                self.earlier |= files if number >= self._first_try else {}
                page += 1
        log.info("Earlier tries have finished %d files", len(self.earlier))

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
        if self._unsaved and is_due and not self._is_at_work():
            self._start_saving()

    def save(self) -> None:
        """Store what is new, for the retry that will follow."""
        if self._wait() and self._unsaved:
            self._start_saving()
            self._wait()

    def forget(self) -> None:
        """Remove all that was stored: the task has succeeded."""
        if self._wait() and self._stored:
            self._work(self._remove, list(self._stored))
            self._wait()

    def _read(self, name: str) -> dict[str, Any] | None:
        """Give what a page holds; None where there is none."""
        try:
            if (page := self._state.load(name)) is None:
                return None
            self._stored.append(name)
            return dict(page["files"])
        except Exception as error:
            log.warning("Cannot ask Airflow for all that earlier tries have finished: %s", error)
            return None

    def _is_at_work(self) -> bool:
        return self._at_work is not None and self._at_work.is_alive()

    def _work(self, work: Callable[..., None], *args: Any) -> None:
        self._at_work = threading.Thread(target=work, args=args, daemon=True)
        self._at_work.start()

    def _wait(self) -> bool:
        """Wait for the thread; give whether it is done."""
        deadline = time.monotonic() + STORE_SECONDS
        while self._at_work and self._at_work.is_alive():
            if self._is_ended() or time.monotonic() >= deadline:
                return False
            self._at_work.join(LOOK_SECONDS)
        return True

    def _start_saving(self) -> None:
        # Copies, because more results come meanwhile.
        pages = {number: dict(self._pages[number]) for number in range(self._first_unsaved, len(self._pages))}
        self._unsaved, self._saved_at = 0, time.monotonic()
        self._work(self._save, pages)

    def _save(self, pages: dict[int, dict[str, Any]]) -> None:
        try:
            for number, files in pages.items():
                name = _name(self._state.try_number, number)
                self._state.save(name, {"files": files})
                if name not in self._stored:
                    self._stored.append(name)
                # The last page may grow, so it is stored again.
                self._first_unsaved = number
        except Exception as error:
            # The files are moved; that a retry would move them again is no reason to fail.
            self._unsaved += 1
            if not self._has_warned:
                log.warning("Cannot tell Airflow what is finished, will try again: %s", error)
            self._has_warned = True

    def _remove(self, names: list[str]) -> None:
        try:
            # From the end: what is left after a failure is still in one piece.
            for name in reversed(names):
                self._state.delete(name)
        except Exception as error:
            log.warning("Cannot tell Airflow to forget what is finished: %s", error)


def _name(try_number: int, page: int) -> str:
    return f"kie-finished-{try_number}-{page}"
