"""The form that goes to kie.ai is the one that httpx would send, in larger pieces."""

from __future__ import annotations

import io
import os
from contextlib import nullcontext
from typing import Any

import httpx
import pytest

from airflow_provider_kie.client.api import files
from airflow_provider_kie.client.call import Call, FilePart
from airflow_provider_kie.client.http.forms import Form
from airflow_provider_kie.client.http.requests import request_for
from airflow_provider_kie.client.settings import KieSettings


def call_with(name: str, content: bytes, upload_path: str = "a/b") -> Call[Any]:
    part = FilePart(name, "image/png", len(content), lambda: nullcontext(io.BytesIO(content)))
    return files.upload_stream(upload_path, part)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.png", b"bytes"),
        ("empty.png", b""),
        ("breaks.png", b"\r\n\r\n--x\r\n"),
        ('quo"te %22 ü \N{GRINNING FACE}.png', b"\0" * 10),
        ("large.png", os.urandom(1_000_000)),
    ],
)
def test_it_is_what_httpx_would_send(name: str, content: bytes) -> None:
    call = call_with(name, content, upload_path="ordner ü")
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
    call = call_with("a.png", b"bytes")
    assert call.file
    one, other = Form.around(call.file, call), Form.around(call.file, call)
    assert one.content_type != other.content_type


def test_the_file_goes_through_in_large_pieces() -> None:
    call = call_with("a.png", content := os.urandom(1_000_000))
    assert call.file
    form = Form.around(call.file, call)
    first, *pieces, last = form.pieces(io.BytesIO(content))
    assert (first, last) == (form.before, form.after)
    assert b"".join(pieces) == content
    assert [len(piece) for piece in pieces] == [262_144] * 3 + [213_568]
