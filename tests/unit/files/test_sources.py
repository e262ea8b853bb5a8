"""Folders and patterns: which files they stand for, on a disk and in an object storage."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_kie.files.sources import list_files

NAMES = ["a.png", "b.PNG", "c.txt", "deep/d.png", "deep/er/e.png", ".hidden.png", ".git/f.png", "a b#1.png"]
NAMES += [".kie-0123.part", "deep/.kie-4567.part"]

# What is asked, and what is found, below the folder.
ASKED = {
    "": ["a b#1.png", "a.png", "b.PNG", "c.txt"],
    "*": ["a b#1.png", "a.png", "b.PNG", "c.txt"],
    "*.png": ["a b#1.png", "a.png"],
    "?.png": ["a.png"],
    "[ab].*": ["a.png", "b.PNG"],
    "[!a]*": ["b.PNG", "c.txt"],
    "*/*.png": ["deep/d.png"],
    "**/*.png": ["a b#1.png", "a.png", "deep/d.png", "deep/er/e.png"],
    "deep/**": ["deep/d.png", "deep/er/e.png"],
    "d*/er/*": ["deep/er/e.png"],
}


@pytest.fixture(params=["disk", "storage"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder with files, on this disk or in an object storage."""
    if request.param == "disk":
        for name in NAMES:
            path = tmp_path / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        return f"{tmp_path}/in"
    memory: MemoryFileSystem = request.getfixturevalue("memory")
    for name in NAMES:
        memory.pipe(f"/bucket/in/{name}", b"x")
    return "memory://bucket/in"


@pytest.mark.parametrize("asked", ASKED)
def test_a_folder_and_a_pattern_stand_for_files_in_a_stable_order(folder: str, asked: str) -> None:
    assert list_files(f"{folder}/{asked}") == [f"{folder}/{name}" for name in ASKED[asked]]


@pytest.mark.parametrize("asked", ["*.gif", "none/*", "**/*.gif", ".hidden*", "[", "dee[p]"])
def test_no_file_is_an_error_that_says_so(folder: str, asked: str) -> None:
    with pytest.raises(FileNotFoundError, match="there is no such file; hidden files and folders do not"):
        list_files(f"{folder}/{asked}")


def test_a_pattern_that_means_nothing_is_refused(folder: str) -> None:
    with pytest.raises(ValueError, match=r"\*\*"):
        list_files(f"{folder}/a**b")


def test_a_file_of_exactly_that_name_is_no_pattern(tmp_path: Path, memory: MemoryFileSystem) -> None:
    for name in ("a[1].png", "a1.png"):
        (tmp_path / name).write_bytes(b"x")
        memory.pipe(f"/bucket/{name}", b"x")
    assert list_files(tmp_path / "a[1].png") is None
    assert list_files("memory://bucket/a[1].png") is None
    (tmp_path / "a[1].png").unlink()
    assert list_files(tmp_path / "a[1].png") == [f"{tmp_path}/a1.png"]


@pytest.mark.parametrize("asked", ["a.png", "none.png"])
def test_any_other_source_stands_for_itself(folder: str, asked: str) -> None:
    assert list_files(f"{folder}/{asked}") is None


def test_a_single_object_costs_no_look() -> None:
    assert list_files("s3://bucket/in/a.png", "no_such_connection") is None


@pytest.mark.parametrize("kind", [str, Path, ObjectStoragePath, "file://{}".format])
def test_a_local_folder_comes_in_every_kind(tmp_path: Path, kind: Callable[[Any], Any]) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"x")
    assert list_files(kind(f"{tmp_path}/in")) == [f"{tmp_path}/in/a.png"]
    assert list_files(kind(f"{tmp_path}/i?/*.png")) == [f"{tmp_path}/in/a.png"]


def test_a_relative_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert list_files("in/") == list_files("in") == list_files("i*/*") == [f"{tmp_path}/in/a.png"]


