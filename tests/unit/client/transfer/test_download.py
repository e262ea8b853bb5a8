from __future__ import annotations

import errno
import gzip
import hashlib
import io
import json
import logging
import os
import secrets
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieConnectionError,
    KieError,
    KieNotFoundError,
    KieRateLimitError,
    KieTransferError,
    KieUnavailableError,
    KieValidationError,
)
from airflow_provider_kie.client.settings import KieSettings
from airflow_provider_kie.client.transfer.download import (
    NOTHING_EXPECTED,
    Expected,
    Received,
    Sign,
    download,
    needs_signing,
)
from airflow_provider_kie.simulator import KieSimulator

CONTENT = bytes(range(256)) * 4
OTHER = bytes(reversed(range(256))) * 4
HALF = len(CONTENT) // 2
SHA256 = hashlib.sha256(CONTENT).hexdigest()
TAG = '"v1"'
GENERATED = "https://tempfile.aiquickdraw.com/a.png"


@dataclass
class Host:
    """A server on loopback that gives its answers one after the other, each on a connection of its own."""

    url: str
    answers: list[bytes | None]
    requests: list[str] = field(default_factory=list)

    @property
    def link(self) -> str:
        return f"{self.url}/store/a.png?X-Amz-Signature=s3cret"

    def sign(self) -> bytes:
        return wire(json.dumps({"code": 200, "msg": "success", "data": self.link}).encode())

    def asked(self) -> list[str]:
        return [request.split(" ")[1].partition("?")[0] for request in self.requests]

    def ranges(self) -> list[str | None]:
        return [header(request, "range") for request in self.requests]


