"""The connections under a client: until when a call may use one, where its answer ends, and how all end."""

from __future__ import annotations

import re
import socket
import threading
import time
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import h11
import httpx

from airflow_provider_kie.client.errors import KieConnectionError

if TYPE_CHECKING:
    import ssl

    import httpcore

# TLS sends no more at once; so each piece of a request has its share of the time that is left.
_PIECE = 16 * 1024
_PLAIN_HEAD = re.compile(rb"HTTP/1\.1 20[06] [^\r\n]*\r\n(?:[^\r\n]+\r\n)+\r\n")
_FRAMED = re.compile(rb"(?i)\r\ntransfer-encoding[ \t]*:")
_CONTENT_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*(?=\r\n)")
# Like httpcore's own parser, so that both give up at the same head.
_LONGEST_HEAD = 100 * 1024


class Deadline:
    """
    Until when an answer has to be there whole, however many bytes come in between.

    It is kept to within a step over the connection. One step can last only through an https proxy that drips:
    httpcore's TLS within TLS waits anew for each piece of a record.

    :param seconds: How long it may take.
    :param after_sending: Whether the time begins when the request has been sent, rather than now.
    """

    def __init__(self, seconds: float, *, after_sending: bool = False) -> None:
        self.seconds = seconds
        self.after_sending = after_sending
        self.is_nearer = False
        self._end = None if after_sending else time.monotonic() + seconds

    def limit(self, timeout: float | None, *, sending: bool = False) -> float | None:
        """
        Say how long the next step over the connection may take.

        :param timeout: Seconds that it may take anyhow.
        :param sending: Whether it sends a part of the request.
        :return: Seconds.
        :raises httpx.ReadTimeout: None is left.
        """
        if sending and self.after_sending:
            self._end, self.is_nearer = None, False
            return timeout
        if self._end is None:
            self._end = time.monotonic() + self.seconds
        left = self._end - time.monotonic()
        self.is_nearer = timeout is None or left < timeout
        if left <= 0:
            raise httpx.ReadTimeout("there is no time left")
        return left if timeout is None else min(left, timeout)


_deadline: ContextVar[Deadline | None] = ContextVar("_deadline", default=None)


@contextmanager
def within(deadline: Deadline, name: str) -> Iterator[None]:
    """
    Bound what this thread does over connections meanwhile.

    :param deadline: Until when.
    :param name: What has to be done by then, for the message.
    :raises KieConnectionError: It was not done by then.
    """
    token = _deadline.set(deadline)
    try:
        yield
    except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
        if deadline.is_nearer:
            raise out_of_time(name, deadline.seconds) from error
        raise
    finally:
        _deadline.reset(token)


def out_of_time(name: str, seconds: float) -> KieConnectionError:
    """
    Make the error of a call whose answer was not there whole in time.

    :param name: What it is called.
    :param seconds: How long it had.
    :return: The error.
    """
    return KieConnectionError(f"{name}: no complete answer came within {seconds:.3g} s")


class Connections:
    """
    The open connections of a client; :meth:`trace` learns of them.

    A connection on which more came than the answer is closed, so that the rest does not become the next
    answer. What comes after that and before the next request is httpcore's to see, and it closes such a
    connection too. Only what comes while the next request is on its way cannot be told from its answer.
    """

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """
        Learn of every new connection; this is httpx's ``trace`` extension.

        :param event: What happened; also for a connection through a proxy, encrypted or not.
        :param info: With the connection as ``return_value``.
        """
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            stream = info["return_value"]
            _watch(stream)
            with self._lock:
                self._sockets.add(stream.get_extra_info("socket"))
            if self.stopped.is_set():
                self._shut()

    def stop(self) -> None:
        """End all that goes on, and what begins from now on; not for signal handlers: it takes a lock."""
        self.stopped.set()
        self._shut()

    def leave_to_parent(self) -> None:
        """Close a child process's copies of what its parent goes on using; no other thread is there yet."""
        for connection in list(self._sockets):
            connection.close()

    def _shut(self) -> None:
        with self._lock:
            sockets = list(self._sockets)
        for connection in sockets:
            with suppress(OSError):
                # Not SSLSocket's own, which would take the TLS state from under the thread that reads.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


