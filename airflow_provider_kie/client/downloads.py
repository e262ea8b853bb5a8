"""Bytes down: signed right before, streamed, resumed after a cut, checked."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import BinaryIO

import httpx
from tenacity import Retrying

from airflow_provider_kie.client import calls
from airflow_provider_kie.client.answers import retry_after
from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import (
    KieError,
    KieNotFoundError,
    KieRateLimitError,
    KieTransferError,
    KieUnavailableError,
    KieValidationError,
)
from airflow_provider_kie.client.retries import retry_policy

SIGN = ("auto", "always", "never")


@dataclass(frozen=True)
class Received:
    """
    What a download brought.

    :param size: Bytes.
    :param sha256: Their hash, in hex.
    :param mime_type: Media type as the host said it, without parameters; None if it did not.
    """

    size: int
    sha256: str
    mime_type: str | None


def download(client: KieClient, file_url: str, sink: BinaryIO, *, signed: bool) -> Received:
    """
    Fetch a file.

    A cut transfer goes on where it stopped if the host can, and else from the start. A signed link is asked
    for right before the transfer and again when it has expired.

    :param client: Open client; its ``max_retries`` bounds the tries.
    :param file_url: URL of the file.
    :param sink: Empty, seekable file that the bytes are written to.
    :param signed: Whether kie.ai is asked for a signed link; the key itself never goes to a file host.
    :return: What was received; the length has been checked against the one announced.
    :raises KieValidationError: kie.ai did not generate this file, so it signs no link to it.
    :raises KieNotFoundError: The file does not exist, or no longer.
    :raises KieTransferError: The bytes did not arrive whole, or the host refuses them.
    :raises KieError: Any other failure, after the last try.

    kie.ai page: https://docs.kie.ai/common-api/download-url
    """
    policy = retry_policy("download", max_retries=client.settings.max_retries)
    received: Received = Retrying(**policy)(_Download(client, file_url, sink, signed).attempt)
    return received


def needs_signing(client: KieClient, file_url: str, sign: str) -> bool:
    """
    Decide whether a file is fetched through a signed link.

    :param client: Client whose settings know the hosts of uploaded files.
    :param file_url: URL of the file.
    :param sign: ``auto`` (all but uploaded files), ``always`` or ``never``.
    :return: True to ask kie.ai for a link.
    """
    return sign == "always" or (sign == "auto" and not client.settings.is_uploaded_file(file_url))


class _Download:
    """One file's way down: what has been received so far, and the link it comes from."""

    def __init__(self, client: KieClient, file_url: str, sink: BinaryIO, signed: bool) -> None:
        self.client = client
        self.file_url = file_url
        self.sink = sink
        self.signed = signed
        self.link = None if signed else file_url
        self._start_over()

    def attempt(self) -> Received:
        """Sign if need be, then receive what is missing."""
        if self.link is None:
            self.link = self._sign()
        with self.client.open_file(self.link, self._range_headers()) as response:
            total = self._accept(response)
            for chunk in response.iter_bytes():
                self.sink.write(chunk)
                self.sha256.update(chunk)
                self.received += len(chunk)
        if total is not None and self.received != total:
            found = self.received
            self._start_over()
            raise KieTransferError(f"download: {found} bytes arrived of {total}")
        mime_type = response.headers.get("content-type", "").partition(";")[0].strip() or None
        return Received(self.received, self.sha256.hexdigest(), mime_type)

    def _sign(self) -> str:
        try:
            return self.client.send_once(calls.get_download_url(self.file_url))
        except KieValidationError as error:
            raise KieValidationError(
                f"{error} Only files that kie.ai generated can be signed; fetch an uploaded file by its "
                "download_url with sign='auto' or 'never'.",
                code=error.code,
            ) from None

    def _start_over(self) -> None:
        self.received = 0
        self.etag: str | None = None
        self.total: int | None = None
        self.sha256 = hashlib.sha256()
        self.sink.seek(0)
        self.sink.truncate()

    def _range_headers(self) -> dict[str, str]:
        if self.received and self.etag:
            return {"Range": f"bytes={self.received}-", "If-Range": self.etag}
        return {}

    def _accept(self, response: httpx.Response) -> int | None:
        """Judge the head of a response; give the file's length if it is known, ready to append the body."""
        status = response.status_code
        if status == 206:
            return self._accept_range(response)
        if status != 200:
            raise self._refusal(response)
        if self.received:
            self._start_over()
        if self._is_encoded(response):
            return None
        self.etag = _strong_etag(response)
        length = response.headers.get("content-length", "")
        self.total = int(length) if length.isdecimal() else None
        return self.total

    def _is_encoded(self, response: httpx.Response) -> bool:
        """Tell whether plain bytes were asked for, and compressed ones came that httpx unpacks."""
        encoding = response.headers.get("content-encoding", "").lower() or "identity"
        if encoding not in ("identity", "gzip", "deflate"):
            raise KieTransferError(f"download: the bytes come encoded as {encoding!r}", transient=False)
        return bool(encoding != "identity")

    def _accept_range(self, response: httpx.Response) -> int:
        match = re.fullmatch(
            r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})", response.headers.get("content-range", "")
        )
        total = int(match[2]) if match and int(match[1]) == self.received else None
        same_file = _strong_etag(response) in (self.etag, None) and total in (self.total or total, None)
        if not self.received or total is None or not same_file or self._is_encoded(response):
            self._start_over()
            raise KieTransferError("download: the host answered with another range than was asked for")
        return total

    def _refusal(self, response: httpx.Response) -> KieError:
        status = response.status_code
        said = f"download: the file host answered HTTP {status}"
        if status in (403, 410) and self.signed:
            self.link = None
            return KieTransferError(f"{said}: the signed link has expired.", code=status, retry_after=0)
        if status == 416:
            self._start_over()
            return KieTransferError(f"{said}: it no longer has this range.", code=status)
        if status in (404, 410):
            return KieNotFoundError(
                f"{said}: the file does not exist or has expired (uploads are kept 1 to 3 days, "
                "generated files 14 days).",
                code=status,
            )
        wait = retry_after(response.headers)
        if status == 429:
            return KieRateLimitError(f"{said}: too many requests.", code=status, retry_after=wait)
        if status >= 500:
            return KieUnavailableError(f"{said}.", code=status, retry_after=wait)
        return KieTransferError(f"{said}: it refuses the file.", code=status, transient=False)


def _strong_etag(response: httpx.Response) -> str | None:
    etag = response.headers.get("etag", "")
    return etag if etag.isascii() and etag.startswith('"') else None