@contextmanager
def serve(*answers: bytes | None) -> Iterator[Host]:
    """Serve these answers, as they go over the wire; None is silence. Without more it hangs up."""
    with ExitStack() as silent, socket.create_server(("127.0.0.1", 0)) as listener:
        host = Host(f"http://127.0.0.1:{listener.getsockname()[1]}", list(answers))

        def run() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                host.requests.append(read_request(connection))
                answer = host.answers.pop(0) if host.answers else b""
                silent.enter_context(connection)
                if answer is not None:
                    connection.sendall(answer)
                    connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield host
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def read_request(connection: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (piece := connection.recv(65536)):
            return data.decode()
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(header(head.decode(), "content-length") or 0)
    while len(body) < length:
        body += connection.recv(65536)
    return (head + b"\r\n\r\n" + body).decode()


def header(request: str, name: str) -> str | None:
    for line in request.partition("\r\n\r\n")[0].split("\r\n")[1:]:
        if line.partition(":")[0].lower() == name:
            return line.partition(":")[2].strip()
    return None


def wire(body: bytes = b"", http: str = "200 OK", /, **headers: str | None) -> bytes:
    named: dict[str, str | None] = {"Content-Length": str(len(body)), "Connection": "close"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items() if value is not None)
    return f"HTTP/1.1 {http}\r\n{lines}\r\n".encode() + body


def cut(sent: int = HALF, content: bytes = CONTENT, **headers: str | None) -> bytes:
    """Announce a whole file and hang up in the middle."""
    return wire(content[:sent], **{"Content_Length": str(len(content)), "ETag": TAG, **headers})


def rest(start: int = HALF, content: bytes = CONTENT, **headers: str | None) -> bytes:
    """The rest of a file, as it was asked for."""
    named = {"Content_Range": f"bytes {start}-{len(content) - 1}/{len(content)}", "ETag": TAG, **headers}
    return wire(content[start:], "206 Partial Content", **named)


def whole(content: bytes = CONTENT, **headers: str | None) -> bytes:
    return wire(content, **{"ETag": TAG, **headers})


def fetch(
    host: Host,
    *,
    signed: bool = False,
    sink: BinaryIO | None = None,
    name: str = "a.png",
    expected: Expected = NOTHING_EXPECTED,
    **settings: Any,
) -> tuple[bytes, Received]:
    sink = io.BytesIO() if sink is None else sink
    options = {"api_key": "a-key", "base_url": host.url, "timeout": 5.0, **settings}
    url = GENERATED if signed else f"{host.url}/{name}?X-Amz-Signature=s3cret"
    with KieClient(KieSettings(**options)) as client:
        received = download(client, url, sink, signed=signed, expected=expected)
    sink.seek(0)
    return sink.read(), received


def received_of(content: bytes, mime_type: str | None = None) -> tuple[bytes, Received]:
    return content, Received(len(content), hashlib.sha256(content).hexdigest(), mime_type)


def failure(host: Host, **options: Any) -> KieError:
    with pytest.raises(KieError) as caught:
        fetch(host, **options)
    return caught.value


def test_a_file_is_received_whole_with_size_hash_and_type() -> None:
    with serve(whole(Content_Type="image/png; charset=binary")) as host:
        assert fetch(host) == received_of(CONTENT, "image/png")
        assert header(host.requests[0], "accept-encoding") == "identity"
        assert header(host.requests[0], "range") is None
        assert header(host.requests[0], "authorization") is None


@pytest.mark.parametrize("content_type", [None, "", " ; charset=x"])
def test_a_type_that_was_not_said_is_none(content_type: str | None) -> None:
    with serve(whole(Content_Type=content_type)) as host:
        assert fetch(host)[1].mime_type is None


def test_an_empty_file_is_a_file() -> None:
    with serve(whole(b"")) as host:
        assert fetch(host) == received_of(b"")


def test_a_file_without_announced_length_is_taken_as_it_comes() -> None:
    with serve(whole(Content_Length=None)) as host:
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
    with serve(*[answer] * 9) as host:
        sink = io.BytesIO()
        assert failure(host, sink=sink, max_retries=1).transient
        assert len(sink.getvalue()) <= len(CONTENT)
        assert len(host.requests) <= 4


def test_a_length_that_is_told_twice_is_the_length() -> None:
    head = f"Content-Length: {len(CONTENT)}\r\n" * 2
    with serve(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + CONTENT + b"and more") as host:
        assert fetch(host) == received_of(CONTENT)


def test_a_chunked_file_is_received() -> None:
    body = f"{HALF:x}\r\n".encode() + CONTENT[:HALF] + b"\r\n" + f"{HALF:x}\r\n".encode() + CONTENT[HALF:]
    with serve(wire(body + b"\r\n0\r\n\r\n", Content_Length=None, Transfer_Encoding="chunked")) as host:
        assert fetch(host) == received_of(CONTENT)


@pytest.mark.parametrize("sent", [1, HALF, len(CONTENT) - 1])
def test_a_cut_transfer_goes_on_where_it_stopped(sent: int) -> None:
    with serve(cut(sent), rest(sent)) as host:
        assert fetch(host) == received_of(CONTENT)
        assert host.ranges() == [None, f"bytes={sent}-"]
        assert header(host.requests[1], "if-range") == TAG


def test_a_transfer_that_is_cut_again_and_again_goes_on_each_time() -> None:
    second = rest(100, Content_Length=str(len(CONTENT) - 100))[: -(len(CONTENT) - 300)]
    with serve(cut(100), second, rest(300)) as host:
        assert fetch(host) == received_of(CONTENT)
        assert host.ranges() == [None, "bytes=100-", "bytes=300-"]


def test_a_chunked_transfer_that_is_cut_goes_on() -> None:
    body = f"{HALF:x}\r\n".encode() + CONTENT[:HALF] + b"\r\n"
    first = wire(body, Content_Length=None, Transfer_Encoding="chunked", ETag=TAG)
    with serve(first, rest()) as host:
        assert fetch(host) == received_of(CONTENT)
        assert host.ranges() == [None, f"bytes={HALF}-"]


def test_silence_in_the_middle_is_a_cut() -> None:
    with serve(None, whole()) as host:
        assert fetch(host, timeout=0.5) == received_of(CONTENT)


def test_a_cut_before_the_first_byte_begins_anew() -> None:
    with serve(b"", cut(0), whole()) as host:
        assert fetch(host) == received_of(CONTENT)
        assert host.ranges() == [None, None, None]


@pytest.mark.parametrize("etag", [None, 'W/"v1"', "", "v1"])
def test_without_a_strong_etag_a_cut_transfer_begins_anew(etag: str | None) -> None:
    with serve(cut(ETag=etag), whole()) as host:
        assert fetch(host) == received_of(CONTENT)
        assert host.ranges() == [None, None]


def test_a_host_that_ignores_the_range_is_read_from_the_start() -> None:
    with serve(cut(), whole()) as host:
        assert fetch(host) == received_of(CONTENT)


def test_a_file_that_changed_meanwhile_is_read_from_the_start() -> None:
    with serve(cut(), whole(OTHER + b"more", ETag='"v2"')) as host:
        assert fetch(host) == received_of(OTHER + b"more")


def test_a_file_that_shrank_meanwhile_leaves_nothing_of_its_old_self() -> None:
    with serve(cut(), whole(OTHER[:10], ETag='"v2"')) as host:
        assert fetch(host) == received_of(OTHER[:10])


@pytest.mark.parametrize(
    "other",
    [
        rest(content=OTHER, ETag='"v2"'),
        rest(content=OTHER + b"more"),
        rest(content=OTHER + b"more", ETag='"v2"'),
        rest(content=OTHER, ETag=None),
        rest(content=OTHER, ETag="v1"),
        rest(content=OTHER, ETag='"V1"'),
        rest(content=OTHER, ETag='W/"v1"'),
        rest(content=OTHER, ETag='"v1", "v2"'),
    ],
    ids=["other-tag", "other-length", "other-both", "no-tag", "unquoted", "other-case", "weak", "two-tags"],
)
def test_two_versions_of_a_file_are_never_joined(other: bytes) -> None:
    # A host, or a cache before it, that knows Range but not If-Range.
    with serve(cut(), other, whole(OTHER)) as host:
        assert fetch(host)[0] == OTHER


@pytest.mark.parametrize(
    "content_range",
    [
        None,
        "",
        "nonsense",
        f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}",
        f"bytes {HALF - 1}-{len(CONTENT) - 1}/{len(CONTENT)}",
        f"bytes {HALF}-{len(CONTENT) - 1}/*",
        f"bytes */{len(CONTENT)}",
        f"items {HALF}-{len(CONTENT) - 1}/{len(CONTENT)}",
        f"bytes {HALF}-{len(CONTENT) - 1}/{'9' * 5000}",
        f"bytes {HALF}-{len(CONTENT) - 2}/{len(CONTENT)}",
        f"bytes {HALF}-{len(CONTENT)}/{len(CONTENT)}",
        f"bytes {HALF}-{HALF - 1}/{len(CONTENT)}",
        f"bytes {HALF}-{len(CONTENT) - 1}/{len(CONTENT)}, bytes 0-1/{len(CONTENT)}",
    ],
    ids=[
        *("missing", "empty", "nonsense", "start", "overlap", "no-total", "no-range", "other-unit", "huge"),
        *("shorter-than-length", "beyond-the-end", "backwards", "two-ranges"),
    ],
)
def test_another_range_than_was_asked_for_begins_anew(content_range: str | None) -> None:
    with serve(cut(), rest(Content_Range=content_range), whole()) as host:
        assert fetch(host) == received_of(CONTENT)
        assert host.ranges() == [None, f"bytes={HALF}-", None]


