"""Bytes down: signed right before, streamed, resumed after a cut, checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, Self

from tenacity import Retrying

from airflow_provider_kie.client.api import files
from airflow_provider_kie.client.call import Call
from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import KieError, KieTransferError, KieValidationError
from airflow_provider_kie.client.http.responses import FileResponse, Piece
from airflow_provider_kie.client.retries import RetryCount
from airflow_provider_kie.client.transfer.heads import (
    PAGES,
    is_page_instead,
    length_of,
    mime_type_of,
    refusal,
    span_of,
    strong_etag_of,
)
from airflow_provider_kie.client.transfer.progress import Progress, Tries
from airflow_provider_kie.client.transfer.sink import Sink
from airflow_provider_kie.client.urls import file_name_of, without_query

Sign = Literal["auto", "always", "never"]


@dataclass(frozen=True)
class Received:
    """
    The outcome of a download.

    :param size: Bytes.
    :param sha256: Their hash, in hex.
    :param mime_type: Media type that the host sent, without parameters; None if it sent none.
    :param verified: Whether the end was announced in some way, so that a cut cannot have gone unnoticed.
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

        :param size: Bytes, as a number or as text; None or empty for any.
        :param sha256: 64 hexadecimal digits; None or empty for any.
        :return: The expectation.
        :raises ValueError: One of them is neither.
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
    retries: RetryCount | None = None,
) -> Received:
    """
    Fetch a file.

    A cut transfer resumes where it stopped if the host can, else from the start. A signed link is asked for
    right before the transfer, and again once it has expired.

    Announced and expected values are compared as early as possible. A file that does not match is fetched at
    most once more.

    :param client: Open client; its ``max_retries`` bounds the tries without progress.
    :param file_url: URL of the file.
    :param sink: Empty, seekable file to write the bytes to.
    :param signed: Whether to ask kie.ai for a signed link; the key itself never goes to a file host.
    :param expected: Size and hash that the file must have.
    :param retries: Counts the retries.
    :return: What was received; the length has been checked against the one announced.
    :raises KieValidationError: kie.ai did not generate this file, so it signs no link to it.
    :raises KieNotFoundError: The file does not exist, or no longer exists.
    :raises KieTransferError: The bytes did not arrive whole, are not the expected ones, are a page instead,
        or the host refuses them.
    :raises KieError: Any other failure, after the last try.
    :raises OSError: The sink has no room for them, or cannot be written.

    kie.ai page: https://docs.kie.ai/common-api/download-url
    """
    transfer = _Download(client, file_url, sink, signed, expected)
    policy = client.retry_policy("download", retries=retries)
    policy["stop"] = lambda state: transfer.tries.are_over()
    received: Received = Retrying(**policy)(transfer.attempt)
    return received


def needs_signing(client: KieClient, file_url: str, sign: Sign) -> bool:
    """
    Decide whether a file is fetched through a signed link.

    :param client: Client whose settings know the hosts of uploaded files.
    :param file_url: URL of the file.
    :param sign: ``auto`` (all but uploaded files), ``always`` or ``never``.
    :return: True to ask kie.ai for a link.
    """
    return sign == "always" or (sign == "auto" and not client.settings.is_uploaded_file(file_url))


def signed_link(send: Callable[[Call[str]], str], file_url: str) -> str:
    """
    Ask for a signed link.

    :param send: Sends the call: a client's ``send`` or ``send_once``.
    :param file_url: URL of a file that kie.ai generated.
    :return: The link, a secret.
    :raises KieValidationError: kie.ai did not generate this file, so it signs no link to it.
    :raises KieError: Any other failure.

    kie.ai page: https://docs.kie.ai/common-api/download-url
    """
    try:
        return send(files.get_download_url(file_url))
    except KieValidationError as error:
        raise error.saying(
            f"{error} Only files that kie.ai generated can be signed; fetch an uploaded file by its "
            "download_url with sign='auto' or 'never'."
        ) from None


