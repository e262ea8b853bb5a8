from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import httpx
import pytest

from airflow_provider_kie.client.call import Readable
from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import (
    KieConnectionError,
    KieTransferError,
    KieValidationError,
)
from airflow_provider_kie.client.settings import KieSettings
from airflow_provider_kie.client.transfer.upload import (
    BASE64_ADVISED,
    BASE64_LIMIT,
    UploadMethod,
    choose_method,
    unique_file_name,
    upload_base64,
    upload_stream,
)
from airflow_provider_kie.simulator import KieSimulator
from tests.fake_host import FakeHost, Request, http

Handler = Callable[[httpx.Request], httpx.Response]
CONTENT = bytes(range(256)) * 700


@dataclass
class Bytes:
    """A source in memory that may lie about its size, and counts how often it was opened and closed."""

    data: bytes
    name: str = "a.png"
    size: int = -1
    opened: list[io.BytesIO] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.size = len(self.data) if self.size == -1 else self.size

    @contextmanager
    def open(self) -> Iterator[Readable]:
        with io.BytesIO(self.data) as file:
            self.opened.append(file)
            yield file


@dataclass
class Endless:
    """A large source that is never in memory as a whole."""

    size: int
    name: str = "a.bin"

    @contextmanager
    def open(self) -> Iterator[Readable]:
        yield _Zeros(self.size)


class _Zeros:
    def __init__(self, size: int) -> None:
        self.left = self.size = size

    def read(self, size: int = -1, /) -> bytes:
        given = self.left if size < 0 else min(size, self.left)
        self.left -= given
        return bytes(given)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self.left = self.size - offset
        return offset

    def tell(self) -> int:
        return self.size - self.left


def receipt(size: int, **more: Any) -> dict[str, Any]:
    data = {
        "fileName": "a.png",
        "filePath": "kieai/1/images/a.png",
        "downloadUrl": "https://tempfile.redpandaai.co/kieai/1/images/a.png",
        "fileSize": size,
        "mimeType": "image/png",
        "uploadedAt": "2026-04-16T07:19:10.400Z",
    }
    return {"success": True, "code": 200, "msg": "File uploaded successfully", "data": data | more}


@dataclass
class Store:
    """
    Takes uploads.

    :param size: How large it says they are.
    """

    size: int
    seen: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        return httpx.Response(200, json=receipt(self.size))


@contextmanager
def client_for(handler: Handler, **settings: Any) -> Iterator[KieClient]:
    transport = httpx.MockTransport(handler)
    with KieClient(KieSettings(api_key="a-key", **settings), transport=transport) as client:
        yield client


def parts_of(request: httpx.Request) -> list[tuple[str, bytes]]:
    """Take a multipart body apart: each part's head and content, in order."""
    boundary = request.headers["content-type"].partition("boundary=")[2].encode()
    pieces = request.content.split(b"--" + boundary)
    assert (pieces[0], pieces[-1]) == (b"", b"--\r\n")
    heads_and_bodies = [piece.removeprefix(b"\r\n").partition(b"\r\n\r\n") for piece in pieces[1:-1]]
    return [(head.decode(), body.removesuffix(b"\r\n")) for head, _, body in heads_and_bodies]


@pytest.mark.parametrize(
    ("method", "size", "chosen"),
    [
        ("auto", None, "url"),
        ("stream", None, "stream"),
        ("url", None, "url"),
        ("auto", 1, "base64"),
        ("auto", BASE64_ADVISED, "base64"),
        ("auto", BASE64_ADVISED + 1, "stream"),
        ("auto", 10**12, "stream"),
        ("base64", 1, "base64"),
        ("base64", BASE64_LIMIT, "base64"),
        ("stream", 1, "stream"),
        ("stream", 10**12, "stream"),
    ],
)
def test_the_method_follows_the_documents(method: UploadMethod, size: int | None, chosen: str) -> None:
    assert choose_method(method, size=size) == chosen


@pytest.mark.parametrize(
    ("method", "size", "reason"),
    [
        ("base64", None, "method='base64' needs a file"),
        ("url", 1, "method='url' needs an http"),
        ("base64", BASE64_LIMIT + 1, "method='base64' carries at most 10000000 bytes, not 10000001"),
    ],
)
def test_a_method_that_cannot_carry_the_source_is_refused(
    method: UploadMethod, size: int | None, reason: str
) -> None:
    with pytest.raises(ValueError, match=f"^{reason}"):
        choose_method(method, size=size)


