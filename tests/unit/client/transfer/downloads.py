"""A host of files, and a client that downloads from it."""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any, BinaryIO

import pytest

from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.client.settings import KieSettings
from airflow_provider_kie.client.transfer.download import NOTHING_EXPECTED, Expected, Received, download
from tests.fake_host import Answer, FakeHost, http

CONTENT = bytes(range(256)) * 4
OTHER = bytes(reversed(range(256))) * 4
HALF = len(CONTENT) // 2
SHA256 = hashlib.sha256(CONTENT).hexdigest()
TAG = '"v1"'
GENERATED = "https://tempfile.aiquickdraw.com/a.png"


class FileHost(FakeHost):
    """A host of files that is kie.ai's API too."""

    def __init__(self, *script: Answer) -> None:
        super().__init__(script)

    @property
    def link(self) -> str:
        return f"{self.url}/store/a.png?X-Amz-Signature=s3cret"

    def sign(self) -> bytes:
        return http(json.dumps({"code": 200, "msg": "success", "data": self.link}))

    def asked(self) -> list[str]:
        return [request.path for request in self.requests]

    def ranges(self) -> list[str | None]:
        return [request.range for request in self.requests]


def cut(sent: int = HALF, content: bytes = CONTENT, **headers: str | None) -> bytes:
    """Announce a whole file and hang up in the middle."""
    return http(content[:sent], **{"Content_Length": str(len(content)), "ETag": TAG, **headers})


def rest(start: int = HALF, content: bytes = CONTENT, **headers: str | None) -> bytes:
    """The rest of a file, as it was asked for."""
    named = {"Content_Range": f"bytes {start}-{len(content) - 1}/{len(content)}", "ETag": TAG, **headers}
    return http(content[start:], "206 Partial Content", **named)


def whole(content: bytes = CONTENT, **headers: str | None) -> bytes:
    return http(content, **{"ETag": TAG, **headers})


def fetch(
    host: FileHost,
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


def failure(host: FileHost, **options: Any) -> KieError:
    with pytest.raises(KieError) as caught:
        fetch(host, **options)
    return caught.value
