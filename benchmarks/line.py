"""
The server for uploads, and the one at the end of a slow line: a port for each rate.

A line takes so many bytes of files in a second and never more, but it does not wait for the processor either:
what is late by less than its buffer holds is made up for, as between any two machines. It is a process of its
own, and runs until its standard input is closed, by the benchmark or by its end.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from benchmarks.sink import BadRequestError, read_head, receive, response_of
from benchmarks.tls import Stream, server_context

PIECE_BYTES = 64 * 1024
BUFFER_SECONDS = 0.02
# The kernel's own buffers could hold as much as a line of 1 Gbit/s takes in a tenth of a second.
SOCKET_BUFFER_BYTES = 256 * 1024


class Line:
    """
    What all connections to a port share.

    :param rate: Bytes per second; 0 for as fast as it goes.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._free_at = 0.0
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        """
        Wait until the line has taken bytes.

        :param count: How many.
        """
        if not self.rate:
            return
        with self._lock:
            now = time.perf_counter()
            if now - self._free_at > BUFFER_SECONDS:
                self._free_at = now
            self._free_at += count / self.rate
            pause = self._free_at - now
        if pause > 0:
            time.sleep(pause)


def _converse(connection: socket.socket, tls: ssl.SSLContext, folder: Path, line: Line) -> None:
    with suppress(OSError), connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = Stream(connection, tls)
        try:
            while True:
                head, rest = read_head(stream)
                if not head:
                    return
                if head.startswith(b"GET "):
                    _send(stream, folder / head.split()[1].decode().rpartition("/")[2], line)
                else:
                    receive(stream, head, rest, line.take)
        except BadRequestError as error:
            answer = {"success": False, "code": 400, "msg": str(error)}
            stream.sendall(response_of("400 Bad Request", answer))


def _send(stream: Stream, path: Path, line: Line) -> None:
    """Send a file; a piece is sent when the line has taken it, and so arrives when its last byte does."""
    if not path.is_file():
        raise BadRequestError(f"there is no {path.name}")
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {path.stat().st_size}"
    )
    stream.sendall(f"{head}\r\n\r\n".encode())
    piece = memoryview(bytearray(PIECE_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(piece):
            line.take(count)
            stream.sendall(piece[:count])


def _serve(listener: socket.socket, tls: ssl.SSLContext, folder: Path, line: Line) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_converse, args=(connection, tls, folder, line), daemon=True).start()


def main(certificate: str, key: str, folder: str, *rates: str) -> None:
    """
    Serve https, and say on which ports.

    :param certificate: PEM file.
    :param key: PEM file.
    :param folder: What downloads come from.
    :param rates: Bytes per second of a line each; 0 for as fast as it goes.
    """
    tls = server_context(certificate, key)
    ports = {}
    for rate in rates:
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        if int(rate):
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                listener.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
        ports[rate] = listener.getsockname()[1]
        serve = partial(_serve, listener, tls, Path(folder), Line(int(rate)))
        threading.Thread(target=serve, daemon=True).start()
    print(json.dumps(ports), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