def test_the_limits_are_those_of_the_documents() -> None:
    assert (BASE64_ADVISED, BASE64_LIMIT) == (1_000_000, 10_000_000)


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("a.png", ".png"),
        ("A B.PNG", ".PNG"),
        ("x.tar.gz", ".gz"),
        ("x" * 300 + ".jpeg", ".jpeg"),
        (".env.png", ".png"),
        ("-.png", ".png"),
        ("\u6587.png", ".png"),
        ("\u65e5\u672c\u8a9e.mp4", ".mp4"),
        ("\u6587\u4ef6.tar.gz", ".gz"),
        ("\u00e9t\u00e9.png", ".png"),
        ("a b(1).png", ".png"),
        ("README", ""),
        ("\u6587", ""),
        (".env", ""),
    ],
)
def test_a_unique_name_keeps_the_extension_in_plain_characters(name: str, extension: str) -> None:
    unique = unique_file_name(name)
    assert PurePosixPath(unique).suffix == extension
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{30,199}", unique)


@pytest.mark.parametrize(
    "name", ["a.png", "", ".", "..", "...", "\u6587", "/", "a/../b", "a?b#c%20.png", "\x00"]
)
def test_a_unique_name_is_unique_and_safe_whatever_it_is_made_from(name: str) -> None:
    names = {unique_file_name(name) for _ in range(50)}
    assert len(names) == 50
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", unique) for unique in names)


def test_a_unique_name_still_tells_what_it_was_made_from() -> None:
    assert unique_file_name("invoice 7.pdf").endswith("-invoice-7.pdf")


