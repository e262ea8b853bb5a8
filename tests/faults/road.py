"""A slow road to a server: bytes pass at a rate, and from some point on not at all."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

PIECE = 16 * 1024


class Road:
    """
    Stands between a client and a server; what has been sent on it arrives, even if its sender is gone.

    :param server: URL of the server.
    :param rate: Bytes a second on the way to the server, for each connection; 0 for any.
    :param stuck_after: After how many bytes to the server a connection carries no more; None for never.
    """

    def __init__(self, server: str, *, rate: int = 0, stuck_after: int | None = None) -> None:
        parts = urlsplit(server)
        self._server = (parts.hostname, parts.port)
        self._rate, self._stuck_after = rate, stuck_after
        self._closed = threading.Event()
        self._moved = threading.Condition()
        self.passed = 0
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    def wait_for(self, count: int, timeout: float = 10) -> bool:
        """
        Wait until so many bytes have passed on their way to the server.

        :param count: How many, on all connections.
        :param timeout: Seconds.
        :return: False if they did not in time.
        """
        with self._moved:
            return self._moved.wait_for(lambda: self.passed >= count, timeout)

    def block(self) -> None:
        """Let nothing pass any more, on no connection."""
        self._stuck_after = 0

    def wait_until_empty(self, quiet: float = 0.3) -> None:
        """
        Wait until whatever is on the road has arrived.

        :param quiet: Seconds in which nothing passes.
        """
        before = -1
        while before != self.passed:
            before = self.passed
            time.sleep(quiet)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for each in (self._listener, *self._sockets):
            each.close()

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                self._sockets += [client, server]
                self._start(self._carry, client, server, True)
                self._start(self._carry, server, client, False)

    def _carry(self, source: socket.socket, target: socket.socket, to_server: bool) -> None:
        carried = 0
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                if to_server and self._stuck_after is not None and carried >= self._stuck_after:
                    self._closed.wait()
                    return
                target.sendall(piece)
                carried += len(piece)
                if to_server:
                    self._note(len(piece))
            target.shutdown(socket.SHUT_WR)

    def _note(self, count: int) -> None:
        with self._moved:
            self.passed += count
            self._moved.notify_all()
        if self._rate:
            time.sleep(count / self._rate)
