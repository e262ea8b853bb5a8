"""What a transfer gives: a file at kie.ai, or a file that was fetched from there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from airflow_provider_kie.client.api.files import UploadReceipt, hours_later


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


Moved = UploadedFile | DownloadedFile
