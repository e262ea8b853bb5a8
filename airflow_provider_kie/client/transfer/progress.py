"""How far a transfer is: logged at steps that suit a reader, and whether it gets any further."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 60.0
# A try that brings this much, or a twentieth of a smaller file, wipes out those before it.
RENEWING_BYTES = 256 * 1024


class Progress:
    """
    Logs how far a transfer is: after 5 seconds, then at growing steps, at least once a minute.

    :param what: What is moved, safe to show.
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
        Note how far the transfer is, and log it if due.

        :param done: Bytes so far.
        """
        if not self._is_due():
            return
        rate = done / (time.monotonic() - self.started)
        if not self.total or not rate:
            log.info("%s, %s/s: %s", _shown(done), _shown(rate), self.what)
            return
        # The name comes last: it may be a URL that is longer than a line.
        log.info(
            "%d %% of %s, %s/s, %d s left: %s",
            100 * done // self.total,
            _shown(self.total),
            _shown(rate),
            (self.total - done) / rate,
            self.what,
        )

    def files(self, done: int, total: int) -> None:
        """
        Note how many files are done, and log it if due.

        :param done: Files so far.
        :param total: Files in all.
        """
        if self._is_due():
            log.info("%d of %d files are done", done, total)

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._step = min(2 * self._step, LONGEST_SECONDS)
        self._next = now + self._step
        return True


class Tries:
    """
    Counts a transfer's tries without progress.

    :param most: How many are allowed in a row after the first; 0 for a single try, whatever it brings.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._vain = 0
        self._renewed_at = 0

    def begin(self) -> None:
        """Count a try."""
        self._vain += 1

    def at(self, done: int, total: int | None) -> None:
        """
        Note how far the transfer is.

        :param done: Bytes so far.
        :param total: Bytes in all, None if unknown.
        """
        # A byte for each try would keep a transfer alive for months.
        step = RENEWING_BYTES if total is None else min(RENEWING_BYTES, max(1, total / 20))
        if done >= self._renewed_at + step:
            self._renewed_at = done
            self._vain = 0

    def are_over(self) -> bool:
        """Return whether to give up."""
        return not self._most or self._vain > self._most


def _shown(size: float) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size:.0f} B"
