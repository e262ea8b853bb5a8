"""Bytes up: which method, under which name, hashed and counted on the way."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import re
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import PurePosixPath
from typing import Literal, Protocol

from airflow_provider_kie.client.api import files
from airflow_provider_kie.client.api.files import UploadReceipt
from airflow_provider_kie.client.call import FilePart, Readable
from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import KieTransferError
from airflow_provider_kie.client.retries import RetryCount
from airflow_provider_kie.client.transfer.progress import Progress

Method = Literal["stream", "url", "base64"]
UploadMethod = Literal["auto", Method]

# kie.ai's documents: base64 is advised up to 1 MB and refused beyond 10 MB.
BASE64_ADVISED = 1_000_000
BASE64_LIMIT = 10_000_000


class FileSource(Protocol):
    """A file to upload."""

    @property
    def name(self) -> str:
        """Last part of its path."""

    @property
    def size(self) -> int:
        """Bytes."""

    def open(self) -> AbstractContextManager[Readable]:
        """Open it from its start."""


def choose_method(method: UploadMethod, *, size: int | None) -> Method:
    """
    Decide how a source is uploaded.

    :param method: ``auto``, or one that the caller insists on.
    :param size: Bytes of the source; None for an http(s) URL not looked at yet.
    :return: ``url`` for URLs, ``base64`` up to 1 MB, else ``stream``, unless told otherwise.
    :raises ValueError: The method cannot carry this source.

    kie.ai page: https://docs.kie.ai/file-upload-api/quickstart
    """
    if size is None:
        if method == "base64":
            raise ValueError(
                "method='base64' needs a file, and the source is a URL: use 'url' or 'auto', by which kie.ai "
                "fetches it, or 'stream', which sends it through this worker"
            )
        return "stream" if method == "stream" else "url"
    if method == "url":
        raise ValueError("method='url' needs an http(s) URL, not a file: use 'stream' or 'auto'")
    if method == "base64" and size > BASE64_LIMIT:
        raise ValueError(f"method='base64' carries at most {BASE64_LIMIT} bytes, not {size}: use 'stream'")
    if method == "auto":
        return "base64" if size <= BASE64_ADVISED else "stream"
    return method


def unique_file_name(name: str) -> str:
    """
    Make a name that no other upload has: kie.ai overwrites silently and may serve the old bytes for a while.

    :param name: Name of the source; its end and extension are kept.
    :return: The unique name, in characters that need no escaping in a URL.
    """
    stem, suffix = (
        re.sub(r"[^A-Za-z0-9._-]+", "-", part)
        for part in (PurePosixPath(name).stem, PurePosixPath(name).suffix)
    )
    stem = stem[-80:].strip(".-")
    unique = uuid.uuid4().hex
    return f"{unique}-{stem}{suffix[:20]}" if stem else f"{unique}{suffix[:20]}"


def upload_stream(
    client: KieClient,
    source: FileSource,
    upload_path: str,
    file_name: str,
    *,
    retries: RetryCount | None = None,
) -> tuple[UploadReceipt, str]:
    """
    Upload a file as a stream; memory does not grow with its size.

    :param client: Open client.
    :param source: The file; opened again for every try.
    :param upload_path: Clean folder.
    :param file_name: Clean name.
    :param retries: Counts the retries.
    :return: kie.ai's receipt and the sha256 of what was sent.
    :raises KieTransferError: kie.ai counted other bytes than were sent, or the file changed meanwhile.
    :raises KieError: kie.ai refused it, or could not be reached.
    """
    reader: _HashingReader | None = None

    @contextmanager
    def opened() -> Iterator[Readable]:
        nonlocal reader
        with source.open() as file:
            reader = _HashingReader(file, source, client)
            yield reader

    part = FilePart(name=file_name, mime_type=_mime_type(file_name), size=source.size, open=opened)
    receipt = client.send(files.upload_stream(upload_path, part), retries=retries)
    if reader is None:  # pragma: no cover - the body is opened before there can be an answer
        raise KieTransferError("stream upload: the file was never opened")
    return _checked(receipt, reader.position), reader.sha256.hexdigest()


def upload_base64(
    client: KieClient,
    source: FileSource,
    upload_path: str,
    file_name: str,
    *,
    retries: RetryCount | None = None,
) -> tuple[UploadReceipt, str]:
    """
    Upload a small file inside JSON.

    :param client: Open client.
    :param source: The file, at most 10 MB; it is held in memory.
    :param upload_path: Clean folder.
    :param file_name: Clean name.
    :param retries: Counts the retries.
    :return: kie.ai's receipt and the sha256 of what was sent.
    :raises KieTransferError: kie.ai counted other bytes than were sent, or the file changed meanwhile.
    :raises KieError: kie.ai refused it, or could not be reached.
    """
    with source.open() as file:
        data = file.read(source.size + 1)
    if len(data) != source.size:
        raise _changed(source)
    text = base64.b64encode(data).decode("ascii")
    receipt = client.send(files.upload_base64(upload_path, file_name, text), retries=retries)
    return _checked(receipt, len(data)), hashlib.sha256(data).hexdigest()


class _HashingReader:
    """Reads a file for its upload: hashed and counted on the way, and never beyond the announced size."""

    def __init__(self, file: Readable, source: FileSource, client: KieClient) -> None:
        self._file = file
        self._source = source
        self._client = client
        self._progress = Progress(source.name, source.size)
        self.position = 0
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        self._client.check_running()
        piece = self._file.read(size)
        self.position += len(piece)
        self.sha256.update(piece)
        self._progress.at(self.position)
        grown = self.position > self._source.size
        shrunk = not piece and size != 0 and self.position < self._source.size
        if grown or shrunk:
            raise _changed(self._source)
        return piece


def _changed(source: FileSource) -> KieTransferError:
    # Its announced size stays wrong however often it is sent; a retry of the task looks at it anew.
    return KieTransferError(f"{source.name}: changed while it was being sent", transient=False)


def _checked(receipt: UploadReceipt, sent: int) -> UploadReceipt:
    if receipt.file_size != sent:
        raise KieTransferError(
            f"upload: {sent} bytes were sent, but kie.ai holds {receipt.file_size} of {receipt.file_name}"
        )
    return receipt


def _mime_type(file_name: str) -> str:
    return mimetypes.guess_type(file_name)[0] or "application/octet-stream"