def test_a_stream_is_multipart_with_the_text_fields_before_the_file() -> None:
    store = Store(len(CONTENT))
    source = Bytes(CONTENT)
    with client_for(store) as client:
        got, sha256 = upload_stream(client, source, "images/nightly", "a.png")
    assert (got.file_size, sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert str(store.seen[0].url) == "https://kieai.redpandaai.co/api/file-stream-upload"
    assert store.seen[0].headers["authorization"] == "Bearer a-key"
    assert int(store.seen[0].headers["content-length"]) == len(store.seen[0].content)
    path, name, file = parts_of(store.seen[0])
    assert 'name="uploadPath"' in path[0]
    assert path[1] == b"images/nightly"
    assert 'name="fileName"' in name[0]
    assert name[1] == b"a.png"
    assert 'name="file"; filename="a.png"' in file[0]
    assert "Content-Type: image/png" in file[0]
    assert file[1] == CONTENT
    assert [opened.closed for opened in source.opened] == [True]


@pytest.mark.parametrize(
    ("name", "mime_type"),
    [
        ("a.txt", "text/plain"),
        ("a.PNG", "image/png"),
        ("a", "application/octet-stream"),
        ("a.zzz", "application/octet-stream"),
    ],
)
def test_the_media_type_follows_the_name(name: str, mime_type: str) -> None:
    store = Store(5)
    with client_for(store) as client:
        upload_stream(client, Bytes(b"bytes"), "p", name)
    assert f"Content-Type: {mime_type}" in parts_of(store.seen[0])[2][0]


@pytest.mark.parametrize("name", ["\u6587.png", 'a"b.png', "a b;c.png"])
def test_a_name_of_any_characters_stays_one_field(name: str) -> None:
    store = Store(5)
    with client_for(store) as client:
        upload_stream(client, Bytes(b"bytes"), "p", name)
    parts = parts_of(store.seen[0])
    assert len(parts) == 3
    assert parts[1][1].decode() == name
    assert parts[2][1] == b"bytes"


def test_every_try_sends_the_whole_file_and_hashes_it_once() -> None:
    bodies: list[bytes] = []
    answers = [
        httpx.Response(200, json={"code": 500, "msg": "Server exception"}),
        httpx.Response(502, content=b"<html>"),
        httpx.Response(200, json=receipt(len(CONTENT))),
    ]

    def handler(request: httpx.Request) -> httpx.Response:
        bodies.append(parts_of(request)[2][1])
        return answers.pop(0)

    source = Bytes(CONTENT)
    with client_for(handler) as client:
        _, sha256 = upload_stream(client, source, "p", "a.png")
    assert sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert bodies == [CONTENT] * 3
    assert [opened.closed for opened in source.opened] == [True] * 3


def test_base64_is_the_standard_alphabet_on_one_line() -> None:
    store = Store(len(CONTENT))
    with client_for(store) as client:
        got, sha256 = upload_base64(client, Bytes(CONTENT), "images", "a.png")
    assert (got.file_size, sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    [sent] = [json.loads(request.content) for request in store.seen]
    assert sent == {
        "base64Data": base64.b64encode(CONTENT).decode(),
        "uploadPath": "images",
        "fileName": "a.png",
    }
    assert re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", sent["base64Data"])


@pytest.mark.parametrize("upload", [upload_stream, upload_base64], ids=["stream", "base64"])
@pytest.mark.parametrize("held", [0, 4, 6])
def test_another_size_at_kie_ai_is_an_error(upload: Any, held: int) -> None:
    with (
        client_for(lambda _: httpx.Response(200, json=receipt(held))) as client,
        pytest.raises(KieTransferError, match=f"5 bytes were sent, but kie.ai holds {held}"),
    ):
        upload(client, Bytes(b"bytes"), "p", "a.png")


@pytest.mark.parametrize("upload", [upload_stream, upload_base64], ids=["stream", "base64"])
@pytest.mark.parametrize("size", [1, 4, 6, 10**6], ids=["grown", "grown-by-one", "shrunk-by-one", "shrunk"])
def test_a_file_that_changes_meanwhile_is_an_error_that_names_it(upload: Any, size: int) -> None:
    source = Bytes(b"bytes", name="changing.png", size=size)
    with (
        client_for(lambda _: httpx.Response(200, json=receipt(size))) as client,
        pytest.raises(KieTransferError, match=r"changing\.png: changed while"),
    ):
        upload(client, source, "p", "a.png")
    assert len(source.opened) == 1, "the size that was announced stays wrong, however often it is sent"


@pytest.mark.parametrize("upload", [upload_stream, upload_base64], ids=["stream", "base64"])
def test_a_refusal_is_raised_at_once(upload: Any) -> None:
    refusals = [{"success": False, "code": 400, "msg": "Missing required parameter: uploadPath"}]
    with (
        client_for(lambda _: httpx.Response(200, json=refusals.pop())) as client,
        pytest.raises(KieValidationError, match="Missing required parameter: uploadPath"),
    ):
        upload(client, Bytes(b"bytes"), "p", "a.png")


@pytest.mark.parametrize("upload", [upload_stream, upload_base64], ids=["stream", "base64"])
def test_a_file_that_cannot_be_opened_is_an_os_error_and_nothing_is_sent(upload: Any) -> None:
    class Missing(Bytes):
        def open(self) -> Any:
            raise FileNotFoundError(self.name)

    store = Store(5)
    with client_for(store) as client, pytest.raises(FileNotFoundError):
        upload(client, Missing(b"bytes"), "p", "a.png")
    assert store.seen == []


@pytest.mark.parametrize("upload", [upload_stream, upload_base64], ids=["stream", "base64"])
def test_a_file_that_fails_while_it_is_read_is_an_os_error(upload: Any) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    class Broken(Bytes):
        @contextmanager
        def open(self) -> Iterator[Readable]:
            yield Failing(self.data)

    with (
        client_for(lambda _: httpx.Response(200, json=receipt(5))) as client,
        pytest.raises(OSError, match="Input/output error"),
    ):
        upload(client, Broken(b"bytes"), "p", "a.png")


def test_memory_does_not_grow_with_a_streamed_file() -> None:
    size = 48 * 1024 * 1024

    def take(request: Request) -> bytes:
        """Take the upload without keeping it."""
        left = request.missing
        while left:
            left -= len(request.connection.recv(65536))
        return http(json.dumps(receipt(size)))

    with (
        FakeHost([take]) as host,
        KieClient(KieSettings(api_key="a-key", upload_base_url=host.url)) as client,
    ):
        tracemalloc.start()
        try:
            _, sha256 = upload_stream(client, Endless(size), "p", "a.bin")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert size < int(host.requests[0].headers["content-length"]) < size + 2000
    assert sha256 == hashlib.sha256(bytes(size)).hexdigest()
    assert peak < 4 * 1024 * 1024


@pytest.mark.parametrize("upload", [upload_stream, upload_base64], ids=["stream", "base64"])
def test_the_simulated_kie_ai_holds_the_same_bytes(kie_simulator: KieSimulator, upload: Any) -> None:
    settings = KieSettings(kie_simulator.api_key, kie_simulator.api_url, kie_simulator.upload_url)
    with KieClient(settings) as client:
        got, sha256 = upload(client, Bytes(CONTENT), "images", "a.png")
        with client.open_file(got.download_url) as response:
            assert b"".join(response.pieces(None)) == CONTENT
    assert sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert got.file_path.endswith("/images/a.png")
    assert got.mime_type == "image/png"


def test_an_upload_that_is_hung_up_on_is_sent_again_as_a_whole(kie_simulator: KieSimulator) -> None:
    kie_simulator.fail_next("file-stream-upload", drop_after=-1)
    kie_simulator.fail_next("file-stream-upload", html=True)
    settings = KieSettings(kie_simulator.api_key, kie_simulator.api_url, kie_simulator.upload_url)
    with KieClient(settings) as client:
        got, sha256 = upload_stream(client, Bytes(CONTENT), "images", "a.png")
    assert (got.file_size, sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert len(kie_simulator.requests_to("file-stream-upload")) == 3


def test_an_upload_that_is_hung_up_on_to_the_end_is_a_connection_error(kie_simulator: KieSimulator) -> None:
    kie_simulator.fail_next("file-stream-upload", drop_after=-1)
    key, api, upload = kie_simulator.api_key, kie_simulator.api_url, kie_simulator.upload_url
    with KieClient(KieSettings(key, api, upload, max_retries=0)) as client, pytest.raises(KieConnectionError):
        upload_stream(client, Bytes(CONTENT), "images", "a.png")
