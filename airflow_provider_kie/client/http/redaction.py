"""What httpx and httpcore may log of our own requests; other libraries' are none of our business."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import httpx

_is_ours: ContextVar[bool] = ContextVar("_is_ours", default=False)


@contextmanager
def redacted() -> Iterator[None]:
    """Keep signed links out of the log while this thread, or this task of an event loop, sends a request."""
    token = _is_ours.set(True)
    try:
        yield
    finally:
        _is_ours.reset(token)


class _RedactOurs(logging.Filter):
    """Cuts URLs in httpx's log lines down to their hosts; drops httpcore's lines with response headers."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not _is_ours.get():
            return True
        if record.name == "httpx" and isinstance(record.args, tuple):
            record.args = tuple(
                f"{arg.scheme}://{arg.host}/..." if isinstance(arg, httpx.URL) else arg for arg in record.args
            )
        return "receive_response_headers.complete" not in record.getMessage()


for _name in ("httpx", "httpcore.http11", "httpcore.http2"):
    logging.getLogger(_name).addFilter(_RedactOurs())
