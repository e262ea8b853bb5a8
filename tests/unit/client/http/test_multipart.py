"""The form that goes to kie.ai is the one that httpx would send, in larger pieces."""

from __future__ import annotations

import io
import os
from contextlib import nullcontext

import httpx
import pytest

from airflow_provider_kie.client.api import files
from airflow_provider_kie.client.call import FilePart
from airflow_provider_kie.client.http.multipart import MultipartForm
from airflow_provider_kie.client.http.requests import request_for
from airflow_provider_kie.client.settings import KieSettings


def part_of(name: str, content: bytes) -> FilePart:
    return FilePart(name, "image/png", len(content), lambda: nullcontext(io.BytesIO(content)))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.png", b"bytes"),
        ("empty.png", b""),
        ("breaks.png", b"\r\n\r\n--x\r\n"),
        ('quo"te %22 ü \N{GRINNING FACE}.png', b"\0" * 10),
        ("large.png", os.urandom(1_000_000)),
    ],
    ids=["plain", "empty", "breaks", "odd-name", "large"],
)
def test_it_is_what_httpx_would_send(name: str, content: bytes) -> None:
    call = files.upload_stream("ordner ü", part_of(name, content))
    with httpx.Client() as http, request_for(call, KieSettings("a-key"), http) as request:
        sent = b"".join(request.stream)  # type: ignore[arg-type]
    boundary = request.headers["content-type"].partition("boundary=")[2]
    expected = httpx.Request(
        "POST",
        request.url,
        data=dict(call.fields or {}),
        files={"file": (name, content, "image/png")},
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    assert sent == expected.read()
    assert request.headers["content-length"] == str(len(sent))
    assert "transfer-encoding" not in request.headers


def test_each_form_has_a_boundary_of_its_own() -> None:
    one, other = (MultipartForm.around(part_of("a.png", b"bytes"), {}) for _ in range(2))
    assert one.content_type != other.content_type


def test_the_file_goes_through_in_large_pieces() -> None:
    content = os.urandom(1_000_000)
    form = MultipartForm.around(part_of("a.png", content), {"uploadPath": "a"})
    first, *pieces, last = form.pieces(io.BytesIO(content))
    assert (first, last) == (form.before, form.after)
    assert b"".join(pieces) == content
    assert [len(piece) for piece in pieces] == [262_144] * 3 + [213_568]