class _Download:
    """One file's download: what has been received so far, and the link it comes from."""

    def __init__(
        self, client: KieClient, file_url: str, sink: BinaryIO, signed: bool, expected: Expected
    ) -> None:
        self.client = client
        self.file_url = file_url
        self.shown = without_query(file_url)
        self.sink = Sink(sink)
        self.signed = signed
        self.expected = expected
        self.link = None if signed else file_url
        self.progress = Progress(self.shown)
        self.tries = Tries(client.settings.max_retries)
        self.misfits = 0
        self._start_over()

    def attempt(self) -> Received:
        """Receive what is missing, or raise an error that names the file."""
        self.tries.begin()
        try:
            return self._receive()
        except KieError as error:
            # A failure after the client was stopped is not the host's.
            self.client.check_running()
            error.saying(f"{self.shown}: {error.args[0]}")
            raise

    def _receive(self) -> Received:
        if self.link is None:
            self.link = signed_link(self.client.send_once, self.file_url)
        with self.client.open_file(self.link, self._range_headers()) as response:
            for piece in response.pieces(self._accept(response)):
                self._append(piece)
        sha256 = self._check()
        verified = (
            self.total is not None
            or response.is_framed
            or response.encoding is not None
            or self.expected != NOTHING_EXPECTED
        )
        return Received(self.sink.size, sha256, self.mime_type, verified)

    def _append(self, piece: Piece) -> None:
        self.client.check_running()
        size = self._size()
        if size is not None and self.sink.size + len(piece) > size:
            raise self._misfit(f"more bytes came than the {size} that it should have")
        self.sink.append(piece)
        self.tries.at(self.sink.size, self.total)
        self.progress.at(self.sink.size)

    def _size(self) -> int | None:
        """Return the size that the file must have in the end, if known."""
        return self.total if self.total is not None else self.expected.size

    def _check(self) -> str:
        """Compare what arrived with what was announced and what is expected; return the hash."""
        received, sha256 = self.sink.size, self.sink.sha256()
        if self.total is not None and received < self.total:
            raise KieTransferError(f"download: {received} bytes arrived of {self.total}")
        if self.expected.size not in (None, received):
            raise self._misfit(f"{received} bytes arrived, not the expected {self.expected.size}")
        if self.expected.sha256 not in (None, sha256):
            raise self._misfit(f"its sha256 is {sha256}, not the expected {self.expected.sha256}")
        return sha256

    def _misfit(self, wrong: str) -> KieTransferError:
        """Start over, because this is not the announced or expected file; the second time is the last."""
        self._start_over()
        self.misfits += 1
        return KieTransferError(f"download: {wrong}", transient=self.misfits < 2)

    def _start_over(self) -> None:
        self.etag: str | None = None
        self.mime_type: str | None = None
        self.total: int | None = None
        self.sink.start_over()

    def _range_headers(self) -> dict[str, str]:
        if self.sink.size and self.etag:
            return {"Range": f"bytes={self.sink.size}-", "If-Range": self.etag}
        return {}

    def _accept(self, response: FileResponse) -> int | None:
        """Judge the head of a response; return the length of the body to append to what is there."""
        if response.status == 206:
            length: int | None = self._accept_rest(response)
        elif response.status == 200:
            length = self._accept_whole(response)
        else:
            raise self._refusal(response)
        self.progress.total = self.total
        if self.total is not None and self.expected.size not in (None, self.total):
            raise self._misfit(f"{self.total} bytes are announced, not the expected {self.expected.size}")
        if (size := self._size()) is not None:
            self.sink.check_room(size)
        return length

    def _accept_whole(self, response: FileResponse) -> int | None:
        mime_type = mime_type_of(response)
        instead_of_rest = self.sink.size and mime_type in PAGES and self.mime_type not in PAGES
        if instead_of_rest or is_page_instead(mime_type, file_name_of(self.file_url)):
            # A proxy's page is not a version of the file, which may be there again next time.
            raise KieTransferError(f"download: a page ({mime_type}) came instead of the file")
        self._start_over()
        self.mime_type = mime_type
        if response.encoding is None:
            # The length and ranges of compressed bytes say nothing about what is written.
            self.etag = strong_etag_of(response)
            self.total = length_of(response)
        return self.total

    def _accept_rest(self, response: FileResponse) -> int:
        span = span_of(response)
        # Some hosts know Range but not If-Range: without the same tag, this may be another version.
        if (
            span is None
            or not self._range_headers()
            or response.headers.get("etag") != self.etag
            or span.start != self.sink.size
            or self.total not in (None, span.total)
            # A multipart answer, or a page, has another type.
            or mime_type_of(response) not in (None, self.mime_type)
        ):
            self._start_over()
            raise KieTransferError("download: the host answered with another range than was asked for")
        self.total = span.total
        return span.length

    def _refusal(self, response: FileResponse) -> KieError:
        if response.status in (403, 410) and self.signed:
            self.link = None
        elif response.status == 416:
            self._start_over()
        return refusal(response, signed=self.signed)
