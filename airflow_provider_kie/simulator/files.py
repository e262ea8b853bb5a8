"""The simulated kie.ai's files: uploaded ones, generated ones, and signed links to these. No HTTP."""

from __future__ import annotations

import hashlib
import itertools
import math
import mimetypes
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from types import TracebackType
from urllib.parse import quote, urlencode


@dataclass(frozen=True)
class UploadedObject:
    """What is known of an uploaded file."""

    name: str
    path: str
    """Its ``filePath``: ``kieai/<account>/<uploadPath>/<fileName>``."""
    size: int
    sha256: str
    mime_type: str
    download_url: str


@dataclass(frozen=True)
class StoredFile:
    """Bytes on disk and how to serve them."""

    disk: Path
    mime_type: str


@dataclass(frozen=True)
class SignedLink:
    """A short-lived link to a generated file."""

    path: str
    query: Mapping[str, str]
    file: StoredFile
    expires: float
    """Seconds on the clock of ``time.monotonic()``."""


class Incoming:
    """
    Bytes on their way to disk, counted and hashed as they pass; deleted when the ``with`` block fails.

    :param disk: where to write.
    """

    def __init__(self, disk: Path) -> None:
        self.disk = disk
        self.size = 0
        self._hash = hashlib.sha256()
        self._file = disk.open("wb")

    def write(self, data: bytes) -> None:
        """
        Append bytes.

        :param data: any number of bytes.
        """
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    @property
    def sha256(self) -> str:
        """The digest of what has been written so far, in hex."""
        return self._hash.hexdigest()

    def __enter__(self) -> Incoming:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if error is not None:
            self.disk.unlink(missing_ok=True)


def mime_type_of(name: str) -> str:
    """
    Return the MIME type that kie.ai serves a name with: the extension decides, never the bytes.

    :param name: a file name.
    :return: such as ``image/png``.
    """
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


class FileStore:
    """Every file and link of one simulator, in one temporary directory."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._directory: TemporaryDirectory[str] | None = None
        self._numbers = itertools.count()
        self._uploads: dict[str, tuple[UploadedObject, StoredFile]] = {}
        self._generated: dict[str, StoredFile] = {}
        self._links: dict[str, SignedLink] = {}

    def open(self) -> None:
        """Start with no files and a new directory."""
        self._directory = TemporaryDirectory(prefix="kie-simulator-")
        self._uploads, self._generated, self._links = {}, {}, {}

    def close(self) -> None:
        """Remove the bytes of every file; what is known of the uploads stays readable."""
        self._opened().cleanup()
        self._directory = None

    def _opened(self) -> TemporaryDirectory[str]:
        if self._directory is None:
            raise RuntimeError("The simulator is not running: it has nowhere to put files.")
        return self._directory

    def _new_disk(self) -> Path:
        return Path(self._opened().name, str(next(self._numbers)))

    def incoming(self) -> Incoming:
        """
        Open a place on disk for an arriving file.

        :return: a context manager to write to.
        """
        return Incoming(self._new_disk())

    def keep(self, incoming: Incoming, path: str, download_url: str) -> UploadedObject:
        """
        Turn what has arrived into an uploaded file; one with the same path is silently replaced.

        :param incoming: the bytes, completely written.
        :param path: the ``filePath``.
        :param download_url: where it is served.
        :return: what is known of it.
        """
        name = path.rpartition("/")[2]
        mime_type = mime_type_of(name)
        known = UploadedObject(name, path, incoming.size, incoming.sha256, mime_type, download_url)
        with self._lock:
            replaced = self._uploads.get(path)
            self._uploads[path] = (known, StoredFile(incoming.disk, mime_type))
        if replaced:
            replaced[1].disk.unlink(missing_ok=True)
        return known

    def uploads(self) -> dict[str, UploadedObject]:
        """
        List the uploaded files.

        :return: a snapshot, by ``filePath``.
        """
        with self._lock:
            return {path: known for path, (known, _) in self._uploads.items()}

    def find_upload(self, path: str) -> StoredFile | None:
        """
        Look up an uploaded file.

        :param path: the ``filePath``.
        :return: the file, or None.
        """
        known_and_file = self._uploads.get(path)
        return known_and_file and known_and_file[1]

    def expire_uploads(self) -> None:
        """Delete every uploaded file; downloads under way go on."""
        with self._lock:
            expired, self._uploads = self._uploads, {}
        for _, file in expired.values():
            file.disk.unlink(missing_ok=True)

    def add_generated(self, name: str, data: bytes | str | os.PathLike[str]) -> str:
        """
        Add a file that kie.ai has "generated".

        :param name: its name; the extension decides its MIME type.
        :param data: its bytes, or the path of a file to copy.
        :return: its path on the host of generated files, percent-encoded, with a leading slash.
        """
        disk = self._new_disk()
        if isinstance(data, bytes):
            disk.write_bytes(data)
        else:
            shutil.copyfile(data, disk)
        return self.keep_generated(disk, name)

    def keep_generated(self, disk: Path, name: str) -> str:
        """
        Turn a file on disk into one that kie.ai has "generated".

        :param disk: the bytes, completely written, in this store's directory.
        :param name: its name; the extension decides its MIME type.
        :return: its path on the host of generated files, percent-encoded, with a leading slash.
        """
        # invented: the shape of the path; kie.ai's differs from model to model.
        path = f"/{secrets.token_hex(8)}/{name}"
        with self._lock:
            self._generated[path] = StoredFile(disk, mime_type_of(name))
        return quote(path)

    def find_generated(self, path: str) -> StoredFile | None:
        """
        Look up a generated file.

        :param path: its path, decoded.
        :return: the file, or None.
        """
        return self._generated.get(path)

    def sign(self, path: str, seconds: float) -> str | None:
        """
        Make a link that opens one generated file for a while.

        :param path: the file's path, decoded.
        :param seconds: how long the link lives.
        :return: path and query of the link, or None when there is no such file.
        """
        file = self.find_generated(path)
        if file is None:
            return None
        now = datetime.now(UTC)
        # invented: where the link leads and what signs it; that it is an S3 link is inferred.
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"simulator/{now:%Y%m%d}/auto/s3/aws4_request",
            "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
            "X-Amz-Expires": str(round(seconds)),
            "X-Amz-SignedHeaders": "host",
            "X-Amz-Signature": secrets.token_hex(32),
        }
        link = SignedLink(f"/signed{path}", query, file, time.monotonic() + seconds)
        with self._lock:
            self._links[query["X-Amz-Signature"]] = link
        return f"{quote(link.path)}?{urlencode(query)}"

    def find_link(self, path: str, query: Mapping[str, str]) -> SignedLink | None:
        """
        Look up a signed link.

        :param path: its path, decoded.
        :param query: the parameters of its query, all of which are signed.
        :return: the link, expired or not, or None.
        """
        link = self._links.get(query.get("X-Amz-Signature", ""))
        return link if link and (link.path, link.query) == (path, query) else None

    def expire_links(self) -> None:
        """Expire every link signed so far."""
        with self._lock:
            self._links = {key: replace(link, expires=-math.inf) for key, link in self._links.items()}
