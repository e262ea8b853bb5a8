from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_kie.client.api.files import UploadReceipt, hours_later, parse_link, parse_upload
from airflow_provider_kie.client.errors import KieResponseError

RECORDED: dict[str, Any] = {
    "success": True,
    "fileName": "test.txt",
    "filePath": "kieai/183531/documents/test.txt",
    "downloadUrl": "https://tempfile.redpandaai.co/kieai/183531/documents/test.txt",
    "fileSize": 11,
    "mimeType": "text/plain",
    "uploadedAt": "2026-04-16T07:19:10.400Z",
}
QUICKSTART: dict[str, Any] = {
    "fileId": "file_abc123456",
    "fileName": "my-image.jpg",
    "originalName": "sample-image.jpg",
    "fileSize": 245760,
    "mimeType": "image/jpeg",
    "uploadPath": "images",
    "fileUrl": "https://kieai.redpandaai.co/files/images/my-image.jpg",
    "downloadUrl": "https://kieai.redpandaai.co/download/file_abc123456",
    "uploadTime": "2025-01-15T10:30:00Z",
    "expiresAt": "2025-01-18T10:30:00Z",
}


def test_a_link_is_given_as_it_came() -> None:
    link = "https://account.r2.cloudflarestorage.com/b/a%20b.png?X-Amz-Signature=0a&X-Amz-Expires=1200"
    assert parse_link(link) == link


@pytest.mark.parametrize(
    "data", [None, "", "no", "/relative?s3cret", "ftp://h/s3cret", 5, True, [], {"url": "https://h/"}]
)
def test_what_is_no_url_is_no_link_and_is_not_shown(data: Any) -> None:
    with pytest.raises(KieResponseError, match="the download link is no URL") as caught:
        parse_link(data)
    assert "s3cret" not in str(caught.value)


def test_the_recorded_shape_is_read() -> None:
    assert parse_upload(RECORDED) == UploadReceipt(
        file_name="test.txt",
        file_path="kieai/183531/documents/test.txt",
        download_url="https://tempfile.redpandaai.co/kieai/183531/documents/test.txt",
        file_size=11,
        mime_type="text/plain",
        uploaded_at="2026-04-16T07:19:10.400000Z",
        expires_at=None,
        extra={"success": True},
    )


def test_the_shape_of_the_quickstart_is_read() -> None:
    receipt = parse_upload(QUICKSTART)
    assert (receipt.file_name, receipt.file_path) == ("my-image.jpg", "images/my-image.jpg")
    assert receipt.download_url == QUICKSTART["downloadUrl"]
    assert (receipt.file_size, receipt.mime_type) == (245760, "image/jpeg")
    assert (receipt.uploaded_at, receipt.expires_at) == ("2025-01-15T10:30:00Z", "2025-01-18T10:30:00Z")
    assert receipt.extra["fileId"] == "file_abc123456"
    assert receipt.extra["originalName"] == "sample-image.jpg"


@pytest.mark.parametrize("missing", [{}, {"downloadUrl": None}, {"downloadUrl": ""}])
def test_a_file_url_stands_in_for_a_missing_download_url(missing: dict[str, Any]) -> None:
    rest = {name: value for name, value in QUICKSTART.items() if name != "downloadUrl"}
    assert parse_upload(rest | missing).download_url == QUICKSTART["fileUrl"]


def test_unknown_fields_are_kept_and_the_answer_is_not_changed() -> None:
    data = {**RECORDED, "scan": {"clean": True}}
    before = json.dumps(data)
    assert parse_upload(data).extra == {"success": True, "scan": {"clean": True}}
    assert json.dumps(data) == before


@pytest.mark.parametrize(
    "field", ["fileName", "filePath", "downloadUrl", "fileSize", "mimeType", "uploadedAt"]
)
@pytest.mark.parametrize("value", [..., None, "", True, [], {}])
def test_a_field_that_is_missing_or_unusable_is_an_error_that_names_it(field: str, value: Any) -> None:
    data = {name: kept for name, kept in {**RECORDED, field: value}.items() if kept is not ...}
    named = "uploadPath" if field == "filePath" and value is ... else field
    with pytest.raises(KieResponseError, match=f"no usable .*{named}"):
        parse_upload(data)


@pytest.mark.parametrize("size", ["11", 11.5, "many", float("nan")])
def test_a_size_is_a_whole_number(size: Any) -> None:
    with pytest.raises(KieResponseError, match="fileSize"):
        parse_upload({**RECORDED, "fileSize": size})


@pytest.mark.parametrize("url", ["ftp://h/a", "/kieai/a", "no url", "https://"])
def test_a_download_url_is_a_url(url: str) -> None:
    with pytest.raises(KieResponseError, match="downloadUrl that is no URL"):
        parse_upload({**RECORDED, "downloadUrl": url})


@pytest.mark.parametrize("data", [None, "text", 5, [], [RECORDED], True])
def test_an_upload_answer_is_an_object(data: Any) -> None:
    with pytest.raises(KieResponseError, match="the upload's answer is no object"):
        parse_upload(data)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2026-04-16T07:19:10.400Z", "2026-04-16T07:19:10.400000Z"),
        ("2026-04-16T07:19:10Z", "2026-04-16T07:19:10Z"),
        ("2026-04-16T09:19:10+02:00", "2026-04-16T07:19:10Z"),
        ("2026-04-16T07:19:10", "2026-04-16T07:19:10Z"),
        ("2026-04-16 07:19:10", "2026-04-16T07:19:10Z"),
    ],
)
def test_times_are_iso_8601_in_utc(given: str, shown: str) -> None:
    assert parse_upload({**RECORDED, "uploadedAt": given}).uploaded_at == shown


@pytest.mark.parametrize(
    "moment",
    [
        "yesterday",
        "now",
        "12:00",
        "P1D",
        "2026-13-45T00:00:00Z",
        "1776323950400",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00+12:00",
        pytest.param("x" * 10_000, id="long"),
    ],
)
def test_a_time_that_is_none_is_an_error(moment: str) -> None:
    with pytest.raises(KieResponseError, match="time that is not ISO 8601"):
        parse_upload({**RECORDED, "uploadedAt": moment})


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_empty_expiry_is_none(nothing: Any) -> None:
    assert parse_upload({**RECORDED, "expiresAt": nothing}).expires_at is None


def test_hours_later() -> None:
    assert hours_later("2026-04-16T07:19:10.400Z", 24) == "2026-04-17T07:19:10.400000Z"
    assert hours_later("2026-04-16T07:00:00Z", 0.5) == "2026-04-16T07:30:00Z"