def test_a_path_of_an_object_storage_stays_one(memory: MemoryFileSystem) -> None:
    memory.pipe("/bucket/in/a.png", b"x")
    path = ObjectStoragePath("memory://bucket/in/*")
    [found] = list_files(path) or []
    assert isinstance(found, ObjectStoragePath)
    assert found.read_bytes() == b"x"


def test_an_empty_folder_is_an_error(tmp_path: Path, memory: MemoryFileSystem) -> None:
    for source in (tmp_path, f"{tmp_path}/", "memory://bucket/in/"):
        with pytest.raises(FileNotFoundError, match="there is no such file"):
            list_files(source)


@pytest.mark.parametrize(
    "source", ["memory://*/a.png", "memory://*", "memory://*/", "/", "//", "/*", "/*/", "/.."]
)
def test_a_whole_storage_is_not_looked_through(memory: MemoryFileSystem, source: str) -> None:
    with pytest.raises(ValueError, match="begin with a bucket or a folder"):
        list_files(source)


def test_a_pattern_that_ends_with_a_slash_means_the_files_of_folders(
    tmp_path: Path, memory: MemoryFileSystem
) -> None:
    for name in ("a.png", "x/b.png", "x/y/c.png", "[z]/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(b"x")
        memory.pipe(f"/bucket/{name}", b"x")
    for root in (str(tmp_path), "memory://bucket"):
        assert list_files(f"{root}/*/") == [f"{root}/[z]/d.png", f"{root}/x/b.png"]
        assert list_files(f"{root}/[z]/") == [f"{root}/[z]/d.png"]


def test_links_to_files_count_and_links_cannot_lead_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "in" / "lost.png").symlink_to(tmp_path / "none.png")
    (tmp_path / "in" / "circle").symlink_to(tmp_path / "in")
    os.mkfifo(tmp_path / "in" / "pipe.png")
    assert list_files(tmp_path / "in") == [f"{tmp_path}/in/link.png"]
    assert list_files(tmp_path / "in" / "**" / "*.png") == [f"{tmp_path}/in/link.png"]
    assert list_files(tmp_path / "in" / "*" / "*.png") == [f"{tmp_path}/in/circle/link.png"]


def test_only_folders_that_a_pattern_may_mean_are_listed(
    memory: MemoryFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[str] = []
    ls: Any = MemoryFileSystem.ls
    scandir: Any = os.scandir

    def noting(self: Any, path: str, *args: Any, **kwargs: Any) -> Any:
        listed.append(path.removeprefix("/bucket"))
        return ls(self, path, *args, **kwargs)

    def noting_local(path: Any) -> Any:
        listed.append(str(path).removeprefix(str(tmp_path)))
        return scandir(path)

    for name in ("day-1/in/a.png", "day-1/out/b.png", "night/in/c.png", "day-1/in/deep/d.png", "day-1.png"):
        memory.pipe(f"/bucket/all/{name}", b"x")
        (tmp_path / "all" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "all" / name).write_bytes(b"x")
    monkeypatch.setattr(MemoryFileSystem, "ls", noting)
    monkeypatch.setattr(os, "scandir", noting_local)
    for place in (str(tmp_path), "memory://bucket"):
        listed.clear()
        assert list_files(f"{place}/all/day-*/in/*") == [f"{place}/all/day-1/in/a.png"]
        assert listed == ["/all", "/all/day-1", "/all/day-1/in"]


def test_a_folder_that_cannot_be_listed_is_an_error_and_not_left_out(
    memory: MemoryFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe("/bucket/in/a/a.png", b"x")
    memory.pipe("/bucket/in/b/b.png", b"x")
    ls: Any = MemoryFileSystem.ls

    def refusing(self: Any, path: str, *args: Any, **kwargs: Any) -> Any:
        if path.endswith("/b"):
            raise PermissionError(13, "Permission denied", path)
        return ls(self, path, *args, **kwargs)

    monkeypatch.setattr(MemoryFileSystem, "ls", refusing)
    with pytest.raises(PermissionError):
        list_files("memory://bucket/in/*/*.png")

    def failing(path: Any) -> Any:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(PermissionError):
        list_files(tmp_path / "**")
