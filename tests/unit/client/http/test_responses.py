"""Large bodies come off the socket; whatever is wrong with them is found as with small ones."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import KieConnectionError, KieError
from airflow_provider_kie.client.http import responses, session
from airflow_provider_kie.client.settings import KieSettings
from airflow_provider_kie.client.transfer.download import Received, download

CONTENT = os.urandom(9_000_000)
HEAD = b'HTTP/1.1 %s\r\nContent-Length: %d\r\nETag: "v1"\r\n%s\r\n'
Answer = Callable[[socket.socket, bytes], None]


def whole(connection: socket.socket, request: bytes) -> None:
    connection.sendall(HEAD % (b"200 OK", len(CONTENT), b"") + CONTENT)


def in_one_byte_pieces_at_first(connection: socket.socket, request: bytes) -> None:
    head = HEAD % (b"200 OK", len(CONTENT), b"")
    for byte in head + CONTENT[:50]:
        connection.sendall(bytes([byte]))
    connection.sendall(CONTENT[50:])


def cut_at(size: int) -> Answer:
    def answer(connection: socket.socket, request: bytes) -> None:
        connection.sendall(HEAD % (b"200 OK", len(CONTENT), b"") + CONTENT[:size])

    return answer


def reset_at(size: int) -> Answer:
    def answer(connection: socket.socket, request: bytes) -> None:
        cut_at(size)(connection, request)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return answer


def silent_at(size: int) -> Answer:
    def answer(connection: socket.socket, request: bytes) -> None:
        cut_at(size)(connection, request)
        connection.recv(1)

    return answer


def rest(connection: socket.socket, request: bytes) -> None:
    start = int(request.partition(b"bytes=")[2].partition(b"-")[0])
    span = b"Content-Range: bytes %d-%d/%d\r\n" % (start, len(CONTENT) - 1, len(CONTENT))
    connection.sendall(HEAD % (b"206 Partial Content", len(CONTENT) - start, span) + CONTENT[start:])


@contextmanager
def serve(answers: list[Answer], certificate: Path | None = None) -> Iterator[str]:
    """Give each connection one of the answers and hang up."""
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

    def run() -> None:
        for answer in answers:
            connection, _ = listener.accept()
            connection = context.wrap_socket(connection, server_side=True) if context else connection
            with connection:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(65536)
                try:
                    answer(connection, request)
                except OSError:
                    continue

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"{'https' if certificate else 'http'}://localhost:{listener.getsockname()[1]}/a.bin"
        finally:
            thread.join(20)


@pytest.fixture(params=["http", "https"])
def tls(request: pytest.FixtureRequest, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Path | None:
    if request.param == "http":
        return None
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(session, "ssl_context", lambda: trusting)
    return certificate


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the bodies that came off the socket."""
    lengths: list[int] = []
    real = responses._from_socket

    def counting(*args: Any) -> Any:
        lengths.append(args[-1])
        return real(*args)

    monkeypatch.setattr(responses, "_from_socket", counting)
    return lengths


def fetch(url: str, target: Path, **settings: Any) -> Received:
    settings = {"timeout": 5, "max_retries": 2} | settings
    with KieClient(KieSettings("a-key", **settings)) as opened, target.open("w+b") as sink:
        return download(opened, url, sink, signed=False)


@pytest.mark.parametrize("answer", [whole, in_one_byte_pieces_at_first])
def test_a_large_body_comes_off_the_socket(
    answer: Answer, tls: Path | None, used: list[int], tmp_path: Path
) -> None:
    with serve([answer], tls) as url:
        received = fetch(url, tmp_path / "a.bin")
    assert used == [len(CONTENT)]
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert received.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert received.verified


@pytest.mark.parametrize(
    "broken", [cut_at(8_999_999), cut_at(100), reset_at(5_000_000), silent_at(3_000_000)]
)
def test_a_large_body_that_breaks_off_is_continued(
    broken: Answer, tls: Path | None, used: list[int], tmp_path: Path
) -> None:
    with serve([broken, rest], tls) as url:
        received = fetch(url, tmp_path / "a.bin", timeout=0.5)
    assert used[0] == len(CONTENT)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert received.sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_a_large_body_that_never_comes_whole_is_an_error(tls: Path | None, tmp_path: Path) -> None:
    with (
        serve([cut_at(100), cut_at(50), cut_at(0)], tls) as url,
        pytest.raises(KieError) as caught,
    ):
        fetch(url, tmp_path / "a.bin", max_retries=2)
    assert isinstance(caught.value, KieConnectionError)


def test_a_connection_that_was_read_off_the_socket_is_not_used_again(tmp_path: Path) -> None:
    with (
        serve([whole, whole]) as url,
        KieClient(KieSettings("a-key")) as opened,
        (tmp_path / "a.bin").open("w+b") as sink,
    ):
        for _ in range(2):
            sink.seek(0)
            sink.truncate()
            download(opened, url, sink, signed=False)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("length", [None, 100])
def test_small_bodies_and_those_of_unknown_length_are_left_to_httpx(
    length: int | None, used: list[int]
) -> None:
    response = httpx.Response(200, content=b"x" * 100)
    assert b"".join(responses.FileResponse(response, "any").pieces(length)) == b"x" * 100
    assert used == []


class Stream:
    """As much of httpx's network stream as is asked."""

    def __init__(self, **info: Any) -> None:
        self.info = info

    def get_extra_info(self, name: str) -> Any:
        return self.info.get(name)


def test_what_is_no_plain_socket_is_left_to_httpx(used: list[int]) -> None:
    request = httpx.Request("GET", "https://localhost/a.bin")
    with socket.socket() as plain:
        inside_tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
        for stream in (
            None,
            Stream(),
            Stream(socket=plain),
            Stream(socket=plain, ssl_object=inside_tls),
        ):
            extensions = {"network_stream": stream, "http_version": b"HTTP/1.1"} if stream else {}
            response = httpx.Response(200, content=b"x", request=request, extensions=extensions)
            assert responses._socket_of(response) is None
        for headers, version in (({"Transfer-Encoding": "chunked"}, b"HTTP/1.1"), ({}, b"HTTP/2")):
            extensions = {"network_stream": Stream(socket=plain), "http_version": version}
            response = httpx.Response(200, headers=headers, request=request, extensions=extensions)
            assert responses._socket_of(response) is None