def test_several_parts_in_one_are_not_taken_for_the_rest() -> None:
    with serve(cut(), rest(Content_Type="multipart/byteranges; boundary=x"), whole()) as host:
        assert fetch(host) == received_of(CONTENT)


def test_a_part_that_nobody_asked_for_is_not_taken_for_the_whole() -> None:
    with serve(rest(), rest(0), whole()) as host:
        assert fetch(host) == received_of(CONTENT)


@pytest.mark.parametrize("etag", [None, 'W/"v1"'])
def test_a_part_that_nobody_asked_for_is_not_taken_for_the_rest(etag: str | None) -> None:
    with serve(cut(ETag=etag), rest(content=OTHER, ETag=etag), whole()) as host:
        assert fetch(host) == received_of(CONTENT)
        assert host.ranges() == [None, None, None]


def test_what_was_told_of_a_version_is_forgotten_with_it() -> None:
    # The second answer is of another version, packed and cut: the first one's tag is not of its bytes.
    packed = gzip.compress(secrets.token_bytes(4096))
    second = wire(packed[:2000], Content_Length=str(len(packed)), Content_Encoding="gzip", ETag='"v2"')
    with serve(cut(0), second, whole()) as host:
        assert fetch(host) == received_of(CONTENT)
        assert host.ranges() == [None, None, None]


def test_a_part_that_ends_early_is_not_taken_for_the_rest() -> None:
    short = wire(
        CONTENT[HALF:-1],
        "206 Partial Content",
        Content_Range=f"bytes {HALF}-{len(CONTENT) - 2}/{len(CONTENT)}",
        ETag=TAG,
    )
    with serve(cut(), short, rest(len(CONTENT) - 1)) as host:
        assert fetch(host) == received_of(CONTENT)


