from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_kie.client.api.files import parse_upload
from airflow_provider_kie.files.results import DownloadedFile, UploadedFile

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


@pytest.mark.parametrize(
    ("data", "expires_at"),
    [(RECORDED, "2026-04-18T07:19:10.400000Z"), (QUICKSTART, "2025-01-18T10:30:00Z")],
)
def test_an_uploaded_file_expires_when_kie_ai_says_or_after_the_retention(
    data: dict[str, Any], expires_at: str
) -> None:
    receipt = parse_upload(data)
    file = UploadedFile.from_receipt(receipt, source="/a", method="stream", sha256="00", retention=48)
    assert file.expires_at == expires_at


def test_an_uploaded_file_is_the_dict_that_is_promised() -> None:
    receipt = parse_upload(RECORDED)
    file = UploadedFile.from_receipt(receipt, source="/a.txt", method="url", sha256=None, retention=24)
    assert json.loads(json.dumps(file.to_dict())) == {
        "source": "/a.txt",
        "method": "url",
        "file_name": "test.txt",
        "file_path": "kieai/183531/documents/test.txt",
        "download_url": "https://tempfile.redpandaai.co/kieai/183531/documents/test.txt",
        "file_size": 11,
        "mime_type": "text/plain",
        "uploaded_at": "2026-04-16T07:19:10.400000Z",
        "expires_at": "2026-04-17T07:19:10.400000Z",
        "sha256": None,
        "seconds": 0.0,
        "retries": 0,
    }


def test_a_downloaded_file_is_the_dict_that_is_promised() -> None:
    fields = {
        "file_url": "https://h/a",
        "path": "/a",
        "size": 1,
        "sha256": "00",
        "mime_type": None,
        "skipped": False,
        "verified": False,
        "seconds": 0.0,
        "retries": 0,
    }
    assert (
        json.loads(json.dumps(DownloadedFile("https://h/a", "/a", 1, "00", None, False).to_dict())) == fields
    )
