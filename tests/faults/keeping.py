"""A host that keeps its connections, and sends as slowly, as much and as late as told."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .server import Request, Server, _read_head

_HELD_BY_KERNEL = 5_000_000
Part = bytes | float
"""Bytes to send, or seconds to wait."""


@dataclass(frozen=True)
class Drip:
    """
    Bytes that come one by one.

    :param data: The bytes.
    :param seconds: Between two.
    """

    data: bytes
    seconds: float = 0.05


class KeepingServer(Server):
    """
    Gives one list of parts for each request, on as few connections as its clients like.

    :param script: What is sent for one request after the other.
    :param rate: Bytes a second at which a request's body is read; all at once at its end, which the client's
        kernel still holds when the client has sent everything.
    """

    def __init__(
        self,
        script: Sequence[Sequence[Part | Drip]],
        *,
        rate: float = float("inf"),
        **options: Any,
    ) -> None:
        self._parts = list(script)
        self._rate = rate
        self.connections = 0
        super().__init__(**options)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            connection.settimeout(10)
            if self.tls:
                connection = stack.enter_context(self.tls.wrap_socket(connection, server_side=True))
            self.connections += 1
            while not self._over.is_set():
                request, rest = _read_head(connection)
                if request is None:
                    return
                self._take(connection, request, rest)
                self.requests.append(request)
                for part in self._parts.pop(0) if self._parts else [10.0]:
                    self._send(connection, part)

    def _take(self, connection: socket.socket, request: Request, rest: bytes) -> None:
        request.body += rest
        while missing := int(request.headers.get("content-length", "0")) - len(request.body):
            if not (piece := connection.recv(65536)):
                raise ConnectionError
            request.body += piece
            if missing > _HELD_BY_KERNEL:
                time.sleep(len(piece) / self._rate)

    def _send(self, connection: socket.socket, part: Part | Drip) -> None:
        if isinstance(part, float):
            self._over.wait(part)
        elif isinstance(part, bytes):
            connection.sendall(part)
        else:
            for byte in part.data:
                connection.sendall(bytes([byte]))
                if self._over.wait(part.seconds):
                    return


def answer(body: bytes | str, *headers: str) -> bytes:
    """
    Write an answer as it goes over the wire.

    :param body: Its body.
    :param headers: Lines beside the length.
    :return: The bytes.
    """
    content = body.encode() if isinstance(body, str) else body
    lines = "".join(f"{line}\r\n" for line in (f"Content-Length: {len(content)}", *headers))
    return f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + content


def chunked(body: bytes | str) -> bytes:
    """
    Write an answer in chunks.

    :param body: Its body.
    :return: The bytes.
    """
    content = body.encode() if isinstance(body, str) else body
    chunk = f"{len(content):x}\r\n".encode() + content + b"\r\n0\r\n\r\n"
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk
