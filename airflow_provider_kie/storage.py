"""Where files live for Airflow: open a source, write a destination all or nothing."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import urlsplit
from urllib.request import url2pathname

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_kie.client.calls import Readable

    Location = str | os.PathLike[str] | ObjectStoragePath

_parts: set[Path] = set()
# What file systems call the thing that changes when a file does.
_VERSION_KEYS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created")
# Stores that show an object when the last byte of its upload has arrived, and never before. Elsewhere an
# upload gets a name of its own first.
_WHOLE_OR_NOTHING = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"})
# s3fs would hold ten parts of 50 MB in memory at a time.
_S3_OPTIONS = {"chunksize": 8 * 1024 * 1024, "max_concurrency": 1}


@dataclass(frozen=True)
class LocalSource:
    """A file on this worker; see :class:`airflow_provider_kie.client.uploads.FileSource`."""

    path: Path
    size: int
    version: str

    @property
    def name(self) -> str:
        return self.path.name

    def open(self) -> AbstractContextManager[Readable]:
        return self.path.open("rb")

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class ObjectSource:
    """A file in an object storage; see :class:`airflow_provider_kie.client.uploads.FileSource`."""

    path: ObjectStoragePath
    size: int
    version: str
    shown: str

    @property
    def name(self) -> str:
        return self.path.name

    def open(self) -> AbstractContextManager[Readable]:
        return cast("AbstractContextManager[Readable]", self.path.open("rb"))

    def __str__(self) -> str:
        return self.shown


def open_source(source: Location, conn_id: str | None = None) -> LocalSource | ObjectSource:
    """
    Look at a file that is to be read.

    :param source: Local path, ``file://`` URL, or URL or path of an object storage.
    :param conn_id: Airflow connection of the object storage.
    :return: The source, of which nothing has been read yet.
    :raises FileNotFoundError: There is no such file.
    :raises IsADirectoryError: It is a folder.
    :raises PermissionError: It may not be read.
    :raises ValueError: It is empty, no regular file, or of a storage that Airflow does not know.
    """
    path = _locate(source, conn_id)
    found = _local_source(path) if isinstance(path, Path) else _object_source(path, str(source))
    if found.size == 0:
        raise ValueError(f"{found} is empty; there is nothing to upload")
    return found


@dataclass(frozen=True)
class LocalTarget:
    """A file to be written on this worker."""

    path: Path

    def size(self) -> int | None:
        """Bytes of what is there now, None if nothing is."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return None

    @contextmanager
    def writing(self) -> Iterator[BinaryIO]:
        """
        Write beside the target, under a name of its own, and put it in place when all went well.

        A reader of the target sees the old file or the whole new one, after a kill too.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.parent / _part_name()
        _parts.add(part)
        try:
            with part.open("xb") as file:
                yield file
            part.replace(self.path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        finally:
            _parts.discard(part)

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class ObjectTarget:
    """A file to be written in an object storage."""

    path: ObjectStoragePath
    shown: str

    def size(self) -> int | None:
        """Bytes of what is there now, None if nothing is."""
        try:
            return int(self.path.fs.size(self.path.path) or 0)
        except FileNotFoundError:
            return None

    @contextmanager
    def writing(self) -> Iterator[BinaryIO]:
        """
        Write to a local temporary file and hand it to the storage when it is whole.

        Writing straight to the object would publish what was written so far when something fails.
        """
        with tempfile.NamedTemporaryFile(prefix="kie-", suffix=".part") as spool:
            yield cast("BinaryIO", spool)
            spool.flush()
            _publish(spool.name, self.path)

    def __str__(self) -> str:
        return self.shown


def discard_parts() -> None:
    """Remove the unfinished files of threads that hang, before the process ends."""
    for part in list(_parts):
        part.unlink(missing_ok=True)


def _publish(spool: str, path: ObjectStoragePath) -> None:
    if path.protocol in _WHOLE_OR_NOTHING:
        path.fs.put_file(spool, path.path, **(_S3_OPTIONS if path.protocol in ("s3", "s3a") else {}))
        return
    folder = path.path.rpartition("/")[0]
    part = f"{folder}/{_part_name()}"
    path.fs.makedirs(folder, exist_ok=True)
    try:
        path.fs.put_file(spool, part)
        path.fs.mv(part, path.path)
    except BaseException:
        # What went wrong first is what matters, even if the storage cannot be cleaned up either.
        with contextlib.suppress(Exception):
            path.fs.rm_file(part)
        raise


def _part_name() -> str:
    return f".kie-{uuid.uuid4().hex}.part"


def open_target(
    destination: Location, conn_id: str | None, default_name: str, *, is_folder: bool = False
) -> LocalTarget | ObjectTarget:
    """
    Look at the place where a file is to be written.

    :param destination: Local path, ``file://`` URL, or URL or path of an object storage: a file, or a folder
        (it ends with a slash, or exists).
    :param conn_id: Airflow connection of the object storage.
    :param default_name: The file's name where the destination is a folder.
    :param is_folder: Whether the destination is a folder whatever it looks like.
    :return: The target; nothing has been created yet.
    :raises FileExistsError: A folder, pipe or device has the file's name.
    :raises ValueError: It is empty, or of a storage that Airflow does not know.
    """
    shown = str(destination)
    is_folder = is_folder or shown.endswith("/")
    path = _locate(destination, conn_id)
    if isinstance(path, Path):
        path = path / default_name if is_folder or path.is_dir() else path
        if path.exists() and not path.is_file():
            raise FileExistsError(f"{path} is there and no regular file; it is not replaced")
        return LocalTarget(path)
    # Listings are cached per process, and others write to the same storage.
    path.fs.invalidate_cache()
    if is_folder or path.fs.isdir(path.path):
        return ObjectTarget(path / default_name, f"{shown.rstrip('/')}/{default_name}")
    return ObjectTarget(path, shown)


def _locate(location: Location, conn_id: str | None) -> Path | ObjectStoragePath:
    from airflow.sdk import ObjectStoragePath

    if isinstance(location, str):
        if not location.strip():
            raise ValueError("the path is empty")
        scheme = location.partition("://")[0] if "://" in location else ""
        if scheme == "file":
            return _absolute(_path_of_file_url(location))
        if not scheme:
            return _absolute(location)
        location = ObjectStoragePath(location, conn_id=conn_id)
    if isinstance(location, ObjectStoragePath):
        # Fails for a scheme that no installed provider brings; the constructor itself may not.
        if getattr(location.fs, "_pid", os.getpid()) != os.getpid():
            location = _of_this_process(location)
        return _absolute(location.path) if location.protocol in ("", "file") else location
    return _absolute(location)


def _of_this_process(path: ObjectStoragePath) -> ObjectStoragePath:
    """Connect anew in a forked process: fsspec refuses what its parent had, which Airflow keeps."""
    from airflow.sdk.io import attach

    # Airflow 3.1 has it among the options only.
    conn_id = getattr(path, "conn_id", None) or path.storage_options.get("conn_id")
    del attach(path.protocol, conn_id).fs
    return type(path)(str(path), conn_id=conn_id)


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.abspath(path))


def _path_of_file_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise ValueError(f"{url} names another host; a file:// URL is of this worker: file:///path")
    path = url2pathname(url.removeprefix("file://").removeprefix("localhost"))
    if not path:
        raise ValueError("the path is empty")
    return path


def _local_source(path: Path) -> LocalSource:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(f"{path} is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is no regular file")
    # An unreadable file fails here, before anything is sent.
    path.open("rb").close()
    return LocalSource(path, status.st_size, version=f"{status.st_size}-{status.st_mtime_ns}")


def _object_source(path: ObjectStoragePath, shown: str) -> ObjectSource:
    path.fs.invalidate_cache()
    with contextlib.suppress(FileNotFoundError):
        info = path.fs.info(path.path)
        if info["type"] == "directory":
            raise IsADirectoryError(f"{shown} is a folder")
        if info.get("size") is None:
            raise ValueError(f"{shown}: its storage does not tell the file's size")
        version = "-".join(str(info[key]) for key in ("size", *_VERSION_KEYS) if key in info)
        return ObjectSource(path, int(info["size"]), version, shown)
    raise FileNotFoundError(f"{shown} does not exist")
