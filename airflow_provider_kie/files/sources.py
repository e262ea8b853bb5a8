"""Folders and patterns as sources: the files that they stand for."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from fsspec.utils import glob_translate

from airflow_provider_kie.files.object_stores import conn_id_of
from airflow_provider_kie.files.storage import is_local, locate

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_kie.files.storage import Location

_MAGIC = re.compile(r"[*?\[]")


def list_files(source: Location, conn_id: str | None = None) -> list[Location] | None:
    """
    Find the files that a source stands for.

    A file of exactly that name is never read as a pattern. An object storage is asked for a folder only where
    the source ends with a slash: it would cost each single object a request.

    :param source: Local path, ``file://`` URL, or URL or path of an object storage; a folder, whose files
        directly in it are meant, or a pattern with ``*``, ``?``, ``[...]`` or ``**``.
    :param conn_id: Airflow connection of the object storage.
    :return: Files, sorted, without hidden ones; None if the source stands for itself.
    :raises FileNotFoundError: There are none.
    :raises OSError: A folder cannot be listed.
    :raises ValueError: It is of a storage that Airflow does not know, or a pattern that cannot be looked for.
    """
    text = str(source)
    magic = _MAGIC.search(text)
    is_object = "://" in text and not text.startswith("file:")
    if is_object and not magic and not text.endswith("/"):
        return None
    path = locate(source, conn_id)
    if is_local(path):
        return _local_files(path, text)
    found = _objects(path, text)
    if found is None or isinstance(source, str):
        return found
    return [type(path)(str(one), conn_id=conn_id or conn_id_of(path)) for one in found]


class _Pattern:
    """
    What is asked for below a folder that is named outright.

    :param tail: The pattern from there on.
    """

    def __init__(self, tail: str) -> None:
        parts = tail.split("/")
        self.is_bounded = "**" not in parts
        named = len(parts) - 1 if self.is_bounded else parts.index("**")
        self._folders = [re.compile(glob_translate(part)) for part in parts[:named]]
        self._whole = re.compile(glob_translate(tail))

    def fits(self, name: str) -> bool:
        """
        Tell whether a file is meant.

        :param name: Its path below the folder.
        :return: True if so.
        """
        return not _is_hidden(name) and self._whole.match(name) is not None

    def leads_to(self, folder: str) -> bool:
        """
        Tell whether files below a folder may be meant: no other is listed, or need be allowed to be.

        :param folder: Its path below the folder that is named outright.
        :return: True if so.
        """
        names = folder.split("/")
        if _is_hidden(folder) or (self.is_bounded and len(names) > len(self._folders)):
            return False
        return all(part.match(name) for part, name in zip(self._folders, names, strict=False))


def _local_files(path: Path, shown: str) -> list[Location] | None:
    if path.is_dir():
        root, tail = str(path).rstrip("/"), "*"
    elif _MAGIC.search(str(path)) and not os.path.lexists(path):
        # A slash at the end means the files in each folder that fits; the path has lost it.
        root, tail = _split(f"{path}/*" if shown.endswith("/") else str(path))
    else:
        return None
    _check_root(root, shown)
    names = _sorted(_below_folder(root, _Pattern(tail)), shown)
    return [os.path.join(root, name) for name in names]


def _objects(path: ObjectStoragePath, shown: str) -> list[Location] | None:
    # Listings are cached per process, and others write to the same storage.
    path.fs.invalidate_cache()
    if shown.endswith("/"):
        folder, pattern = path.path.rstrip("/"), f"{shown.rstrip('/')}/*"
        is_outright = not _MAGIC.search(folder) or path.fs.isdir(folder)
        root, tail = (folder, "*") if is_outright else _split(f"{folder}/*")
    else:
        pattern = shown
        root, tail = _split(path.path)
    _check_root(root, shown)
    if pattern == shown and path.fs.exists(path.path):
        return None
    prefix = pattern.removesuffix(tail)
    names = _sorted(_below_prefix(path.fs, root, _Pattern(tail)), shown)
    return [f"{prefix}{name}" for name in names]


def _split(pattern: str) -> tuple[str, str]:
    """Give the folder that is named outright, and the rest."""
    begin = _MAGIC.search(pattern)
    root = pattern[: begin.start() if begin else len(pattern)].rpartition("/")[0]
    return root, pattern.removeprefix(f"{root}/")


def _check_root(root: str, shown: str) -> None:
    """Refuse what a template that renders to nothing leaves: it would publish whatever this worker has."""
    if not root:
        raise ValueError(f"{shown} would look through all of its storage: begin with a bucket or a folder")


def _sorted(names: Iterator[str], shown: str) -> list[str]:
    # What is named outright may be missing, too.
    with contextlib.suppress(FileNotFoundError):
        if found := sorted(names):
            return found
    raise FileNotFoundError(f"{shown}: there is no such file; hidden files and folders do not count")


def _below_folder(root: str, pattern: _Pattern) -> Iterator[str]:
    """Name the files below a folder, from there on; links are followed where they cannot lead in a circle."""
    for folder, folders, names in os.walk(root, onerror=_fail, followlinks=pattern.is_bounded):
        below = "" if folder == root else f"{os.path.relpath(folder, root)}/"
        folders[:] = [name for name in folders if pattern.leads_to(f"{below}{name}")]
        for name in names:
            if pattern.fits(f"{below}{name}") and os.path.isfile(os.path.join(folder, name)):
                yield f"{below}{name}"


def _below_prefix(fs: Any, root: str, pattern: _Pattern, below: str = "") -> Iterator[str]:
    # Not by fsspec's ``glob`` or ``walk``, which leave out what they cannot list, and call the rest all.
    folder = f"{root}/{below}".rstrip("/")
    for info in fs.ls(folder, detail=True):
        path = info["name"].rstrip("/")
        name = f"{below}{path.rpartition('/')[2]}"
        if path == folder:
            continue
        if info["type"] != "directory":
            if pattern.fits(name):
                yield name
        elif pattern.leads_to(name):
            yield from _below_prefix(fs, root, pattern, f"{name}/")


def _is_hidden(name: str) -> bool:
    return name.rpartition("/")[2].startswith(".")


def _fail(error: OSError) -> NoReturn:
    raise error
