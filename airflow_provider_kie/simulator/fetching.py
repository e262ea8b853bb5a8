"""The fetching side of URL uploads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from contextvars import ContextVar

import httpx

from airflow_provider_kie.simulator.answers import Refused, upload_error
from airflow_provider_kie.simulator.files import Incoming

MAX_BYTES = 100_000_000
MAX_SECONDS = 30.0
USER_AGENT = "kie-simulator"

# The simulator stands in for another machine, whose log nobody reads here; and a URL in it may be signed.
_is_fetching: ContextVar[bool] = ContextVar("_is_fetching", default=False)
for _name in ("httpx", "httpcore.http11"):
    logging.getLogger(_name).addFilter(lambda _: not _is_fetching.get())


@contextlib.contextmanager
def unlogged() -> Iterator[None]:
    """Keep httpx from logging requests for as long as the ``with`` block lasts."""
    token = _is_fetching.set(True)
    try:
        yield
    finally:
        _is_fetching.reset(token)


async def fetch(url: str, incoming: Incoming) -> None:
    """
    Fetch a URL to disk; asynchronous, because the URL may be one of the simulator's own.

    :param url: an http or https URL.
    :param incoming: where the bytes go.
    :raises Refused: with code 400 when the URL cannot be fetched in 30 s, with 413 when it is over 100 MB.
    """
    try:
        with unlogged():
            await _fetch(url, incoming)
    # For some host names httpx lets a UnicodeError through from below.
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, TimeoutError) as error:
        reason = str(error) or f"no answer in {MAX_SECONDS:g} seconds"
        # invented: these words, and the User-Agent of kie.ai's own client above.
        raise Refused(upload_error(400, f"Could not download the file from fileUrl: {reason}")) from error


async def _fetch(url: str, incoming: Incoming) -> None:
    async with (
        asyncio.timeout(MAX_SECONDS),
        httpx.AsyncClient(follow_redirects=True, timeout=MAX_SECONDS) as client,
        client.stream("GET", url, headers={"User-Agent": USER_AGENT}) as answer,
    ):
        answer.raise_for_status()
        async for piece in answer.aiter_bytes():
            incoming.write(piece)
            if incoming.size > MAX_BYTES:
                raise Refused(upload_error(413, f"File too large: over {MAX_BYTES} bytes"))
