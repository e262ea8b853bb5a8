"""Large bodies come off the socket; whatever is wrong with them is found as with small ones."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import KieConnectionError, KieError
from airflow_provider_kie.client.http import connections, responses, sockets
from airflow_provider_kie.client.settings import KieSettings
from airflow_provider_kie.client.transfer.download import Received, download
from tests.fake_host import SILENCE, UNTIL_READ, Answer, FakeHost, Part, Request, drip, http, reset

CONTENT = os.urandom(9_000_000)
WHOLE = http(CONTENT, ETag='"v1"')
HEAD = len(WHOLE) - len(CONTENT)
FIRST = HEAD + 50


def cut_at(size: int, *endings: Part) -> Sequence[Part]:
    return (WHOLE[: HEAD + size], *endings)


def rest(request: Request) -> bytes:
    start = int((request.range or "").strip("bytes=-"))
    span = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
    return http(CONTENT[start:], "206 Partial Content", ETag='"v1"', Content_Range=span)


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


def fetch(host: FakeHost, target: Path, **settings: Any) -> Received:
    settings = {"timeout": 5, "max_retries": 2} | settings
    with KieClient(KieSettings("a-key", **settings)) as opened, target.open("w+b") as sink:
        return download(opened, f"{host.url}/a.bin", sink, signed=False)


@pytest.mark.parametrize(
    "answer", [WHOLE, [*drip(WHOLE[:FIRST], 0), WHOLE[FIRST:]]], ids=["whole", "in-one-byte-pieces-at-first"]
)
def test_a_large_body_comes_off_the_socket(
    answer: Answer, tls: ssl.SSLContext | None, used: list[int], tmp_path: Path
) -> None:
    with FakeHost([answer], tls=tls) as host:
        received = fetch(host, tmp_path / "a.bin")
    assert used == [len(CONTENT)]
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert received.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert received.verified


@pytest.mark.parametrize(
    "broken", [cut_at(8_999_999), cut_at(100), cut_at(5_000_000, reset), cut_at(3_000_000, SILENCE)]
)
def test_a_large_body_that_breaks_off_is_continued(
    broken: Answer, tls: ssl.SSLContext | None, used: list[int], tmp_path: Path
) -> None:
    with FakeHost([broken, rest], tls=tls) as host:
        received = fetch(host, tmp_path / "a.bin", timeout=0.5)
    assert used[0] == len(CONTENT)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert received.sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_a_large_body_that_never_comes_whole_is_an_error(tls: ssl.SSLContext | None, tmp_path: Path) -> None:
    with (
        FakeHost([cut_at(100), cut_at(50), cut_at(0)], tls=tls) as host,
        pytest.raises(KieError) as caught,
    ):
        fetch(host, tmp_path / "a.bin", max_retries=2)
    assert isinstance(caught.value, KieConnectionError)


def test_a_connection_that_was_read_off_the_socket_is_not_used_again(tmp_path: Path) -> None:
    with (
        FakeHost([WHOLE, WHOLE]) as host,
        KieClient(KieSettings("a-key")) as opened,
        (tmp_path / "a.bin").open("w+b") as sink,
    ):
        for _ in range(2):
            sink.seek(0)
            sink.truncate()
            download(opened, f"{host.url}/a.bin", sink, signed=False)
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


def test_silence_after_a_few_bytes_is_waited_for_once(
    tls: ssl.SSLContext | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[OSError | None] = []
    real = sockets.fill

    def noting(*args: Any) -> tuple[int, OSError | None]:
        outcome = real(*args)
        waits.append(outcome[1])
        return outcome

    monkeypatch.setattr(responses, "fill", noting)
    monkeypatch.setattr(connections, "fill", noting)
    with (
        FakeHost([[WHOLE[:HEAD], UNTIL_READ, WHOLE[HEAD : HEAD + 20_000], SILENCE]], tls=tls) as host,
        KieClient(KieSettings("a-key", timeout=0.5)) as client,
        client.open_file(f"{host.url}/a.bin") as response,
        pytest.raises(KieConnectionError),
    ):
        list(response.pieces(len(CONTENT)))
    assert len([error for error in waits if error]) == 1