@asynccontextmanager
async def closed_at_the_end(request: httpx.Request) -> AsyncIterator[None]:
    """
    Close the connection that a request on an event loop makes, whatever becomes of the request.

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
        # httpcore leaves one open that is cancelled within TLS's handshake.
        for stream in opened:
            await stream.aclose()


def _watch(stream: httpcore.NetworkStream) -> None:
    """Bound a connection's steps by the deadline of whoever uses it, and its answers by their ends."""
    read, write, start_tls = stream.read, stream.write, stream.start_tls
    answer = _Answer()

    def timed_read(max_bytes: int, timeout: float | None = None) -> bytes:
        data = read(max_bytes, _limit(timeout))
        if surplus := answer.surplus(data):
            stream.close()
        return data[: len(data) - surplus]

    def timed_write(buffer: bytes, timeout: float | None = None) -> None:
        answer.expect()
        deadline = _deadline.get()
        size = len(buffer) if deadline is None or deadline.after_sending else _PIECE
        for start in range(0, len(buffer), size or 1):
            write(buffer[start : start + size], _limit(timeout, sending=True))

    def timed_start_tls(
        ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return start_tls(ssl_context, server_hostname, _limit(timeout))

    # A kept connection serves calls with a deadline and downloads without one, so it asks at each step.
    stream.read = timed_read  # type: ignore[method-assign]
    stream.write = timed_write  # type: ignore[method-assign]
    stream.start_tls = timed_start_tls  # type: ignore[method-assign]


def _limit(timeout: float | None, *, sending: bool = False) -> float | None:
    deadline = _deadline.get()
    return timeout if deadline is None else deadline.limit(timeout, sending=sending)


class _Answer:
    """Finds the end of an answer; httpcore keeps what comes with it in a parser that nobody can look into."""

    def __init__(self) -> None:
        self.expect()

    def expect(self) -> None:
        """Expect a new answer, because a request is being sent."""
        self._parser: h11.Connection | None = None
        self._missing: int | None = None

    def surplus(self, data: bytes) -> int:
        """Tell how many of the bytes that came last are beyond the end."""
        if self._missing is None and self._parser is None:
            self._missing = _plain_length(data)
        if self._missing is not None:
            self._missing -= len(data)
            return max(0, -self._missing)
        try:
            return self._parse(data) if data else 0
        except h11.RemoteProtocolError:
            # httpcore will see it too.
            return 0

    def _parse(self, data: bytes) -> int:
        if self._parser is None:
            self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
            self._parser.send(h11.Request(method="GET", target="/", headers=[("Host", "any")]))
            self._parser.send(h11.EndOfMessage())
        self._parser.receive_data(data)
        while (event := self._parser.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Response):
                self._missing = _length(event)
            elif isinstance(event, h11.Data) and self._missing is not None:
                # From the head on counting is enough, and takes no time.
                self._missing -= len(event.data)
        return len(self._parser.trailing_data[0]) if event is h11.PAUSED else 0


def _plain_length(data: bytes) -> int | None:
    """Give the length of head and body where a whole head shows it plainly, which spares a parser."""
    head = _PLAIN_HEAD.match(data)
    if head is None or _FRAMED.search(head[0]):
        return None
    lengths = _CONTENT_LENGTH.findall(head[0])
    return head.end() + int(lengths[0]) if len(lengths) == 1 else None


def _length(response: h11.Response) -> int | None:
    headers = dict(response.headers)
    length = None if b"transfer-encoding" in headers else headers.get(b"content-length")
    return None if length is None else int(length)
