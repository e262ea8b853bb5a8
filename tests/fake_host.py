"""A host on loopback that answers as told, byte by byte if need be, and keeps what it was asked."""

from __future__ import annotations

import contextlib
import fcntl
import select
import socket
import ssl
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

Part = bytes | float | Callable[[socket.socket], None]
"""Bytes to send, seconds to wait, or something else to do with the connection, such as :func:`reset`."""
SILENCE = 20.0
"""Longer than any test waits."""
UNTIL_READ = 0.01
"""Long enough, as a rule, for what was received to be read."""


@dataclass
class Request:
    """
    A request as it arrived.

    :param head: Its head.
    :param body: As much of its body as has been received.
    :param connection: Where the rest comes from.
    """

    head: bytes
    body: bytearray
    connection: socket.socket = field(repr=False)

    def __post_init__(self) -> None:
        self.line, *lines = self.head.decode("latin-1").split("\r\n")
        parts = (line.partition(":") for line in lines)
        self.headers = {name.strip().lower(): value.strip() for name, _, value in parts}

    @property
    def path(self) -> str:
        """What was asked for, without the query."""
        return self.line.split(" ")[1].partition("?")[0]

    @property
    def range(self) -> str | None:
        return self.headers.get("range")

    @property
    def file(self) -> bytes:
        """The file in a multipart body."""
        boundary = self.headers["content-type"].partition("boundary=")[2].encode()
        for part in bytes(self.body).split(b"--" + boundary):
            head, _, content = part.partition(b"\r\n\r\n")
            if b"filename" in head:
                return content.removesuffix(b"\r\n")
        return b""

    @property
    def missing(self) -> int:
        """How many bytes of the body have not been received."""
        return int(self.headers.get("content-length", "0")) - len(self.body)

    def receive(self, count: int | None = None) -> None:
        """
        Receive the body.

        :param count: How many bytes of it in all, at least; None for all.
        :raises ConnectionError: It was cut off.
        """
        while self.missing > 0 and (count is None or len(self.body) < count):
            if not (piece := self.connection.recv(65536)):
                raise ConnectionError
            self.body += piece


Answer = bytes | Iterable[Part] | Callable[[Request], bytes | Iterable[Part]]
"""What is sent, or a function of the request that gives it, and that receives the body if anybody does."""


class FakeHost:
    """
    Gives its answers one after the other, and hangs up when there are no more.

    :param script: The answers; can be changed meanwhile.
    :param tls: Serves https if given.
    :param keep: Whether a connection is kept after an answer.
    :param small: Keeps the receive buffer small, so that a client cannot run far ahead.
    """

    def __init__(
        self,
        script: Sequence[Any] = (),
        *,
        tls: ssl.SSLContext | None = None,
        keep: bool = False,
        small: bool = False,
    ) -> None:
        self.script: list[Any] = list(script)
        self.requests: list[Request] = []
        self.arrived = threading.Semaphore(0)
        self.connections = 0
        # Bytes, those that nobody has read from the kernel yet among them.
        self.sent = 0
        self._tls, self._keep = tls, keep
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket()
        if small:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        """End everything; a closed host refuses connections."""
        if self._over.is_set():
            return
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            connection.settimeout(10)
            # What is sent is there, and does not wait until what was before is acknowledged.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                connection = stack.enter_context(self._tls.wrap_socket(connection, server_side=True))
            self.connections += 1
            while (request := _read_head(connection)) and not self._over.is_set():
                with self._lock:
                    self.requests.append(request)
                    answer = self.script.pop(0) if self.script else None
                self.arrived.release()
                if answer is None:
                    return
                self._send(connection, self.parts(request, answer))
                if not self._keep:
                    return

    def parts(self, request: Request, answer: Any) -> Iterable[Part]:
        """
        Make out what is sent.

        :param request: What was asked.
        :param answer: What stands in the script.
        :return: The parts, one after the other.
        """
        if callable(answer):
            answer = answer(request)
        else:
            request.receive()
        return (answer,) if isinstance(answer, bytes) else answer

    def _send(self, connection: socket.socket, parts: Iterable[Part]) -> None:
        for part in parts:
            if isinstance(part, bytes):
                connection.sendall(part)
                self.sent += len(part)
            elif callable(part):
                part(connection)
            else:
                self._over.wait(part)
            if self._over.is_set():
                return


def _read_head(connection: socket.socket) -> Request | None:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (piece := connection.recv(65536)):
            return None
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return Request(head, bytearray(rest), connection)


def http(body: bytes | str = b"", status: str = "200 OK", /, **headers: str | None) -> bytes:
    """
    Write an answer as it goes over the wire.

    :param body: Its body.
    :param status: Its status.
    :param headers: In place of a fitting Content_Length and of ``Connection: close``; None leaves one out.
    :return: The bytes.
    """
    content = body.encode() if isinstance(body, str) else body
    named: dict[str, str | None] = {"Content_Length": str(len(content)), "Connection": "close", **headers}
    given = ((name.replace("_", "-"), value) for name, value in named.items() if value is not None)
    lines = "".join(f"{name}: {value}\r\n" for name, value in given)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + content


def chunked(body: bytes, *, size: int = 16 * 1024, end: bool = True) -> bytes:
    """
    Write a body in chunks.

    :param body: The bytes.
    :param size: Of a chunk.
    :param end: Whether the last chunk follows, which says that it was all.
    :return: The bytes.
    """
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n" * end


def drip(data: bytes, seconds: float = 0.05, *, size: int = 1) -> list[Part]:
    """
    Send slowly.

    :param data: The bytes.
    :param seconds: Between two pieces.
    :param size: Of a piece.
    :return: The parts.
    """
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return [part for piece in pieces for part in (piece, seconds)]


def reset(connection: socket.socket) -> None:
    """
    End a connection by a reset, once the other side's kernel has it all: it throws away what is on its way.

    :param connection: Which.
    """
    deadline = time.monotonic() + 5
    waiting = b"\1"
    while any(waiting) and time.monotonic() < deadline:
        time.sleep(0.001)
        waiting = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
    time.sleep(UNTIL_READ)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # Without TLS's own goodbye.
    socket.socket(fileno=connection.detach()).close()


def drain(connection: socket.socket) -> None:
    """
    Say that nothing more comes, and take what the client still sends.

    :param connection: Which.
    """
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(65536):
        pass


def tunnel_to(port: int) -> Sequence[Part]:
    """
    Tunnel to one host, whatever was asked for, as a proxy does.

    :param port: The host's.
    :return: The answer to CONNECT.
    """

    def carry(connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port)) as onward:
            other = {connection: onward, onward: connection}
            while True:
                for side in select.select([connection, onward], [], [], SILENCE)[0]:
                    if not (piece := side.recv(65536)):
                        return
                    other[side].sendall(piece)

    return (b"HTTP/1.1 200 Connection established\r\n\r\n", carry)
