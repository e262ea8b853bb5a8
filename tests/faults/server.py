"""A host that misbehaves as told: raw sockets on loopback, one thread a connection."""

from __future__ import annotations

import contextlib
import fcntl
import json
import random
import re
import socket
import ssl
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

FILE = random.Random(1).randbytes(200_000)
OTHER = random.Random(2).randbytes(200_000)
LONGER = random.Random(3).randbytes(260_000)
BIG = random.Random(4).randbytes(12_000_000)
HALF = len(FILE) // 2
TAG = '"v1"'
SEND_AT_ONCE = 16 * 1024
# Long enough for what was received to be read, as a rule.
UNTIL_READ = 0.01


@dataclass(frozen=True)
class Reply:
    """
    What a host does with one request; by default it serves the file as a good host does, ranges included.

    :param status: HTTP status; by default 200, or 206 and 416 as the request asks for a range.
    :param body: Body in place of the file; in text, ``{link}``, ``{files}``, ``{other}``, ``{size}`` and so
        on stand for what the trial knows.
    :param file: The file.
    :param etag: Its ETag, if it has one.
    :param ranges: False for a host that does not know ranges.
    :param if_range: False for a host that gives the range whatever ``If-Range`` says.
    :param headers: In place of the host's own; None leaves one out.
    :param framing: How the body's end is told.
    :param head: How many bytes of the head go out before ``then``; None for all, and the body.
    :param sent: How many bytes of the body go out before ``then``, as they are on the wire; None for all.
    :param then: How it ends: ``drain`` reads what the client still sends.
    :param drip: Seconds between pieces of the body.
    :param at_once: Bytes of each of these.
    :param endless: The body is repeated until the client leaves.
    :param read: How much of the request's body is read before the answer; None for all.
    :param meanwhile: After how many bytes of the upload's or the answer's body the trial's mishap happens.
    """

    status: int | None = None
    body: bytes | str | None = None
    file: bytes = FILE
    etag: str | None = TAG
    ranges: bool = True
    if_range: bool = True
    headers: Mapping[str, str | None] = field(default_factory=dict)
    framing: Literal["length", "chunked", "endless-chunked", "none"] = "length"
    head: int | None = None
    sent: int | None = None
    then: Literal["close", "reset", "silence", "drain"] = "close"
    drip: float = 0.0
    at_once: int = SEND_AT_ONCE
    endless: bool = False
    read: int | None = None
    meanwhile: int | None = None


HANG_UP = Reply(head=0)


@dataclass
class Request:
    """A request as it arrived."""

    line: str
    headers: dict[str, str]
    raw_head: bytes
    body: bytearray = field(default_factory=bytearray)

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


