from __future__ import annotations

import dataclasses
import io
from typing import Any

import pytest

from airflow_provider_kie.client.api import credits, files, jobs
from airflow_provider_kie.client.api.credits import parse_credits
from airflow_provider_kie.client.api.files import parse_link, parse_upload
from airflow_provider_kie.client.call import Call, FilePart

PART = FilePart(name="a.png", mime_type="image/png", size=5, open=lambda: io.BytesIO(b"bytes"))


@pytest.mark.parametrize(
    ("call", "sent", "parse"),
    [
        (credits.get_credits(), ("api", "GET", "/api/v1/chat/credit", None, None, None), parse_credits),
        (
            files.get_download_url("https://h/a.png"),
            ("api", "POST", "/api/v1/common/download-url", {"url": "https://h/a.png"}, None, None),
            parse_link,
        ),
        (
            files.upload_stream("images", PART),
            (
                "upload",
                "POST",
                "/api/file-stream-upload",
                None,
                {"uploadPath": "images", "fileName": "a.png"},
                PART,
            ),
            parse_upload,
        ),
        (
            files.upload_base64("images", "a.png", "Ynl0ZXM="),
            (
                "upload",
                "POST",
                "/api/file-base64-upload",
                {"base64Data": "Ynl0ZXM=", "uploadPath": "images", "fileName": "a.png"},
                None,
                None,
            ),
            parse_upload,
        ),
        (
            files.upload_url("images", "a.png", "https://h/b.png"),
            (
                "upload",
                "POST",
                "/api/file-url-upload",
                {"fileUrl": "https://h/b.png", "uploadPath": "images", "fileName": "a.png"},
                None,
                None,
            ),
            parse_upload,
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Call) else "",
)
def test_each_call_is_what_kie_ai_documents(call: Call[Any], sent: tuple[Any, ...], parse: Any) -> None:
    assert (call.host, call.method, call.path, call.json, call.fields, call.file) == sent
    assert call.parse is parse


ALL: list[Call[Any]] = [
    credits.get_credits(),
    files.get_download_url("u"),
    files.upload_stream("p", PART),
    files.upload_base64("p", "n", "d"),
    files.upload_url("p", "n", "u"),
    jobs.get_job("0123"),
    jobs.submit_job({}, model="m"),
]


def test_what_is_free_is_repeatable_and_nothing_else() -> None:
    assert [call.name for call in ALL if not call.repeatable] == ["job submission"]


def test_calls_have_names_of_their_own() -> None:
    assert len({call.name for call in ALL}) == len(ALL)


def test_a_call_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        credits.get_credits().path = "/elsewhere"  # type: ignore[misc]
