"""A file's body is read many TLS records at once, and nothing that belongs to others with it."""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import h11
import pytest

from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import KieCancelledError, KieConnectionError
from airflow_provider_kie.client.http.connections import PARSER_PIECE
from airflow_provider_kie.client.http.responses import FileResponse
from airflow_provider_kie.client.settings import KieSettings
from tests.fake_host import SILENCE, UNTIL_READ, FakeHost, Part, chunked, http, reset

CONTENT = os.urandom(9 * PARSER_PIECE + 10_000)
SIZES = (1, 20_000, PARSER_PIECE - 1, PARSER_PIECE, PARSER_PIECE + 1, 2 * PARSER_PIECE, len(CONTENT))
STRAY = http(b"stray", Connection=None)


def whole(size: int) -> bytes:
    return http(CONTENT[:size], Connection=None)


def fetch(client: KieClient, host: FakeHost) -> bytes:
    with client.open_file(f"{host.url}/a.bin") as response:
        length = response.headers.get("content-length")
        return b"".join(bytes(piece) for piece in response.pieces(int(length) if length else None))


@contextmanager
def serving(script: Sequence[Any], tls: ssl.SSLContext | None) -> Iterator[tuple[FakeHost, KieClient]]:
    """Run a host that keeps its connections, and a client, which lets go of them first."""
    with FakeHost(script, tls=tls, keep=True) as host, KieClient(KieSettings("a-key", timeout=2)) as client:
        yield host, client


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of what the HTTP parser is given; our own, which looks for ends, is given heads only."""
    sizes: list[int] = []
    real = h11.Connection.receive_data

    def noting(self: h11.Connection, data: bytes) -> None:
        sizes.append(len(data))
        real(self, data)

    monkeypatch.setattr(h11.Connection, "receive_data", noting)
    return sizes


@pytest.mark.parametrize("size", SIZES)
def test_files_of_any_size_come_whole_over_one_connection(size: int, tls: ssl.SSLContext | None) -> None:
    with serving([whole(size)] * 3, tls) as (host, client):
        assert [fetch(client, host) for _ in range(3)] == [CONTENT[:size]] * 3
        assert host.connections == 1


def test_the_parser_gets_large_pieces(tls: ssl.SSLContext | None, parsed: list[int]) -> None:
    with serving([whole(len(CONTENT))], tls) as (host, client):
        assert fetch(client, host) == CONTENT
    # What came with the head, and the rest.
    assert len(parsed) <= 2 + len(CONTENT) / PARSER_PIECE
    assert max(parsed[1:]) <= PARSER_PIECE + 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stray", [STRAY, b"\n", STRAY[:30]], ids=["answer", "a-byte", "head"])
def test_what_follows_a_file_is_not_the_next_one(stray: bytes, size: int, tls: ssl.SSLContext | None) -> None:
    """In the same TLS record, where nobody sees it once the file's own bytes have been read."""
    file = whole(size)
    head = len(file) - size
    for parts in ([file + stray], [file[:head], UNTIL_READ, file[head:] + stray]):
        with serving([parts, file], tls) as (host, client):
            assert fetch(client, host) == CONTENT[:size]
            # What is not there yet cannot be told from the next answer.
            while host.sent < len(file + stray):
                time.sleep(0.001)
            time.sleep(UNTIL_READ)
            assert fetch(client, host) == CONTENT[:size]
            assert host.connections == 2


@pytest.mark.parametrize("tail", [(), (reset,), (SILENCE,)], ids=["closed", "reset", "silent"])
@pytest.mark.parametrize("size", [0, 1000, PARSER_PIECE + 5])
def test_what_came_before_a_cut_is_given_and_then_the_error(
    size: int, tail: Sequence[Part], tls: ssl.SSLContext | None
) -> None:
    file = whole(len(CONTENT))
    head = len(file) - len(CONTENT)
    got = bytearray()

    def read(response: FileResponse) -> None:
        for piece in response.pieces(len(CONTENT)):
            got.extend(piece)

    with (
        FakeHost([[file[: head + size], *tail]], tls=tls) as host,
        KieClient(KieSettings("a-key", timeout=0.5)) as client,
        client.open_file(f"{host.url}/a.bin") as response,
        pytest.raises(KieConnectionError),
    ):
        read(response)
    assert got == CONTENT[:size]


def test_chunks_and_bodies_of_unknown_length_come_as_they_are(tls: ssl.SSLContext | None) -> None:
    framed = http(Transfer_Encoding="chunked", Content_Length=None, Connection=None) + chunked(CONTENT)
    endless = http(Content_Length=None) + CONTENT
    for answer in (framed, endless):
        with FakeHost([answer], tls=tls) as host, KieClient(KieSettings("a-key", timeout=2)) as client:
            assert fetch(client, host) == CONTENT


def test_a_stop_ends_a_read_of_a_large_piece(tls: ssl.SSLContext | None) -> None:
    file, is_over = whole(len(CONTENT)), threading.Event()
    parts = [file[:1000], UNTIL_READ, file[1000:50_000], lambda _: is_over.wait()]
    with (
        FakeHost([parts], tls=tls) as host,
        KieClient(KieSettings("a-key", timeout=SILENCE)) as client,
    ):
        threading.Timer(0.2, client.stop).start()
        try:
            # Were the stop not heard, silence would be the error.
            with pytest.raises(KieCancelledError) as caught:
                fetch(client, host)
        finally:
            is_over.set()
    assert "in time" not in str(caught.value.__cause__)
