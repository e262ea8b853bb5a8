"""The client reads what the real service was recorded to say, which is HTTP 200 even for errors."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_kie.client import errors
from airflow_provider_kie.client.answers import read_answer
from airflow_provider_kie.client.api import credits, files
from airflow_provider_kie.client.call import Call

from . import recorded

CREDITS = credits.get_credits()
LINK = files.get_download_url("https://tempfile.aiquickdraw.com/a.png")
UPLOAD = files.upload_url("documents", "test.txt", "https://example.com/test.txt")


def read(call: Call[Any], body: bytes, status: int = 200) -> Any:
    return read_answer(call, status, {}, body)


def test_the_balance_is_a_float_in_either_form() -> None:
    assert read(CREDITS, recorded.CREDITS) == 5916.25
    assert read(CREDITS, recorded.CREDITS_OF_THE_DOCUMENTS) == 100.0
    assert isinstance(read(CREDITS, recorded.CREDITS_OF_THE_DOCUMENTS), float)


def test_the_link_is_a_bare_string() -> None:
    assert read(LINK, recorded.LINK) == "https://tempfile.example/a?sig=x"


def test_the_recorded_upload_is_read() -> None:
    receipt = read(UPLOAD, recorded.UPLOAD)
    assert receipt.file_name == "test.txt"
    assert receipt.file_path == "kieai/1/documents/test.txt"
    assert receipt.download_url == "https://tempfile.redpandaai.co/kieai/1/documents/test.txt"
    assert receipt.file_size == 11
    assert receipt.mime_type == "text/plain"
    assert receipt.uploaded_at == "2026-04-16T07:19:10.400000Z"
    assert receipt.expires_at is None
    assert receipt.extra == {"success": True}


def test_the_quickstarts_upload_is_read() -> None:
    receipt = read(UPLOAD, recorded.UPLOAD_OF_THE_QUICKSTART)
    assert receipt.file_path == "images/my-image.jpg"
    assert receipt.download_url == "https://kieai.redpandaai.co/download/file_abc123456"
    assert receipt.file_size == 245760
    assert receipt.uploaded_at == "2025-01-15T10:30:00Z"
    assert receipt.expires_at == "2025-01-18T10:30:00Z"
    assert receipt.extra["fileId"] == "file_abc123456"


@pytest.mark.parametrize(
    ("call", "body", "kind", "code", "transient"),
    [
        (LINK, recorded.NOT_GENERATED, errors.KieValidationError, 422, False),
        (CREDITS, recorded.SERVER_EXCEPTION, errors.KieUnavailableError, 500, True),
        (CREDITS, recorded.UNAUTHORIZED, errors.KieAuthError, 401, False),
        (UPLOAD, recorded.UPLOAD_UNAUTHORIZED, errors.KieAuthError, 401, False),
        (UPLOAD, recorded.MISSING_PARAMETER, errors.KieValidationError, 400, False),
        (UPLOAD, recorded.BAD_BASE64, errors.KieValidationError, 400, False),
        (CREDITS, recorded.NO_CREDITS_AS_500, errors.KieInsufficientCreditsError, 500, False),
        (CREDITS, recorded.NO_CREDITS_AS_429, errors.KieInsufficientCreditsError, 429, False),
        (CREDITS, recorded.TOO_OFTEN, errors.KieRateLimitError, 429, True),
    ],
)
def test_an_error_is_read_off_the_body(
    call: Call[Any], body: bytes, kind: type[errors.KieError], code: int, transient: bool
) -> None:
    with pytest.raises(kind) as caught:
        read(call, body)
    assert type(caught.value) is kind
    assert caught.value.code == code
    assert caught.value.transient is transient


def test_success_without_data_is_an_error() -> None:
    with pytest.raises(errors.KieResponseError, match="without the promised data"):
        read(CREDITS, recorded.UNKNOWN_RECORD)


def test_cloudflare_refusing_a_client_is_not_an_answer_of_kie_ai() -> None:
    with pytest.raises(errors.KieResponseError, match="HTTP 403"):
        read(CREDITS, b"1010", 403)
