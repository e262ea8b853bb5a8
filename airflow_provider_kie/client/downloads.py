"""Bytes down: signed right before, streamed, resumed after a cut, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, BinaryIO, Self

import httpx
from tenacity import RetryCallState, Retrying

from airflow_provider_kie.client import calls
from airflow_provider_kie.client.answers import retry_after
from airflow_provider_kie.client.bodies import Piece, encoding_of, pieces_of
from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import (
    KieError,
    KieNotFoundError,
    KieRateLimitError,
    KieTransferError,
    KieUnavailableError,
    KieValidationError,
)
from airflow_provider_kie.client.hashing import Sha256
from airflow_provider_kie.client.progress import Progress
from airflow_provider_kie.client.retries import Retries
from airflow_provider_kie.client.urls import without_query

SIGN = ("auto", "always", "never")


@dataclass(frozen=True)
class Received:
    """
    What a download brought.

    :param size: Bytes.
    :param sha256: Their hash, in hex.
    :param mime_type: Media type as the host said it, without parameters; None if it did not.
    :param verified: Whether the end was announced in some way, so that it cannot have been cut unnoticed.
    """

    size: int
    sha256: str
    mime_type: str | None
    verified: bool = True


@dataclass(frozen=True)
class Expected:
    """
    What the caller knows of a file beforehand.

    :param size: Bytes.
    :param sha256: Hash in hex.
    """

    size: int | None = None
    sha256: str | None = None

    @classmethod
    def parse(cls, size: Any, sha256: Any) -> Self:
        """
        Read what a DAG author wrote, after templating.

        :param size: Bytes, a number or one as text; None or empty for any.
        :param sha256: 64 hexadecimal digits; None or empty for any.
        :return: The expectation.
        :raises ValueError: It is neither.
        """
        if size not in (None, "") and not re.fullmatch(r"[0-9]{1,18}", str(size)):
            raise ValueError(f"expected_size must be a number of bytes, not {size!r}")
        if sha256 not in (None, "") and not re.fullmatch(r"[0-9a-fA-F]{64}", str(sha256)):
            raise ValueError(f"expected_sha256 must be 64 hexadecimal digits, not {sha256!r}")
        return cls(int(size) if size not in (None, "") else None, str(sha256).lower() if sha256 else None)


NOTHING_EXPECTED = Expected()


def download(
    client: KieClient,
    file_url: str,
    sink: BinaryIO,
    *,
    signed: bool,
    expected: Expected = NOTHING_EXPECTED,
    retries: Retries | None = None,
) -> Received:
    """
    Fetch a file.

    A cut transfer goes on where it stopped if the host can, and else from the start. A signed link is asked
    for right before the transfer and again when it has expired.

    :param client: Open client; its ``max_retries`` bounds the tries that bring the transfer no further.
    :param file_url: URL of the file.
    :param sink: Empty, seekable file that the bytes are written to.
    :param signed: Whether kie.ai is asked for a signed link; the key itself never goes to a file host.
    :param expected: Size and hash that the file has to have.
    :param retries: Counts the retries.
    :return: What was received; the length has been checked against the one announced.
    :raises KieValidationError: kie.ai did not generate this file, so it signs no link to it.
    :raises KieNotFoundError: The file does not exist, or no longer.
    :raises KieTransferError: The bytes did not arrive whole, are not the expected, or the host refuses them.
    :raises KieError: Any other failure, after the last try.

    kie.ai page: https://docs.kie.ai/common-api/download-url
    """
    transfer = _Download(client, file_url, sink, signed, expected)
    policy = client.retry_policy("download", retries=retries) | {"stop": transfer.is_exhausted}
    received: Received = Retrying(**policy)(transfer.attempt)
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

    def __init__(
        self, client: KieClient, file_url: str, sink: BinaryIO, signed: bool, expected: Expected
    ) -> None:
        self.client = client
        self.file_url = file_url
        self.sink = sink
        self.signed = signed
        self.expected = expected
        self.link = None if signed else file_url
        self.progress = Progress(without_query(file_url))
        self.furthest = 0
        self.vain_tries = 0
        self._start_over()

    def is_exhausted(self, state: RetryCallState) -> bool:
        """Give up after ``max_retries`` + 1 tries in a row that came no further than those before."""
        most = self.client.settings.max_retries
        return not most or self.vain_tries > most

    def attempt(self) -> Received:
        """Sign if need be, then receive what is missing."""
        self.vain_tries += 1
        if self.link is None:
            self.link = self._sign()
        with self.client.open_file(self.link, self._range_headers()) as response:
            self._accept(response)
            length = None if self.total is None else self.total - self.received
            for piece in pieces_of(response, length):
                self._append(piece)
        self._check()
        verified = (
            self.total is not None
            or "transfer-encoding" in response.headers
            or encoding_of(response) is not None
            or self.expected != NOTHING_EXPECTED
        )
        return Received(self.received, self.sha256.hexdigest(), self.mime_type, verified)

    def _append(self, piece: Piece) -> None:
        self.client.check_running()
        self.sink.write(piece)
        self.sha256.update(piece)
        self.received += len(piece)
        if self.received > self.furthest:
            self.furthest = self.received
            self.vain_tries = 0
        self.progress.at(self.received)

    def _check(self) -> None:
        """Compare what arrived with what was announced and what the caller expects."""
        wrong = None
        if self.received != (self.total if self.total is not None else self.received):
            wrong = f"{self.received} bytes arrived of {self.total}"
        elif self.expected.size not in (None, self.received):
            wrong = f"{self.received} bytes arrived, not the expected {self.expected.size}"
        elif self.expected.sha256 and self.sha256.hexdigest() != self.expected.sha256:
            wrong = f"what arrived has the sha256 {self.sha256.hexdigest()}, not the expected one"
        if wrong:
            self._start_over()
            raise KieTransferError(f"download: {wrong}")

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
        self.mime_type: str | None = None
        self.total: int | None = None
        self.sha256 = Sha256()
        self.sink.seek(0)
        self.sink.truncate()

    def _range_headers(self) -> dict[str, str]:
        if self.received and self.etag:
            return {"Range": f"bytes={self.received}-", "If-Range": self.etag}
        return {}

    def _accept(self, response: httpx.Response) -> None:
        """Judge the head of a response; afterwards its body can be appended to what is there."""
        if response.status_code == 206:
            self._accept_range(response)
            return
        if response.status_code != 200:
            raise self._refusal(response)
        mime_type = _mime_type(response)
        if self.received and mime_type == "text/html" != self.mime_type:
            # A proxy's page is no newer version of the file; the file may still be there the next time.
            raise KieTransferError("download: the host answered the request for the rest with a page")
        if self.received:
            self._start_over()
        self.mime_type = mime_type
        if encoding_of(response) is None:
            # Neither length nor ranges of packed bytes speak of what is written.
            self.etag = _strong_etag(response)
            length = response.headers.get("content-length", "")
            self.total = int(length) if length.isdecimal() else None
        self.progress.total = self.total

    def _accept_range(self, response: httpx.Response) -> None:
        match = re.fullmatch(
            r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})", response.headers.get("content-range", "")
        )
        total = int(match[2]) if match and int(match[1]) == self.received else None
        same_file = response.headers.get("etag", self.etag) == self.etag and total == (self.total or total)
        if not self.received or total is None or not same_file or encoding_of(response):
            self._start_over()
            raise KieTransferError("download: the host answered with another range than was asked for")
        self.total = total

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
        if status >= 500 or status in (408, 425):
            return KieUnavailableError(f"{said}.", code=status, retry_after=wait)
        return KieTransferError(f"{said}: it refuses the file.", code=status, transient=False)


def _mime_type(response: httpx.Response) -> str | None:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower() or None


def _strong_etag(response: httpx.Response) -> str | None:
    etag = response.headers.get("etag", "")
    return etag if etag.isascii() and etag.startswith('"') else None
