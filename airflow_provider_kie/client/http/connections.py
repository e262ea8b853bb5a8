"""A client's connections: each step bounded, each answer cut at its end, all shut down at once."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpx

from airflow_provider_kie.client.http.deadlines import current_deadline
from airflow_provider_kie.client.http.framing import AnswerEnd
from airflow_provider_kie.client.http.sockets import PAST_PARSER_FROM, fill, plain_socket
from airflow_provider_kie.client.http.weak import WeakList

if TYPE_CHECKING:
    import ssl

    import httpcore

# TLS sends no more than this at once; so each piece of a request shares in the time that is left.
_TLS_RECORD = 16 * 1024
# The parser takes its time for each piece, and copies it; beyond 128 KB, malloc maps memory for each copy.
PARSER_PIECE = 64 * 1024


class Connections:
    """
    The open connections of a client, as reported to :meth:`trace`.

    A connection that delivers more than the answer is closed, so that the surplus does not become the next
    answer. httpcore notices bytes that arrive later, but before the next request, and closes the connection
    too. Only bytes that arrive while the next request is on its way cannot be told from its answer.
    """

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._sockets: WeakList[socket.socket] = WeakList()

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """
        Register every new connection; this is httpx's ``trace`` extension.

        :param event: What happened; covers connections through a proxy, encrypted or not.
        :param info: Has the connection as ``return_value``.
        """
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            stream = info["return_value"]
            _watch(stream)
            self._sockets.add(stream.get_extra_info("socket"))
            if self.stopped.is_set():
                self._shut()

    def stop(self) -> None:
        """Shut down all connections, present and future; not for signal handlers: the event has a lock."""
        self.stopped.set()
        self._shut()

    def leave_to_parent(self) -> None:
        """Close a child process's copies of its parent's connections; no other thread exists there yet."""
        for connection in self._sockets.alive():
            connection.close()

    def _shut(self) -> None:
        for connection in self._sockets.alive():
            with suppress(OSError):
                # Not SSLSocket's own, which would pull the TLS state from under the reading thread.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


@asynccontextmanager
async def closed_at_the_end(request: httpx.Request) -> AsyncIterator[None]:
    """
    Close the connection that a request on an event loop opens, whatever becomes of the request.

    :param request: The request; it gets httpx's ``trace`` extension.
    """
    opened: list[httpcore.AsyncNetworkStream] = []

    async def trace(event: str, info: dict[str, Any]) -> None:
        if event.endswith(".connect_tcp.complete"):
            opened.append(info["return_value"])

    request.extensions["trace"] = trace
    try:
        yield
    finally:
        # httpcore leaves a connection open when it is cancelled during the TLS handshake.
        for stream in opened:
            await stream.aclose()


class _Watched:
    """
    A connection whose steps end by the deadline of whoever uses it, and whose answers are cut at their ends.

    A kept-alive connection serves calls with a deadline and downloads without one, so each step asks.

    :param stream: httpcore's connection.
    """

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._read, self._write = stream.read, stream.write
        self._start_tls, self._close = stream.start_tls, stream.close
        self._socket = plain_socket(stream)
        self._answer = AnswerEnd()
        # Met after some bytes: these are given first, and this at the next read.
        self._broken: OSError | None = None
        self._buffer = bytearray()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        missing = self._answer.missing
        # A deadline bounds each step, and this one would be many.
        if 0 < missing < PAST_PARSER_FROM and self._socket and current_deadline() is None:
            data = self._read_much(self._socket, missing, timeout)
        else:
            data = self._read(max_bytes, _limit(timeout))
        if surplus := self._answer.surplus(data):
            self._close()
        return data[: len(data) - surplus]

    def _read_much(self, connection: socket.socket, missing: int, timeout: float | None) -> bytes:
        """Read many TLS records at once, and more than was asked for; the parser takes any amount."""
        # One byte more, because TLS may hold back a surplus where nobody looks for it.
        self._buffer = self._buffer or bytearray(PARSER_PIECE + 1)
        least, filled = min(missing, PARSER_PIECE), 0
        buffer = memoryview(self._buffer)[: least + 1]
        if self._broken is None:
            filled, self._broken = fill(connection, buffer, least, timeout)
        if self._broken and not filled:
            kind = httpx.ReadTimeout if isinstance(self._broken, TimeoutError) else httpx.ReadError
            raise kind(str(self._broken)) from self._broken
        return bytes(buffer[:filled])

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._answer.expect()
        deadline = current_deadline()
        size = len(buffer) if deadline is None or deadline.after_sending else _TLS_RECORD
        # TLS takes a record at a time, and httpcore goes on with a copy of the rest.
        view = memoryview(buffer)
        for start in range(0, len(buffer), size or 1):
            self._write(view[start : start + size], _limit(timeout, sending=True))  # type: ignore[arg-type]

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return self._start_tls(ssl_context, server_hostname, _limit(timeout))


def _watch(stream: httpcore.NetworkStream) -> None:
    watched = _Watched(stream)
    stream.read = watched.read  # type: ignore[method-assign]
    stream.write = watched.write  # type: ignore[method-assign]
    stream.start_tls = watched.start_tls  # type: ignore[method-assign]


def _limit(timeout: float | None, *, sending: bool = False) -> float | None:
    deadline = current_deadline()
    return timeout if deadline is None else deadline.limit(timeout, sending=sending)
