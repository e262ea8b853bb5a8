"""Folders and patterns as sources: the files that they stand for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from fsspec.utils import glob_translate

from airflow_provider_kie.files.object_stores import conn_id_of
from airflow_provider_kie.files.storage import locate

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_kie.files.storage import Location

_MAGIC = re.compile(r"[*?\[]")


def files_behind(source: Location, conn_id: str | None = None) -> list[Location] | None:
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
    if isinstance(path, Path):
        return _local_files(path, text)
    found = _objects(path, text)
    if found is None or isinstance(source, str):
        return found
    return [type(path)(str(one), conn_id=conn_id or conn_id_of(path)) for one in found]


def _local_files(path: Path, shown: str) -> list[Location] | None:
    if path.is_dir():
        root, tail = str(path), "*"
    elif _MAGIC.search(str(path)) and not os.path.lexists(path):
        root, tail = _split(str(path))
        root = root or "/"
    else:
        return None
    depth = _depth_of(tail)
    names = _matching(tail, shown, _below_folder(Path(root), depth))
    return [os.path.join(root, name) for name in names]


def _objects(path: ObjectStoragePath, shown: str) -> list[Location] | None:
    # Listings are cached per process, and others write to the same storage.
    path.fs.invalidate_cache()
    if shown.endswith("/"):
        root, tail, prefix = path.path.rstrip("/"), "*", f"{shown.rstrip('/')}/"
    elif path.fs.exists(path.path):
        return None
    else:
        root, tail = _split(path.path)
        prefix = shown.removesuffix(tail)
    if not root:
        raise ValueError(f"{shown} would look through all of its storage: begin with a bucket or a folder")
    names = _matching(tail, shown, _below_prefix(path.fs, root, _depth_of(tail)))
    return [f"{prefix}{name}" for name in names]


def _split(pattern: str) -> tuple[str, str]:
    """Give the folder that is named outright, and the rest."""
    begin = _MAGIC.search(pattern)
    root = pattern[: begin.start() if begin else len(pattern)].rpartition("/")[0]
    return root, pattern.removeprefix(f"{root}/")


def _depth_of(tail: str) -> int | None:
    parts = tail.split("/")
    return None if "**" in parts else len(parts)


def _matching(tail: str, shown: str, names: Iterator[str]) -> list[str]:
    is_match = re.compile(glob_translate(tail)).match
    try:
        if found := sorted(name for name in names if is_match(name)):
            return found
    except FileNotFoundError:
        pass
    raise FileNotFoundError(f"{shown}: there is no such file; hidden files and folders do not count")


def _below_folder(root: Path, depth: int | None) -> Iterator[str]:
    """Name the files below a folder, from there on; links are followed where they cannot lead in a circle."""
    for folder, folders, names in os.walk(root, onerror=_fail, followlinks=depth is not None):
        below = Path(folder).relative_to(root)
        is_deepest = len(below.parts) + 1 == depth
        folders[:] = [] if is_deepest else [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and (Path(folder) / name).is_file():
                yield str(below / name)


def _below_prefix(fs: Any, root: str, depth: int | None) -> Iterator[str]:
    # Not by fsspec's ``glob`` or ``walk``, which leave out what they cannot list, and call the rest all.
    for info in fs.ls(root, detail=True):
        name = info["name"].rstrip("/").rpartition("/")[2]
        if name.startswith(".") or info["name"].rstrip("/") == root:
            continue
        if info["type"] == "file":
            yield name
        elif depth is None or depth > 1:
            below = _below_prefix(fs, f"{root}/{name}", depth and depth - 1)
            yield from (f"{name}/{one}" for one in below)


def _fail(error: OSError) -> NoReturn:
    raise error