class Server:
    """
    Gives the replies of a script one after the other, and hangs up when there are no more.

    :param script: The replies.
    :param words: What stands for the names in braces; read when a reply goes out.
    :param mishap: What ``Reply.meanwhile`` brings about.
    :param tls: Serves https if given.
    :param small: Keeps the receive buffer small, so that a client cannot run far ahead.
    """

    def __init__(
        self,
        script: Sequence[Reply] = (),
        words: Mapping[str, str] | None = None,
        *,
        mishap: Callable[[], None] | None = None,
        tls: ssl.SSLContext | None = None,
        small: bool = False,
    ) -> None:
        self.script = list(script)
        self.words = words if words is not None else {}
        self.mishap = mishap
        self.tls = tls
        self.requests: list[Request] = []
        self.arrived = threading.Semaphore(0)
        # Bytes of endless bodies, those that nobody has read from the kernel yet among them.
        self.sent = 0
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
        """End everything; a closed server refuses connections."""
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
            if self.tls:
                connection = stack.enter_context(self.tls.wrap_socket(connection, server_side=True))
            request, rest = _read_head(connection)
            if request is None:
                return
            with self._lock:
                self.requests.append(request)
                reply = self.script.pop(0) if self.script else HANG_UP
            self.arrived.release()
            self._read_body(connection, request, rest, reply)
            self._answer(connection, request, reply)

    def _read_body(self, connection: socket.socket, request: Request, rest: bytes, reply: Reply) -> None:
        length = int(request.headers.get("content-length", "0"))
        wanted = length if reply.read is None else min(length, reply.read)
        request.body += rest
        due = reply.meanwhile if length else None
        while len(request.body) < wanted:
            if due is not None and len(request.body) >= due:
                self._happen()
                due = None
            piece = connection.recv(65536)
            if not piece:
                return
            request.body += piece

    def _happen(self) -> None:
        if self.mishap:
            self.mishap()

    def _answer(self, connection: socket.socket, request: Request, reply: Reply) -> None:
        head, body = self._compose(request, reply)
        if reply.head is not None:
            connection.sendall(head[: reply.head])
        else:
            connection.sendall(head)
            self._send_body(connection, body, reply, wait=not request.body)
        if reply.then == "silence":
            self._over.wait(20)
        elif reply.then == "reset":
            _wait_until_received(connection)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if isinstance(connection, ssl.SSLSocket):
                # Without TLS's own goodbye.
                connection = socket.socket(fileno=connection.detach())
            connection.close()
        elif reply.then == "drain":
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    def _send_body(self, connection: socket.socket, body: bytes, reply: Reply, *, wait: bool) -> None:
        body = body[: reply.sent]
        if wait and reply.meanwhile is not None:
            connection.sendall(body[: reply.meanwhile])
            time.sleep(UNTIL_READ)
            self._happen()
            body = body[reply.meanwhile :]
        while reply.endless and not self._over.is_set():
            connection.sendall(body)
            self.sent += len(body)
        size = reply.at_once if reply.drip else len(body) or 1
        for start in range(0, len(body), size):
            connection.sendall(body[start : start + size])
            time.sleep(reply.drip)

    def _compose(self, request: Request, reply: Reply) -> tuple[bytes, bytes]:
        headers: dict[str, str | None] = {"Connection": "close"}
        status = reply.status or 200
        if reply.body is None:
            body = reply.file
            headers["ETag"] = reply.etag
            start = self._start_of(request, reply)
            if start is not None and start >= len(reply.file):
                status, body = reply.status or 416, b""
            elif start is not None:
                status, body = reply.status or 206, reply.file[start:]
                total = len(reply.file)
                headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        else:
            body = self._fill(reply.body).encode() if isinstance(reply.body, str) else reply.body
        if reply.framing == "length":
            headers["Content-Length"] = str(len(body))
        elif "chunked" in reply.framing:
            headers["Transfer-Encoding"] = "chunked"
            body = b"".join(_chunks(body)) + (b"0\r\n\r\n" if reply.framing == "chunked" else b"")
        headers |= reply.headers
        lines = [f"{name}: {self._fill(value)}\r\n" for name, value in headers.items() if value is not None]
        return f"HTTP/1.1 {status} As told\r\n{''.join(lines)}\r\n".encode("latin-1"), body

    def _start_of(self, request: Request, reply: Reply) -> int | None:
        if not reply.ranges:
            return None
        asked = re.fullmatch(r"bytes=(\d+)-", request.range or "")
        same = not reply.if_range or request.headers.get("if-range") == reply.etag
        return int(asked[1]) if asked and same else None

    def _fill(self, text: str) -> str:
        for name, value in self.words.items():
            text = text.replace(f"{{{name}}}", value)
        return text


def _wait_until_received(connection: socket.socket) -> None:
    """Wait until the other side's kernel has it all: a reset throws away what is still on its way."""
    deadline = time.monotonic() + 5
    waiting = b"\1"
    while any(waiting) and time.monotonic() < deadline:
        time.sleep(0.001)
        waiting = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
    time.sleep(UNTIL_READ)


def _read_head(connection: socket.socket) -> tuple[Request | None, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None, b""
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)
    }
    return Request(line, headers, head), rest


def _chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), SEND_AT_ONCE):
        piece = body[start : start + SEND_AT_ONCE]
        yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


def envelope(data: Any = None, code: int = 200, msg: str = "success") -> str:
    """
    Write an answer of kie.ai's API.

    :param data: The promised data.
    :param code: Code in the body.
    :param msg: Message.
    :return: JSON.
    """
    return json.dumps({"code": code, "msg": msg, "data": data})


def signs(**how: Any) -> Reply:
    """
    Sign a link, as the API host does.

    :param how: Otherwise than usual.
    :return: The reply.
    """
    return Reply(**{"body": envelope("{link}"), **how})


def stored(**how: Any) -> Reply:
    """
    Take an upload, as the upload host does.

    :param how: Otherwise than usual: fields of the reply, or of the answer's ``data``.
    :return: The reply.
    """
    data: dict[str, Any] = {
        "success": True,
        "fileName": "a.bin",
        "filePath": "kieai/1000001/faults/a.bin",
        "downloadUrl": "{files}/kieai/1000001/faults/a.bin",
        "fileSize": "{size}",
        "mimeType": "application/octet-stream",
        "uploadedAt": "2026-04-16T07:19:10.400Z",
    }
    data |= {name: how.pop(name) for name in list(how) if name in data}
    return Reply(body=envelope(data).replace('"{size}"', "{size}"), **how)