def test_a_chunked_rest_that_does_not_end_is_not_taken_for_the_rest() -> None:
    body = f"{len(CONTENT):x}\r\n".encode() + CONTENT + b"\r\n0\r\n\r\n"
    span = f"bytes {HALF}-{len(CONTENT) - 1}/{len(CONTENT)}"
    headers = {"Content_Length": None, "Transfer_Encoding": "chunked", "ETag": TAG, "Content_Range": span}
    with serve(cut(), wire(body, "206 Partial Content", **headers), whole()) as host:
        assert fetch(host) == received_of(CONTENT)


def test_a_range_that_is_no_longer_there_begins_anew() -> None:
    with serve(cut(), wire(b"", "416 Range Not Satisfiable"), whole()) as host:
        assert fetch(host) == received_of(CONTENT)
        assert host.ranges() == [None, f"bytes={HALF}-", None]


@pytest.mark.parametrize("etag", ['"\u00e9"', '"\u6587"', '"a b"', '"a, b"'])
def test_an_etag_of_any_characters_does_no_harm(etag: str) -> None:
    with serve(cut(ETag=etag), whole(ETag=etag)) as host:
        assert fetch(host) == received_of(CONTENT)


def test_a_transfer_that_never_arrives_whole_is_an_error_after_the_last_try() -> None:
    with serve(*[cut()] * 9) as host:
        error = failure(host, max_retries=2)
        assert isinstance(error, KieConnectionError | KieTransferError)
        # The first brings it half way; three more bring it no further.
        assert len(host.requests) == 4


def slices(size: int, count: int) -> list[bytes]:
    """Bring so many bytes at a time, so often."""
    return [cut(size)] + [rest(at)[: -(len(CONTENT) - at - size)] for at in range(size, size * count, size)]


def test_a_transfer_that_brings_a_twentieth_each_time_has_all_the_tries_it_needs() -> None:
    size = len(CONTENT) // 20 + 1
    with serve(*slices(size, 9), rest(9 * size)) as host:
        assert fetch(host, max_retries=1) == received_of(CONTENT)
        assert host.ranges() == [None, *(f"bytes={at * size}-" for at in range(1, 10))]


def test_a_transfer_that_brings_a_byte_each_time_is_given_up() -> None:
    with serve(*slices(1, 20)) as host:
        failure(host, max_retries=4)
        assert host.ranges() == [None, *(f"bytes={at}-" for at in range(1, 5))]


def test_a_host_that_cannot_be_reached_is_a_connection_error() -> None:
    with serve() as host:
        pass
    error = failure(host, max_retries=1)
    assert isinstance(error, KieConnectionError)
    assert error.never_sent


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "GZIP"])
def test_a_compressed_answer_is_unpacked(encoding: str) -> None:
    packed = gzip.compress(CONTENT) if encoding.lower() == "gzip" else zlib.compress(CONTENT)
    with serve(whole(packed, Content_Encoding=encoding)) as host:
        assert fetch(host) == received_of(CONTENT)


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_identity_is_no_compression(encoding: str) -> None:
    with serve(cut(Content_Encoding=encoding), rest(Content_Encoding=encoding)) as host:
        assert fetch(host) == received_of(CONTENT)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br"])
def test_an_encoding_that_cannot_be_unpacked_is_an_error_instead_of_other_bytes(encoding: str) -> None:
    with serve(*[whole(b"packed bytes", Content_Encoding=encoding)] * 2) as host:
        failure(host, max_retries=1)


def test_a_compressed_transfer_that_is_cut_begins_anew() -> None:
    packed = gzip.compress(secrets.token_bytes(4096))
    first = wire(packed[:2000], Content_Length=str(len(packed)), Content_Encoding="gzip", ETag=TAG)
    with serve(first, whole()) as host:
        assert fetch(host) == received_of(CONTENT)
        assert host.ranges() == [None, None]


def test_a_compressed_rest_is_not_joined_to_a_plain_beginning() -> None:
    packed = gzip.compress(CONTENT)
    part = wire(
        packed[HALF:] or packed[-10:],
        "206 Partial Content",
        Content_Range=f"bytes {HALF}-{len(CONTENT) - 1}/{len(CONTENT)}",
        Content_Encoding="gzip",
        ETag=TAG,
    )
    with serve(cut(), part, whole()) as host:
        assert fetch(host) == received_of(CONTENT)


