"""A file is received whole, with its size and hash, or not at all."""

from __future__ import annotations

import gzip
import hashlib
import io
import tracemalloc
import zlib
from pathlib import Path

import pytest

from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import (
    KieConnectionError,
    KieError,
    KieNotFoundError,
    KieRateLimitError,
    KieTransferError,
    KieUnavailableError,
)
from airflow_provider_kie.client.settings import KieSettings
from airflow_provider_kie.client.transfer.download import (
    Expected,
    download,
)
from airflow_provider_kie.simulator import KieSimulator
from tests.fake_host import chunked, http
from tests.unit.client.transfer.downloads import (
    CONTENT,
    HALF,
    OTHER,
    SHA256,
    FileHost,
    cut,
    failure,
    fetch,
    received_of,
    rest,
    whole,
)


def test_a_file_is_received_whole_with_size_hash_and_type() -> None:
    with FileHost(whole(Content_Type="image/png; charset=binary")) as host:
        assert fetch(host) == received_of(CONTENT, "image/png")
        assert host.requests[0].headers.get("accept-encoding") == "identity"
        assert host.requests[0].headers.get("range") is None
        assert host.requests[0].headers.get("authorization") is None


@pytest.mark.parametrize("content_type", [None, "", " ; charset=x"])
def test_a_type_that_was_not_said_is_none(content_type: str | None) -> None:
    with FileHost(whole(Content_Type=content_type)) as host:
        assert fetch(host)[1].mime_type is None


def test_an_empty_file_is_a_file() -> None:
    with FileHost(whole(b"")) as host:
        assert fetch(host) == received_of(b"")


def test_a_file_without_announced_length_is_taken_as_it_comes() -> None:
    with FileHost(whole(Content_Length=None)) as host:
        content, received = fetch(host)
    assert content == CONTENT
    assert received.verified is False


@pytest.mark.parametrize(
    "lengths",
    [
        ("5", "7"),
        (str(len(CONTENT)), "7"),
        ("-1",),
        (f"+{len(CONTENT)}",),
        ("0x400",),
        (f"{len(CONTENT)}, 7",),
        ("9" * 19,),
        ("9" * 30,),
    ],
)
def test_a_length_that_is_none_is_an_error_and_never_the_file(lengths: tuple[str, ...]) -> None:
    head = "".join(f"Content-Length: {length}\r\n" for length in lengths)
    answer = f"HTTP/1.1 200 OK\r\n{head}Connection: close\r\n\r\n".encode() + CONTENT
    with FileHost(*[answer] * 9) as host:
        sink = io.BytesIO()
        assert failure(host, sink=sink, max_retries=1).transient
        assert len(sink.getvalue()) <= len(CONTENT)
        assert len(host.requests) <= 4


def test_a_length_that_is_told_twice_is_the_length() -> None:
    head = f"Content-Length: {len(CONTENT)}\r\n" * 2
    with FileHost(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + CONTENT + b"and more") as host:
        assert fetch(host) == received_of(CONTENT)


def test_a_chunked_file_is_received() -> None:
    body = chunked(CONTENT, size=HALF)
    with FileHost(http(body, Content_Length=None, Transfer_Encoding="chunked")) as host:
        assert fetch(host) == received_of(CONTENT)


def test_a_host_that_cannot_be_reached_is_a_connection_error() -> None:
    with FileHost() as host:
        pass
    error = failure(host, max_retries=1)
    assert isinstance(error, KieConnectionError)
    assert error.never_sent


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "GZIP"])
def test_a_compressed_answer_is_unpacked(encoding: str) -> None:
    packed = gzip.compress(CONTENT) if encoding.lower() == "gzip" else zlib.compress(CONTENT)
    with FileHost(whole(packed, Content_Encoding=encoding)) as host:
        assert fetch(host) == received_of(CONTENT)


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_identity_is_no_compression(encoding: str) -> None:
    with FileHost(cut(Content_Encoding=encoding), rest(Content_Encoding=encoding)) as host:
        assert fetch(host) == received_of(CONTENT)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br"])
def test_an_encoding_that_cannot_be_unpacked_is_an_error_instead_of_other_bytes(encoding: str) -> None:
    with FileHost(*[whole(b"packed bytes", Content_Encoding=encoding)] * 2) as host:
        failure(host, max_retries=1)


def test_broken_compression_is_a_kie_error() -> None:
    with FileHost(*[whole(b"no gzip", Content_Encoding="gzip")] * 2) as host:
        failure(host, max_retries=1)


