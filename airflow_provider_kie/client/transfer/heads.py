"""What the head of a file host's response promises of the body, and which error a refusal is."""

from __future__ import annotations

import mimetypes
import re
from dataclasses import dataclass

from airflow_provider_kie.client.answers import retry_after
from airflow_provider_kie.client.errors import (
    KieError,
    KieNotFoundError,
    KieRateLimitError,
    KieTransferError,
    KieUnavailableError,
)
from airflow_provider_kie.client.http.responses import FileResponse

PAGES = frozenset({"text/html", "application/xhtml+xml"})


@dataclass(frozen=True)
class Span:
    """
    The part of a file that a response carries.

    :param start: Bytes of the file before this part.
    :param length: Bytes of this part.
    :param total: Bytes of the whole file.
    """

    start: int
    length: int
    total: int


def mime_type_of(response: FileResponse) -> str | None:
    """
    Read the media type.

    :param response: Response of a file host.
    :return: In lower case and without parameters; None if the host sent none.
    """
    return response.headers.get("content-type", "").partition(";")[0].strip().lower() or None


def is_page_instead(mime_type: str | None, file_name: str) -> bool:
    """
    Return whether a page came in place of a file: proxies and storages send theirs with HTTP 200 too.

    :param mime_type: Media type of the response.
    :param file_name: The file's name.
    :return: True for HTML if the name ends like something else; a name without an extension, or with an
        unknown one, may be a page's.
    """
    named = mimetypes.guess_type(file_name, strict=False)[0]
    return mime_type in PAGES and named is not None and named not in PAGES


def strong_etag_of(response: FileResponse) -> str | None:
    """
    Read the tag that identifies this exact version of the file.

    :param response: Response of a file host.
    :return: The ETag; None if it is missing, malformed, or weak: other bytes may share a weak one.
    """
    etag = response.headers.get("etag", "")
    return etag if re.fullmatch(r'"[\x21\x23-\x7e]*"', etag) else None


def length_of(response: FileResponse) -> int | None:
    """
    Read how long the body is.

    :param response: Response of a file host.
    :return: Bytes; None if that is not announced.
    :raises KieTransferError: It is more than any file system can hold.
    """
    length = response.headers.get("content-length", "")
    if not re.fullmatch(r"[0-9]+", length):
        return None
    if len(length) > 18:
        raise KieTransferError(f"download: the host announces {length[:20]} bytes, which no file has")
    return int(length)


def span_of(response: FileResponse) -> Span | None:
    """
    Read which part of the file an HTTP 206 response carries.

    :param response: Response of a file host.
    :return: The part; None if it is not stated, contradicts itself, or the bytes are compressed.
    """
    told = response.headers.get("content-range", "")
    match = re.fullmatch(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", told)
    if match is None or response.encoding:
        return None
    start, last, total = (int(number) for number in match.groups())
    span = Span(start, last + 1 - start, total)
    fits = start <= last < total and length_of(response) in (None, span.length)
    return span if fits else None


def refusal(response: FileResponse, *, signed: bool) -> KieError:
    """
    Return the error for a response.

    :param response: Response without bytes of the file.
    :param signed: Whether the request used a signed link, which can expire.
    :return: The error.
    """
    status = response.status
    said = f"download: the file host answered HTTP {status}"
    if status in (403, 410) and signed:
        return KieTransferError(f"{said}: the signed link has expired.", code=status, retry_after=0)
    if status == 416:
        return KieTransferError(f"{said}: it no longer has this range.", code=status)
    if status in (404, 410):
        return KieNotFoundError(
            f"{said}: the file does not exist or has expired (uploads are kept 1 to 3 days, generated files "
            "14 days).",
            code=status,
        )
    wait = retry_after(response.headers)
    if status == 429:
        return KieRateLimitError(f"{said}: too many requests.", code=status, retry_after=wait)
    if status >= 500 or status in (408, 425):
        return KieUnavailableError(f"{said}.", code=status, retry_after=wait)
    return KieTransferError(f"{said}: it refuses the file.", code=status, transient=False)