def test_broken_compression_is_a_kie_error() -> None:
    with serve(*[whole(b"no gzip", Content_Encoding="gzip")] * 2) as host:
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
    with serve(*[wire(b"", status, Content_Length=length, Retry_After="3")] * 2) as host:
        error = failure(host, max_retries=0)
        assert (type(error), error.code, error.transient) == (kind, int(status[:3]), transient)
        assert error.retry_after == (3 if transient else None)
        assert f"HTTP {status[:3]}" in str(error)


@pytest.mark.parametrize(
    "status", ["429 Too Many Requests", "500 Internal Server Error", "503 Service Unavailable"]
)
def test_what_passes_is_got_over(status: str) -> None:
    with serve(wire(b"<html>", status), cut(), wire(b"<html>", status), rest()) as host:
        assert fetch(host) == received_of(CONTENT)


def test_a_page_of_an_error_is_never_taken_for_the_file() -> None:
    with serve(wire(b"<html>not here</html>", "404 Not Found")) as host:
        sink = io.BytesIO()
        failure(host, sink=sink)
        assert sink.getvalue() == b""


@pytest.mark.parametrize("name", ["movie.mp4", "a.png", "data.json", "a.zip", "text.txt", "A%20B.MP4"])
@pytest.mark.parametrize("mime_type", ["text/html", "Text/HTML; charset=utf-8", "application/xhtml+xml"])
def test_a_page_is_not_stored_as_media_or_data(name: str, mime_type: str) -> None:
    page = whole(b"<html>Sorry</html>", Content_Type=mime_type)
    with serve(page, whole(), *[page] * 9) as host:
        assert fetch(host, name=name) == received_of(CONTENT)
        sink = io.BytesIO()
        error = failure(host, name=name, sink=sink, max_retries=2)
        assert (type(error), error.transient) == (KieTransferError, True)
        assert "a page (" in str(error)
        assert sink.getvalue() == b""
        assert len(host.requests) == 5


@pytest.mark.parametrize("name", ["a.html", "a.htm", "a", "", "a.unheardof", "v1.2"])
def test_what_may_be_a_page_is_stored(name: str) -> None:
    with serve(whole(Content_Type="text/html")) as host:
        assert fetch(host, name=name) == received_of(CONTENT, "text/html")


def test_a_page_instead_of_the_rest_leaves_what_is_there() -> None:
    page = whole(b"<html>Sorry</html>", Content_Type="text/html")
    with serve(cut(), page, rest()) as host:
        assert fetch(host, name="a") == received_of(CONTENT)
        assert host.ranges() == [None, f"bytes={HALF}-", f"bytes={HALF}-"]


def test_a_file_that_has_no_room_is_refused_before_a_byte_is_written(tmp_path: Path) -> None:
    with serve(whole(Content_Length=str(10**17))) as host, (tmp_path / "a").open("w+b") as sink:
        with pytest.raises(OSError, match=f"no room for the {10**17} bytes that are missing") as caught:
            fetch(host, sink=sink)
        assert caught.value.errno == errno.ENOSPC
        assert sink.seek(0, io.SEEK_END) == 0
        assert len(host.requests) == 1


def test_an_expected_size_needs_room_too(tmp_path: Path) -> None:
    with serve(whole(Content_Length=None)) as host, (tmp_path / "a").open("w+b") as sink:
        with pytest.raises(OSError, match=f"no room for the {10**17} bytes"):
            fetch(host, sink=sink, expected=Expected(size=10**17))
        assert sink.seek(0, io.SEEK_END) == 0


@dataclass
class Disk:
    """A disk with so many bytes, of which its files have none but the one that is written."""

    size: int
    used: int = 0

    def statvfs(self, descriptor: int) -> os.statvfs_result:
        free = self.size - max(self.used, os.fstat(descriptor).st_size)
        return os.statvfs_result((1, 1, self.size, free, free, 0, 0, 0, 0, 255))


