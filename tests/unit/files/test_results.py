from __future__ import annotations

import json
from dataclasses import replace

import pytest

from airflow_provider_kie.client.api.files import UploadReceipt
from airflow_provider_kie.files.results import DownloadedFile, UploadedFile

RECEIPT = UploadReceipt(
    file_name="test.txt",
    file_path="kieai/183531/documents/test.txt",
    download_url="https://tempfile.redpandaai.co/kieai/183531/documents/test.txt",
    file_size=11,
    mime_type="text/plain",
    uploaded_at="2026-04-16T07:19:10.400000Z",
)


@pytest.mark.parametrize(
    ("told", "expires_at"),
    [(None, "2026-04-18T07:19:10.400000Z"), ("2026-04-17T00:00:00Z", "2026-04-17T00:00:00Z")],
)
def test_an_uploaded_file_expires_when_kie_ai_says_or_after_the_retention(
    told: str | None, expires_at: str
) -> None:
    receipt = replace(RECEIPT, expires_at=told)
    file = UploadedFile.from_receipt(receipt, source="/a", method="stream", sha256="00", retention=48)
    assert file.expires_at == expires_at


def test_an_uploaded_file_is_the_dict_that_is_promised() -> None:
    file = UploadedFile.from_receipt(RECEIPT, source="/a.txt", method="url", sha256=None, retention=24)
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
