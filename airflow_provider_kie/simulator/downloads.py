"""Downloads: a whole file or one range of it, as object stores serve them."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from airflow_provider_kie.simulator.answers import file_error
from airflow_provider_kie.simulator.files import StoredFile

# Each piece is a round trip to a thread: with smaller ones that costs more than the bytes.
_PIECE = 1024 * 1024
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)


def wanted_range(header: str, size: int) -> range | None:
    """
    Read a ``Range`` header as RFC 9110 does.

    :param header: its value.
    :param size: the file's length in bytes.
    :return: the bytes to serve, an empty range when the file has none of them; None when the header is to be
        ignored: it is invalid, or asks for several ranges, which a server may ignore and S3 does.
    """
    match = _RANGE.fullmatch(header)
    first, last = match.groups() if match else ("", "")
    if first:
        if last and int(last) < int(first):
            return None
        return range(int(first), min(int(last) + 1, size) if last else size)
    # An answer cannot express the last bytes of an empty file.
    if not last or (int(last) and not size):
        return None
    return range(max(size - int(last), 0), size)


class Download(Response):
    """
    The answer to a download. The file is open while it is sent, so it may be replaced meanwhile.

    :param file: what to serve.
    """

    def __init__(self, file: StoredFile) -> None:
        super().__init__(media_type=file.mime_type)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            opened = self._file.disk.open("rb")
        except FileNotFoundError:
            await file_error(404)(scope, receive, send)
            return
        with opened:
            await self._answer(opened, scope["method"], Headers(scope=scope))(scope, receive, send)

    def _answer(self, opened: BinaryIO, method: str, asked: Headers) -> Response:
        stat = os.fstat(opened.fileno())
        size = stat.st_size
        # invented: how the ETag is made; two files of one path never share it.
        tag = f'"{self._file.disk.name}-{stat.st_mtime_ns:x}-{size:x}"'
        changed = formatdate(stat.st_mtime, usegmt=True)
        headers = {"accept-ranges": "bytes", "etag": tag, "last-modified": changed}
        part = None
        if method == "GET" and asked.get("if-range", tag) in (tag, changed):
            part = wanted_range(asked.get("range", ""), size)
        if part is not None and not part:
            answer = file_error(416)
            answer.headers["content-range"] = f"bytes */{size}"
            return answer
        served = range(size) if part is None else part
        headers["content-length"] = str(len(served))
        if part is not None:
            headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
        status = 200 if part is None else 206
        if method == "HEAD":
            return Response(None, status, headers, self._file.mime_type)
        return StreamingResponse(_pieces(opened, served), status, headers, self._file.mime_type)


async def _pieces(opened: BinaryIO, served: range) -> AsyncIterator[bytes]:
    opened.seek(served.start)
    left = len(served)
    while left and (piece := await run_in_threadpool(opened.read, min(_PIECE, left))):
        left -= len(piece)
        yield piece


def serve(file: StoredFile | None) -> Response:
    """
    Answer a download.

    :param file: the file, or None when there is none.
    :return: the answer.
    """
    return Download(file) if file else file_error(404)