@pytest.mark.parametrize(
    ("status", "kind", "transient"),
    [
        ("404 Not Found", KieNotFoundError, False),
        ("410 Gone", KieNotFoundError, False),
        ("403 Forbidden", KieTransferError, False),
        ("400 Bad Request", KieTransferError, False),
        ("401 Unauthorized", KieTransferError, False),
        ("304 Not Modified", KieTransferError, False),
        ("204 No Content", KieTransferError, False),
        ("429 Too Many Requests", KieRateLimitError, True),
        ("500 Internal Server Error", KieUnavailableError, True),
        ("503 Service Unavailable", KieUnavailableError, True),
    ],
)
def test_a_refusal_of_the_file_host_is_an_error(status: str, kind: type[KieError], transient: bool) -> None:
    length = None if status[:3] in ("204", "304") else "0"
    with FileHost(*[http(b"", status, Content_Length=length, Retry_After="3")] * 2) as host:
        error = failure(host, max_retries=0)
        assert (type(error), error.code, error.transient) == (kind, int(status[:3]), transient)
        assert error.retry_after == (3 if transient else None)
        assert f"HTTP {status[:3]}" in str(error)


def test_what_passes_is_got_over() -> None:
    failing = http(b"<html>", "503 Service Unavailable")
    with FileHost(failing, cut(), failing, rest()) as host:
        assert fetch(host) == received_of(CONTENT)


def test_a_page_of_an_error_is_never_taken_for_the_file() -> None:
    with FileHost(http(b"<html>not here</html>", "404 Not Found")) as host:
        sink = io.BytesIO()
        failure(host, sink=sink)
        assert sink.getvalue() == b""


@pytest.mark.parametrize("name", ["movie.mp4", "a.png", "data.json", "a.zip", "text.txt", "A%20B.MP4"])
@pytest.mark.parametrize("mime_type", ["text/html", "Text/HTML; charset=utf-8", "application/xhtml+xml"])
def test_a_page_is_not_stored_as_media_or_data(name: str, mime_type: str) -> None:
    page = whole(b"<html>Sorry</html>", Content_Type=mime_type)
    with FileHost(page, whole(), *[page] * 9) as host:
        assert fetch(host, name=name) == received_of(CONTENT)
        sink = io.BytesIO()
        error = failure(host, name=name, sink=sink, max_retries=2)
        assert (type(error), error.transient) == (KieTransferError, True)
        assert "a page (" in str(error)
        assert sink.getvalue() == b""
        assert len(host.requests) == 5


@pytest.mark.parametrize("name", ["a.html", "a.htm", "a", "", "a.unheardof", "v1.2"])
def test_what_may_be_a_page_is_stored(name: str) -> None:
    with FileHost(whole(Content_Type="text/html")) as host:
        assert fetch(host, name=name) == received_of(CONTENT, "text/html")


@pytest.mark.parametrize(
    "answer",
    [
        http(b"", "404 Not Found"),
        http(b"", "410 Gone"),
        http(b"", "403 Forbidden"),
        http(b"", "500 Internal Server Error"),
        http(b"", "302 Found", Location="http://[::1/?s3cret"),
        cut(),
        b"",
        rest(),
        whole(b"no gzip", Content_Encoding="gzip"),
        whole(Content_Encoding="br"),
        whole(b"<html>", Content_Type="text/html"),
        whole(OTHER),
    ],
)
def test_an_error_names_the_file(answer: bytes) -> None:
    with FileHost(answer, answer) as host:
        error = failure(host, max_retries=1, expected=Expected(sha256=SHA256))
        assert str(error).startswith(f"{host.url}/a.png: ")
        assert "s3cret" not in str(error)


def test_retries_are_at_most_as_many_as_configured_and_logged() -> None:
    for max_retries in (0, 1, 3):
        with FileHost(*[http(b"", "503 Service Unavailable")] * 9) as host:
            failure(host, max_retries=max_retries)
            assert len(host.requests) == max_retries + 1


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    size = 48 * 1024 * 1024
    body = bytes(size)
    with (
        FileHost(whole(body)) as host,
        (tmp_path / "a.bin").open("w+b") as sink,
        KieClient(KieSettings("a-key", timeout=5.0)) as client,
    ):
        tracemalloc.start()
        try:
            received = download(client, host.url, sink, signed=False)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert received.size == size
    assert peak < 4 * 1024 * 1024


def test_the_simulated_kie_ai_gives_the_same_bytes(kie_simulator: KieSimulator) -> None:
    url = kie_simulator.add_generated_file("a.png", CONTENT * 100)
    kie_simulator.fail_next("file", drop_after=50_000)
    settings = KieSettings(kie_simulator.api_key, kie_simulator.api_url, kie_simulator.upload_url)
    sink = io.BytesIO()
    with KieClient(settings) as client:
        received = download(client, url, sink, signed=True)
    assert sink.getvalue() == CONTENT * 100
    assert received.sha256 == hashlib.sha256(CONTENT * 100).hexdigest()