@pytest.mark.parametrize(
    ("answers", "size", "fits"),
    [
        ((whole(),), len(CONTENT), True),
        ((whole(),), len(CONTENT) - 1, False),
        ((cut(), rest()), len(CONTENT), True),
        ((cut(), whole()), len(CONTENT), True),
        ((cut(), whole(OTHER * 2, ETag='"v2"')), len(CONTENT), False),
        ((whole(),), 0, True),
    ],
    ids=["fits", "does-not", "rest-fits", "fits-again", "new-version-does-not", "unknown"],
)
def test_only_what_is_missing_needs_room(
    answers: tuple[bytes, ...], size: int, fits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fstatvfs", Disk(size).statvfs)
    with serve(*answers) as host, (tmp_path / "a").open("w+b") as sink:
        if fits:
            assert fetch(host, sink=sink) == received_of(CONTENT)
        else:
            with pytest.raises(OSError, match="no room"):
                fetch(host, sink=sink)


def test_a_disk_that_frees_late_has_room_for_what_starts_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fstatvfs", Disk(len(CONTENT), used=HALF).statvfs)
    with serve(cut(Content_Length=None), whole()) as host, (tmp_path / "a").open("w+b") as sink:
        assert fetch(host, sink=sink, expected=Expected(sha256=SHA256)) == received_of(CONTENT)


def test_a_full_disk_is_not_tried_again() -> None:
    class Full(io.BytesIO):
        def write(self, data: Any, /) -> int:
            raise OSError(28, "No space left on device")

    with serve(whole(), whole()) as host:
        with pytest.raises(OSError, match="No space left"):
            fetch(host, sink=Full())
        assert len(host.requests) == 1


def test_a_signed_link_is_asked_for_right_before_the_transfer_and_the_key_stays_at_the_api() -> None:
    key = secrets.token_hex()
    with serve() as host:
        host.answers += [host.sign(), whole()]
        assert fetch(host, signed=True, api_key=key) == received_of(CONTENT)
        assert host.asked() == ["/api/v1/common/download-url", "/store/a.png"]
        assert json.loads(host.requests[0].partition("\r\n\r\n")[2]) == {"url": GENERATED}
        assert header(host.requests[0], "authorization") == f"Bearer {key}"
        assert key not in host.requests[1]
        assert header(host.requests[1], "authorization") is None


@pytest.mark.parametrize("status", ["403 Forbidden", "410 Gone"])
def test_an_expired_link_is_asked_for_anew(status: str) -> None:
    with serve() as host:
        host.answers += [host.sign(), wire(b"<Error/>", status), host.sign(), whole()]
        assert fetch(host, signed=True) == received_of(CONTENT)
        assert host.asked() == ["/api/v1/common/download-url", "/store/a.png"] * 2


def test_a_link_that_expires_in_the_middle_is_asked_for_anew_and_the_transfer_goes_on() -> None:
    with serve() as host:
        host.answers += [host.sign(), cut(), wire(b"", "403 Forbidden"), host.sign(), rest()]
        assert fetch(host, signed=True) == received_of(CONTENT)
        assert host.ranges() == [None, None, f"bytes={HALF}-", None, f"bytes={HALF}-"]


def test_a_link_that_is_good_is_kept_after_a_cut() -> None:
    with serve() as host:
        host.answers += [host.sign(), cut(), rest()]
        assert fetch(host, signed=True) == received_of(CONTENT)
        assert host.asked().count("/api/v1/common/download-url") == 1


def test_links_that_are_always_expired_are_an_error_after_the_last_try() -> None:
    with serve() as host:
        host.answers += [host.sign(), wire(b"", "403 Forbidden")] * 9
        error = failure(host, signed=True, max_retries=2)
        assert (type(error), error.code) == (KieTransferError, 403)
        assert len(host.requests) == 6


def test_a_file_that_kie_ai_did_not_generate_is_explained() -> None:
    with serve(wire(b'{"code":422,"msg":"url is wrong","data":null}')) as host:
        error = failure(host, signed=True)
        assert (type(error), error.code) == (KieValidationError, 422)
        assert "url is wrong" in str(error)
        assert "Only files that kie.ai generated can be signed" in str(error)
        assert "download_url" in str(error)
        assert len(host.requests) == 1


def test_a_wrong_key_ends_it_at_once() -> None:
    with serve(wire(b'{"code":401,"msg":"Unauthorized"}')) as host:
        assert type(failure(host, signed=True)) is KieAuthError
        assert len(host.requests) == 1


def test_signing_gets_over_what_passes() -> None:
    with serve(wire(b'{"code":429,"msg":"too fast"}'), wire(b"<html>", "502 Bad Gateway")) as host:
        host.answers += [host.sign(), whole()]
        assert fetch(host, signed=True) == received_of(CONTENT)


def test_a_link_that_is_none_is_an_error() -> None:
    with serve(*[wire(b'{"code":200,"msg":"success","data":null}')] * 2) as host:
        assert "promised data" in str(failure(host, signed=True))


@pytest.mark.parametrize(
    "answer",
    [
        wire(b"", "403 Forbidden"),
        wire(b"", "500 Internal Server Error"),
        cut(),
        b"",
        wire(b"", "404 Not Found"),
        wire(b"", "302 Found", Location="http://[::1/?s3cret"),
        whole(b"no gzip", Content_Encoding="gzip"),
    ],
    ids=["expired", "failing", "cut", "hung-up", "missing", "redirected", "garbled"],
)
def test_the_signed_link_is_in_no_message_and_no_log(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    for name in (None, "httpx", "httpcore", "airflow_provider_kie"):
        caplog.set_level(logging.DEBUG, name)
    with serve() as host:
        signs_again = b" 403 " in answer
        host.answers += [host.sign(), answer, host.sign() if signs_again else answer, answer]
        error: BaseException | None = failure(host, signed=True, max_retries=1)
        while error:
            assert "s3cret" not in f"{error!s} {error!r}"
            error = error.__cause__ or error.__context__
    assert "s3cret" not in caplog.text
    assert "a-key" not in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        wire(b"", "404 Not Found"),
        wire(b"", "410 Gone"),
        wire(b"", "403 Forbidden"),
        wire(b"", "500 Internal Server Error"),
        wire(b"", "302 Found", Location="http://[::1/?s3cret"),
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
    with serve(answer, answer) as host:
        error = failure(host, max_retries=1, expected=Expected(sha256=SHA256))
        assert str(error).startswith(f"{host.url}/a.png: ")
        assert "s3cret" not in str(error)


def test_an_error_of_a_signed_link_names_the_file_and_not_the_link(caplog: pytest.LogCaptureFixture) -> None:
    for answer in (
        wire(b"", "404 Not Found"),
        wire(b"", "410 Gone"),
        wire(b'{"code":422,"msg":"url is wrong"}'),
    ):
        with serve() as host:
            host.answers += [answer] if b"422" in answer else [host.sign(), answer] * 2
            error = failure(host, signed=True, max_retries=1)
            assert str(error).startswith(f"{GENERATED}: ")
            assert "s3cret" not in str(error)
    assert f"download failed; retry 1 of 1 in 0.0 s: {GENERATED}: download: the file host" in caplog.text


def test_retries_are_at_most_as_many_as_configured_and_logged() -> None:
    for max_retries in (0, 1, 3):
        with serve(*[wire(b"", "503 Service Unavailable")] * 9) as host:
            failure(host, max_retries=max_retries)
            assert len(host.requests) == max_retries + 1


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    size = 48 * 1024 * 1024
    body = bytes(size)
    with (
        serve(whole(body)) as host,
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


@pytest.mark.parametrize(
    ("sign", "file_url", "signed"),
    [
        ("auto", "https://tempfile.aiquickdraw.com/a.png", True),
        ("auto", "https://tempfile.redpandaai.co/a.png", False),
        ("auto", "https://up.example/a.png", False),
        ("auto", "https://kieai.redpandaai.co/a.png", True),
        ("always", "https://tempfile.redpandaai.co/a.png", True),
        ("always", "https://tempfile.aiquickdraw.com/a.png", True),
        ("never", "https://tempfile.redpandaai.co/a.png", False),
        ("never", "https://tempfile.aiquickdraw.com/a.png", False),
    ],
)
def test_only_generated_files_need_signing(sign: Sign, file_url: str, signed: bool) -> None:
    with KieClient(KieSettings("a-key", upload_base_url="https://up.example")) as client:
        assert needs_signing(client, file_url, sign) is signed


def test_the_simulated_kie_ai_gives_the_same_bytes(kie_simulator: KieSimulator) -> None:
    url = kie_simulator.add_generated_file("a.png", CONTENT * 100)
    kie_simulator.fail_next("file", drop_after=50_000)
    settings = KieSettings(kie_simulator.api_key, kie_simulator.api_url, kie_simulator.upload_url)
    sink = io.BytesIO()
    with KieClient(settings) as client:
        received = download(client, url, sink, signed=True)
    assert sink.getvalue() == CONTENT * 100
    assert received.sha256 == hashlib.sha256(CONTENT * 100).hexdigest()
