"""
An upload host that only counts: reads a multipart body, throws it away, and answers as kie.ai does.

It does as little as it can, so that the clients are what is measured.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from benchmarks.tls import Stream

HEAD_LIMIT = 64 * 1024
TAIL_BYTES = 4 * 1024
BUFFER_BYTES = 256 * 1024

Wait = Callable[[int], None]


class BadRequestError(Exception):
    """The request is none that the sink understands."""


def answer_of(size: int) -> bytes:
    """
    Answer as kie.ai does, in the recorded shape.

    :param size: Bytes of the file that came.
    :return: The whole response.
    """
    data = {
        "success": True,
        "fileName": "bench.bin",
        "filePath": "kieai/1/bench/bench.bin",
        "downloadUrl": "https://127.0.0.1/kieai/1/bench/bench.bin",
        "fileSize": size,
        "mimeType": "application/octet-stream",
        "uploadedAt": "2026-01-01T00:00:00.000Z",
    }
    answer = {"success": True, "code": 200, "msg": "File uploaded successfully", "data": data}
    return response_of("200 OK", answer)


def response_of(status: str, answer: object) -> bytes:
    """
    Put a response together.

    :param status: Code and reason.
    :param answer: JSON body.
    :return: Head and body.
    """
    body = json.dumps(answer).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def read_head(stream: Stream) -> tuple[bytes, bytes]:
    """
    Read the head of a request.

    :param stream: Where it comes from.
    :return: The head, and what came of the body with it; both empty if the client is gone.
    :raises BadRequestError: It is far too long.
    """
    data = b""
    buffer = memoryview(bytearray(HEAD_LIMIT))
    while b"\r\n\r\n" not in data:
        if not (count := stream.recv_into(buffer)):
            return b"", b""
        data += buffer[:count]
        if len(data) > 2 * HEAD_LIMIT:
            raise BadRequestError("the head is too long")
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def receive(stream: Stream, head: bytes, rest: bytes, wait: Wait) -> None:
    """
    Read an upload to its end, and answer it.

    :param stream: Where it comes from.
    :param head: As of ``read_head``.
    :param rest: As of ``read_head``.
    :param wait: Called with the number of bytes of each read.
    :raises BadRequestError: It is no upload, or not a whole one.
    """
    length = _header(rb"content-length", rb"(\d+)", head)
    boundary = _header(rb"content-type", rb'multipart/form-data;.*boundary="?([^";\r\n]+)', head)
    if re.search(rb"(?im)^expect: *100-continue", head):
        stream.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    stream.sendall(answer_of(_read_body(stream, rest, int(length), boundary, wait)))


def _header(name: bytes, value: bytes, head: bytes) -> bytes:
    found = re.search(rb"(?im)^" + name + rb": *" + value, head)
    if not found:
        raise BadRequestError(f"no usable {name.decode()}")
    return found[1]


def _read_body(stream: Stream, start: bytes, length: int, boundary: bytes, wait: Wait) -> int:
    """Read a body to its end; give the size of the file in it, which has to be its last part."""
    closing = b"\r\n--" + boundary + b"--"
    buffer = memoryview(bytearray(BUFFER_BYTES))
    # Of the body, its beginning and its end.
    kept = bytearray(start)
    left = length - len(start)
    while left > 0:
        # The last bytes come by themselves, so that nothing has to be kept of all the others.
        most = left - TAIL_BYTES if left > TAIL_BYTES else left
        count = stream.recv_into(buffer[: min(most, BUFFER_BYTES)]) or _gone()
        if left <= TAIL_BYTES or len(kept) < HEAD_LIMIT:
            kept += buffer[:count]
        left -= count
        wait(count)
    part = re.search(rb'(?is)content-disposition:[^\r]*filename="?.*?\r\n\r\n', kept)
    end = kept.rfind(closing)
    if not part or end < 0:
        raise BadRequestError("no file, or no end of it")
    return length - part.end() - (len(kept) - end)


def _gone() -> int:
    raise BadRequestError("the body ends too early")
