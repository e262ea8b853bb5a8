"""How far a transfer is, in the log, at steps that a reader of the log wants."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 60.0


class Progress:
    """
    Logs how far a transfer is: after 5 seconds, then at growing steps, at least once a minute.

    :param what: What is moved, fit to be shown.
    :param total: Bytes in all, None if unknown.
    """

    def __init__(self, what: str, total: int | None = None) -> None:
        self.what = what
        self.total = total
        self.started = time.monotonic()
        self._step = FIRST_SECONDS
        self._next = self.started + self._step

    def at(self, done: int) -> None:
        """
        Note how far it is, and log it if that is due.

        :param done: Bytes so far.
        """
        if not self._is_due():
            return
        rate = done / (time.monotonic() - self.started)
        if not self.total or not rate:
            log.info("%s: %.1f MB, %.1f MB/s", self.what, done / 1e6, rate / 1e6)
            return
        log.info(
            "%s: %d %% of %.1f MB, %.1f MB/s, %d s left",
            self.what,
            100 * done // self.total,
            self.total / 1e6,
            rate / 1e6,
            (self.total - done) / rate,
        )

    def files(self, done: int, total: int) -> None:
        """
        Note how many files are done, and log it if that is due.

        :param done: Files so far.
        :param total: Files in all.
        """
        if self._is_due():
            log.info("%s: %d of %d files are done", self.what, done, total)

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._step = min(2 * self._step, LONGEST_SECONDS)
        self._next = now + self._step
        return True
