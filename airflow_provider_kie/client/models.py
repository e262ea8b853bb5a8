"""What kie.ai's answers hold, read into values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, Self

import pendulum

from airflow_provider_kie.client.errors import KieResponseError
from airflow_provider_kie.client.urls import is_http_url


@dataclass(frozen=True)
class UploadReceipt:
    """
    kie.ai's answer to an upload.

    :param file_name: Name under which the file is kept.
    :param file_path: Path at kie.ai, beginning with the account's prefix.
    :param download_url: Public URL, good until the file expires.
    :param file_size: Bytes, as kie.ai counted them.
    :param mime_type: Media type, which kie.ai takes from the name's extension.
    :param uploaded_at: When, ISO 8601 in UTC.
    :param expires_at: When it will be deleted, ISO 8601 in UTC, where the answer says so.
    :param extra: Fields of the answer that are none of the above, as they came.
    """

    file_name: str
    file_path: str
    download_url: str
    file_size: int
    mime_type: str
    uploaded_at: str
    expires_at: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class UploadedFile:
    """
    A file that was uploaded.

    :param source: Where it came from; a URL without its query, which may be a signature.
    :param method: ``stream``, ``url`` or ``base64``.
    :param file_name: Name at kie.ai.
    :param file_path: Path at kie.ai, beginning with the account's prefix.
    :param download_url: Public URL, good until ``expires_at``: what generation calls take.
    :param file_size: Bytes.
    :param mime_type: Media type.
    :param uploaded_at: ISO 8601 in UTC.
    :param expires_at: When kie.ai deletes it, ISO 8601 in UTC.
    :param sha256: Hash of the bytes sent, in hex; None where kie.ai fetched them itself.
    :param seconds: How long it took.
    :param retries: How often something had to be sent again.
    """

    source: str
    method: str
    file_name: str
    file_path: str
    download_url: str
    file_size: int
    mime_type: str
    uploaded_at: str
    expires_at: str
    sha256: str | None
    seconds: float = 0.0
    retries: int = 0

    @classmethod
    def from_receipt(
        cls,
        receipt: UploadReceipt,
        *,
        source: str,
        method: str,
        sha256: str | None,
        retention: float,
        seconds: float = 0.0,
        retries: int = 0,
    ) -> Self:
        """
        Join kie.ai's receipt with what the sender knows.

        :param receipt: kie.ai's answer.
        :param source: Where the file came from, fit to be shown.
        :param method: How it was uploaded.
        :param sha256: Hash of what was sent.
        :param retention: Hours that kie.ai keeps it, for answers that do not say when it expires.
        :param seconds: How long it took.
        :param retries: How often something had to be sent again.
        :return: The uploaded file.
        """
        return cls(
            source=source,
            method=method,
            file_name=receipt.file_name,
            file_path=receipt.file_path,
            download_url=receipt.download_url,
            file_size=receipt.file_size,
            mime_type=receipt.mime_type,
            uploaded_at=receipt.uploaded_at,
            expires_at=receipt.expires_at or hours_later(receipt.uploaded_at, retention),
            sha256=sha256,
            seconds=seconds,
            retries=retries,
        )

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON-safe dict that the operator returns."""
        return asdict(self)


@dataclass(frozen=True)
class DownloadedFile:
    """
    A file that was downloaded, or was there already.

    :param file_url: Where it came from, without the query, which may be a signature.
    :param path: Where it is: absolute path, or URL in an object storage.
    :param size: Bytes.
    :param sha256: Hash of the bytes, in hex; None if the download was skipped.
    :param mime_type: Media type that the file host said; None if it did not, or if skipped.
    :param skipped: True if the file was there and ``if_exists="skip"``.
    :param verified: True if its length was announced or expected, so that it cannot have been cut unnoticed.
    :param seconds: How long it took.
    :param retries: How often something had to be sent again.
    """

    file_url: str
    path: str
    size: int
    sha256: str | None
    mime_type: str | None
    skipped: bool
    verified: bool = False
    seconds: float = 0.0
    retries: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON-safe dict that the operator returns."""
        return asdict(self)


def parse_credits(data: Any) -> float:
    """
    Read the balance.

    :param data: The answer's ``data``: a float as recorded, an integer as documented, or either as text.
    :return: Credits.
    :raises KieResponseError: It is no finite number.
    """
    if isinstance(data, int | float | str) and not isinstance(data, bool):
        try:
            credits_ = float(data)
        except (ValueError, OverflowError):
            credits_ = math.nan
        if math.isfinite(credits_):
            return credits_
    raise KieResponseError(f"the balance is no number but {type(data).__name__}")


def parse_link(data: Any) -> str:
    """
    Read a download link.

    :param data: The answer's ``data``: a bare URL.
    :return: The link, which is a secret: whoever has it can read the file.
    :raises KieResponseError: It is no http(s) URL.
    """
    if isinstance(data, str) and is_http_url(data):
        return data
    raise KieResponseError(f"the download link is no URL but {type(data).__name__}")


def parse_upload(data: Any) -> UploadReceipt:
    """
    Read the answer to an upload, in the recorded shape or in the quickstart's.

    :param data: The answer's ``data``.
    :return: The receipt.
    :raises KieResponseError: A promised field is missing or of the wrong kind.
    """
    if not isinstance(data, Mapping):
        raise KieResponseError(f"the upload's answer is no object but {type(data).__name__}")
    fields = dict(data)
    file_name = _take(fields, str, "fileName")
    if "filePath" in fields:
        file_path = _take(fields, str, "filePath")
    else:
        file_path = f"{_take(fields, str, 'uploadPath')}/{file_name}"
    download_url = _take(fields, str, "downloadUrl", "fileUrl")
    if not is_http_url(download_url):
        raise KieResponseError("the upload's answer has a downloadUrl that is no URL")
    return UploadReceipt(
        file_name=file_name,
        file_path=file_path,
        download_url=download_url,
        file_size=_take(fields, int, "fileSize"),
        mime_type=_take(fields, str, "mimeType"),
        uploaded_at=_as_utc(_take(fields, str, "uploadedAt", "uploadTime")),
        expires_at=_as_utc(_take(fields, str, "expiresAt")) if fields.get("expiresAt") else None,
        extra=fields,
    )


def hours_later(moment: str, hours: float) -> str:
    """
    Add hours to a moment.

    :param moment: ISO 8601.
    :param hours: How many.
    :return: ISO 8601 in UTC.
    """
    return (_parse_time(moment) + timedelta(hours=hours)).to_iso8601_string()


def _take(fields: dict[str, Any], kind: type, *names: str) -> Any:
    for name in names:
        value = fields.pop(name, None)
        if isinstance(value, kind) and not isinstance(value, bool) and value != "":
            return value
    raise KieResponseError(f"the upload's answer has no usable {' or '.join(names)}")


def _as_utc(moment: str) -> str:
    return _parse_time(moment).to_iso8601_string()


def _parse_time(moment: str) -> pendulum.DateTime:
    # pendulum also reads "now", times without a date, durations; kie.ai sends none of these.
    try:
        parsed = pendulum.parse(moment) if re.match(r"\d{4}-\d\d-\d\d[T ]", moment) else None
        if isinstance(parsed, pendulum.DateTime):
            return parsed.in_timezone("UTC")
    except (ValueError, OverflowError):
        pass
    raise KieResponseError("the upload's answer has a time that is not ISO 8601")
