"""Files on the web that this worker looks at or sends on; the API key goes to none of their hosts."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from tenacity import Retrying

from airflow_provider_kie.client.answers import retry_after
from airflow_provider_kie.client.call import Readable
from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import (
    KieCancelledError,
    KieError,
    KieSourceError,
    KieTransferError,
    KieUnavailableError,
)
from airflow_provider_kie.client.http.responses import FileResponse, Piece
from airflow_provider_kie.client.retries import RetryCount
from airflow_provider_kie.client.transfer.heads import is_page_instead, length_of, mime_type_of
from airflow_provider_kie.client.urls import file_name_of, without_query


@dataclass(frozen=True)
class WebSource:
    """
    A file on the web, fetched anew each time it is opened; see :class:`.upload.FileSource`.

    :param client: Open client.
    :param url: Its URL; redirects are followed.
    :param size: Bytes, as its host announced them.
    """

    client: KieClient
    url: str
    size: int

    @property
    def name(self) -> str:
        return file_name_of(self.url)

    @contextmanager
    def open(self) -> Iterator[Readable]:
        with closing(_fetching(self.client, self.url)) as responses:
            response = next(responses)
            if _length_of(response) != self.size:
                # The size announced to kie.ai stays wrong however often it is sent.
                raise KieTransferError(
                    f"{without_query(self.url)}: changed while it was being sent", transient=False
                )
            yield _Body(response.pieces(self.size))


def web_source(client: KieClient, url: str, *, retries: RetryCount | None = None) -> WebSource | None:
    """
    Look at a file on the web.

    :param client: Open client.
    :param url: http(s) URL of any host that this worker reaches.
    :param retries: Counts the retries.
    :return: The file, still unread; None if its host does not say how long it is.
    :raises ValueError: It is empty.
    :raises KieSourceError: Its host refuses it.
    :raises KieError: Its host cannot be reached, after all retries.
    """

    def look() -> int | None:
        with closing(_fetching(client, url)) as responses:
            return _length_of(next(responses))

    size: int | None = Retrying(**client.retry_policy("fetch", retries=retries))(look)
    if size == 0:
        raise ValueError(f"{without_query(url)} is empty; there is nothing to upload")
    return None if size is None else WebSource(client, url, size)


def is_served(client: KieClient, url: str, size: int) -> bool:
    """
    Return whether a public file is still there; fetches no more than its first byte.

    :param client: Open client.
    :param url: Its URL.
    :param size: Bytes that it must have.
    :return: True if it is there as it was; False also if that cannot be found out.
    :raises KieCancelledError: The client was stopped.
    """
    try:
        with client.open_file(url, {"Range": "bytes=0-0"}) as response:
            if response.status == 206:
                total = response.headers.get("content-range", "").rpartition("/")[2]
                return bool(total == str(size))
            return response.status == 200 and _length_of(response) == size
    except KieCancelledError:
        raise
    except KieError:
        return False


class _Bounded:
    """A file that refuses to grow beyond a limit."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file = file
        self._limit = limit

    def write(self, piece: Piece) -> int:
        if self._file.tell() + len(piece) > self._limit:
            raise KieSourceError(
                f"the file's host does not say how long it is, and it has more than {self._limit} bytes: "
                "bring it to a disk or an object storage first"
            )
        return self._file.write(piece)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def bounded(file: BinaryIO, limit: int) -> BinaryIO:
    """
    Keep a file from growing beyond a limit.

    :param file: Where the bytes go.
    :param limit: Bytes.
    :return: The file, whose ``write`` raises :class:`.errors.KieSourceError` beyond that.
    """
    return cast("BinaryIO", _Bounded(file, limit))


def _fetching(client: KieClient, url: str) -> Generator[FileResponse, None, None]:
    # A separate generator: a failure of the upload that reads the response must not pass through this
    # ``with``, which would blame the response.
    with client.open_file(url, name=f"fetching {without_query(url)}") as response:
        if response.status != 200:
            raise _refusal(response, without_query(url))
        if is_page_instead(mime_type_of(response), file_name_of(url)):
            raise KieTransferError(f"{without_query(url)}: a page of HTML came instead of the file")
        yield response


def _refusal(response: FileResponse, shown: str) -> KieError:
    status = response.status
    said = f"{shown}: its host answered this worker with HTTP {status}."
    if status >= 500 or status in (408, 425, 429):
        return KieUnavailableError(said, code=status, retry_after=retry_after(response.headers))
    return KieSourceError(said, code=status)


def _length_of(response: FileResponse) -> int | None:
    # With either, an announced length is not that of the bytes that arrive.
    framed = response.is_framed or response.encoding
    return None if framed else length_of(response)


class _Body:
    """A body as a file that can be read once, from start to end."""

    def __init__(self, pieces: Iterator[Piece]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def read(self, size: int = -1, /) -> bytes:
        try:
            while not self._rest:
                self._rest = memoryview(next(self._pieces))
        except StopIteration:
            return b""
        end = len(self._rest) if size < 0 else size
        piece, self._rest = bytes(self._rest[:end]), self._rest[end:]
        return piece
