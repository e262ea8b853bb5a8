"""
An upload host that only counts: reads a multipart body, throws it away, and answers as kie.ai does.

It is a process of its own and does as little as it can, so that the clients are what is measured. TLS is its
own too: a proxy in front would copy every byte once more, on the core that the client needs. It runs until
its standard input is closed, by the benchmark or by its end.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import sys
import threading
from contextlib import suppress

HEAD_LIMIT = 64 * 1024
TAIL_BYTES = 4 * 1024
BUFFER_BYTES = 256 * 1024


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


def serve(listener: socket.socket, tls: ssl.SSLContext | None) -> None:
    """
    Take connections for ever, each in a thread.

    :param listener: Listening socket.
    :param tls: How to speak TLS; None for plain HTTP.
    """
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_converse, args=(connection, tls), daemon=True).start()


def _converse(connection: socket.socket, tls: ssl.SSLContext | None) -> None:
    with suppress(OSError), connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = tls.wrap_socket(connection, server_side=True) if tls else connection
        with stream:
            try:
                while _answer_one(stream):
                    pass
            except BadRequestError as error:
                answer = {"success": False, "code": 400, "msg": str(error)}
                stream.sendall(response_of("400 Bad Request", answer))


def _answer_one(stream: socket.socket) -> bool:
    head, rest = _read_head(stream)
    if not head:
        return False
    length = _header(rb"content-length", rb"(\d+)", head)
    boundary = _header(rb"content-type", rb'multipart/form-data;.*boundary="?([^";\r\n]+)', head)
    if re.search(rb"(?im)^expect: *100-continue", head):
        stream.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    stream.sendall(answer_of(_read_body(stream, rest, int(length), boundary)))
    return True


def _header(name: bytes, value: bytes, head: bytes) -> bytes:
    found = re.search(rb"(?im)^" + name + rb": *" + value, head)
    if not found:
        raise BadRequestError(f"no usable {name.decode()}")
    return found[1]


def _read_head(stream: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (chunk := stream.recv(HEAD_LIMIT)):
            return b"", b""
        data += chunk
        if len(data) > 2 * HEAD_LIMIT:
            raise BadRequestError("the head is too long")
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _read_body(stream: socket.socket, start: bytes, length: int, boundary: bytes) -> int:
    """Read a body to its end; give the size of the file in it, which has to be its last part."""
    closing = b"\r\n--" + boundary + b"--"
    buffer = memoryview(bytearray(BUFFER_BYTES))
    # Of the body, its beginning and its end.
    kept = bytearray(start)
    left = length - len(start)
    while left > 0:
        # The last bytes come by themselves, so that nothing has to be kept of all the others.
        most = left - TAIL_BYTES if left > TAIL_BYTES else left
        count = stream.recv_into(buffer, min(most, BUFFER_BYTES)) or _gone()
        if left <= TAIL_BYTES or len(kept) < HEAD_LIMIT:
            kept += buffer[:count]
        left -= count
    part = re.search(rb'(?is)content-disposition:[^\r]*filename="?.*?\r\n\r\n', kept)
    end = kept.rfind(closing)
    if not part or end < 0:
        raise BadRequestError("no file, or no end of it")
    return length - part.end() - (len(kept) - end)


def _gone() -> int:
    raise BadRequestError("the body ends too early")


def main(certificate: str, key: str) -> None:
    """
    Serve http and https, and say on which ports.

    :param certificate: PEM file.
    :param key: PEM file.
    """
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    tls.load_cert_chain(certificate, key)
    ports = {}
    for scheme, context in (("http", None), ("https", tls)):
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        ports[scheme] = listener.getsockname()[1]
        threading.Thread(target=serve, args=(listener, context), daemon=True).start()
    print(json.dumps(ports), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
