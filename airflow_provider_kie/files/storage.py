"""Where files live for Airflow: open a source, write a destination all or nothing."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from airflow_provider_kie.files import object_stores
from airflow_provider_kie.files.local import (
    SPOOL_ADVICE,
    Unfinished,
    naming_a_full_disk,
    replacing,
    spooling,
)

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from typing_extensions import TypeIs

    from airflow_provider_kie.client.call import Readable

    Location = str | os.PathLike[str] | ObjectStoragePath

log = logging.getLogger(__name__)

# What file systems call the thing that changes when a file does.
_VERSION_KEYS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created")
# s3fs would read 50 MB ahead, and hold them twice.
_READ_AHEAD_BYTES = 5 * 1024 * 1024
_FOLDER_ADVICE = "; KieUploadOperator and KieHook.upload_files take one, for the files in it"


@dataclass(frozen=True)
class LocalSource:
    """A file on this worker; see :class:`airflow_provider_kie.client.transfer.upload.FileSource`."""

    path: Path
    size: int
    version: str = ""

    @property
    def name(self) -> str:
        return self.path.name

    def open(self) -> AbstractContextManager[Readable]:
        return self.path.open("rb")

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class ObjectSource:
    """A file in an object storage; see :class:`airflow_provider_kie.client.transfer.upload.FileSource`."""

    path: ObjectStoragePath
    size: int
    version: str
    shown: str

    @property
    def name(self) -> str:
        return self.path.name

    def open(self) -> AbstractContextManager[Readable]:
        # Not the path's own ``open``, which reports each read as lineage; the hook reports each file once.
        opened = self.path.fs.open(self.path.path, "rb", block_size=_READ_AHEAD_BYTES)
        return cast("AbstractContextManager[Readable]", opened)

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
    path = locate(source, conn_id)
    found = _local_source(path) if is_local(path) else _object_source(path, str(source))
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

    def writing(self, unfinished: Unfinished | None = None) -> AbstractContextManager[BinaryIO]:
        """
        Write beside the target, under a name of its own, and put it in place when all went well.

        A reader of the target sees the old file or the whole new one, after a kill or a power cut too. A link
        is followed, and a file that is replaced keeps its mode.

        :param unfinished: Where the temporary file is noted, and what says whether to go on.
        :return: A context manager that gives the file to write to.
        :raises OSError: It cannot be written; what was there still is.
        """
        return replacing(self.path, unfinished or Unfinished())

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
    def writing(self, unfinished: Unfinished | None = None) -> Iterator[BinaryIO]:
        """
        Write to a local temporary file and hand it to the storage when it is whole.

        Writing straight to the object would publish what was written so far when something fails.

        :param unfinished: Where the temporary file is noted, and what says whether to go on.
        :return: A context manager that gives the file to write to.
        :raises OSError: The temporary file cannot be written, or the storage refuses it.
        """
        unfinished = unfinished or Unfinished()
        with spooling(unfinished) as spool:
            with naming_a_full_disk(spool.parent, SPOOL_ADVICE), spool.open("wb") as file:
                yield file
            unfinished.check_running()
            object_stores.hand_over(spool, self.path, unfinished.check_running)

    def __str__(self) -> str:
        return self.shown


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
    path = locate(destination, conn_id)
    if is_local(path):
        is_folder = is_folder or path.is_dir()
        path = path / default_name if is_folder else path
        is_there = path.exists()
        if is_there and not path.is_file():
            raise FileExistsError(f"{path} is there and no regular file; it is not replaced")
        _warn_of_a_lost_slash(destination, default_name, is_folder or is_there)
        return LocalTarget(path)
    # Listings are cached per process, and others write to the same storage.
    path.fs.invalidate_cache()
    object_stores.check_bucket(path)
    is_folder = is_folder or object_stores.is_folder(path)
    _warn_of_a_lost_slash(destination, default_name, is_folder)
    if is_folder:
        return ObjectTarget(path / default_name, f"{shown.rstrip('/')}/{default_name}")
    return ObjectTarget(path, shown)


def _warn_of_a_lost_slash(destination: Location, default_name: str, is_known: bool) -> None:
    if is_known or isinstance(destination, str):
        return
    if PurePosixPath(default_name).suffix and not PurePosixPath(str(destination)).suffix:
        log.warning(
            "%s is taken for a file: a path cannot end with a slash. If it is a folder, give it as text: %s/",
            destination,
            destination,
        )


def locate(location: Location, conn_id: str | None) -> Path | ObjectStoragePath:
    """
    Tell where a path or a URL leads; nothing is asked of its storage yet.

    :param location: Local path, ``file://`` URL, or URL or path of an object storage.
    :param conn_id: Airflow connection of the object storage.
    :return: An absolute path of this worker, or one of an object storage.
    :raises ValueError: It is empty, or of a storage that Airflow does not know.
    """
    from airflow.sdk import ObjectStoragePath

    if isinstance(location, ObjectStoragePath):
        is_local = location.protocol in ("", "file")
        return _absolute(location.path) if is_local else object_stores.find(location, conn_id)
    if not isinstance(location, str):
        return _absolute(location)
    if not location.strip():
        raise ValueError("the path is empty")
    scheme = location.partition("://")[0] if "://" in location else ""
    if scheme == "file":
        return _absolute(_path_of_file_url(location))
    return object_stores.find(location, conn_id) if scheme else _absolute(location)


def is_local(path: Path | ObjectStoragePath) -> TypeIs[Path]:
    """
    Tell whether a path is on this worker.

    :param path: What :func:`locate` gave.
    :return: Whether it is.
    """
    # With universal-pathlib 0.2, as in Airflow 3.1's constraints, an ObjectStoragePath is a Path too.
    return isinstance(path, Path) and not hasattr(path, "protocol")


def _absolute(path: str | os.PathLike[str]) -> Path:
    absolute = os.path.abspath(path)
    try:
        absolute.encode()
    except UnicodeEncodeError:
        # The system would open it, but it can be told neither to kie.ai nor to Airflow.
        raise ValueError(f"{absolute!r} is no valid UTF-8; give it another name") from None
    return Path(absolute)


def _path_of_file_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise ValueError(f"{url} names another host; a file:// URL is of this worker: file:///path")
    # Not url2pathname, which drops all from a ? or # on from Python 3.14 on.
    path = unquote(url.removeprefix("file://").removeprefix("localhost"))
    if not path:
        raise ValueError("the path is empty")
    return path


def _local_source(path: Path) -> LocalSource:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(f"{path} is a folder{_FOLDER_ADVICE}")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is no regular file")
    # An unreadable file fails here, before anything is sent.
    path.open("rb").close()
    return LocalSource(
        path,
        status.st_size,
        version="-".join(
            str(value) for value in (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        ),
    )


def _object_source(path: ObjectStoragePath, shown: str) -> ObjectSource:
    path.fs.invalidate_cache()
    with contextlib.suppress(FileNotFoundError):
        info = path.fs.info(path.path)
        if info["type"] == "directory":
            raise IsADirectoryError(f"{shown} is a folder{_FOLDER_ADVICE}, given as {shown}/")
        if info.get("size") is None:
            raise ValueError(f"{shown}: its storage does not tell the file's size")
        version = "-".join(str(info[key]) for key in ("size", *_VERSION_KEYS) if key in info)
        return ObjectSource(path, int(info["size"]), version, shown)
    object_stores.check_bucket(path)
    raise FileNotFoundError(f"{shown} does not exist")
