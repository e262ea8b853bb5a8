"""kie.ai's hosts and its files' when they misbehave: what they answer, told by what is wrong with it."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.fake_host import SILENCE, UNTIL_READ, Answer, FakeHost, Part, Request, chunked, drain, drip, reset

FILE = random.Random(1).randbytes(200_000)
OTHER = random.Random(2).randbytes(200_000)
LONGER = random.Random(3).randbytes(260_000)
BIG = random.Random(4).randbytes(12_000_000)
HALF = len(FILE) // 2
TAG = '"v1"'
SEND_AT_ONCE = 16 * 1024
ENDINGS: Mapping[str, Sequence[Part]] = {
    "close": (),
    "silence": (SILENCE,),
    "reset": (reset,),
    "drain": (drain,),
}


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


class Server(FakeHost):
    """
    A host that understands replies.

    :param script: Replies, or answers as any host gives them.
    :param words: What stands for the names in braces; read when a reply goes out.
    :param mishap: What ``Reply.meanwhile`` brings about.
    :param options: Of the host.
    """

    def __init__(
        self,
        script: Sequence[Reply | Answer] = (),
        words: Mapping[str, str] | None = None,
        *,
        mishap: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> None:
        self._words = words if words is not None else {}
        self._mishap = mishap
        super().__init__(script, **options)

    def parts(self, request: Request, answer: Any) -> Iterable[Part]:
        return self._play(request, answer) if isinstance(answer, Reply) else super().parts(request, answer)

    def _play(self, request: Request, reply: Reply) -> Iterator[Part]:
        uploading = request.missing + len(request.body) > 0
        if uploading and reply.meanwhile is not None and (reply.read is None or reply.read > reply.meanwhile):
            request.receive(reply.meanwhile)
            self._mishap()
        request.receive(reply.read)
        head, body = self._compose(request, reply)
        yield head[: reply.head]
        if reply.head is None:
            yield from self._body(body[: reply.sent], reply, None if uploading else reply.meanwhile)
        yield from ENDINGS[reply.then]

    def _body(self, body: bytes, reply: Reply, meanwhile: int | None) -> Iterator[Part]:
        if meanwhile is not None:
            yield body[:meanwhile]
            yield UNTIL_READ
            self._mishap()
            body = body[meanwhile:]
        while reply.endless:
            yield body
        yield from drip(body, reply.drip, size=reply.at_once) if reply.drip else (body,)

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
            body = chunked(body, end=reply.framing == "chunked")
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
        for name, value in self._words.items():
            text = text.replace(f"{{{name}}}", value)
        return text


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
