from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from airflow_provider_kie.files.storage import (
    LocalSource,
    LocalTarget,
    ObjectSource,
    ObjectTarget,
    open_source,
    open_target,
)
from tests.memory_storage import attached

CONTENT = bytes(range(256)) * 64
Make = Callable[[str, bytes], str]


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def write(target: LocalTarget | ObjectTarget, content: bytes, *, then: BaseException | None = None) -> None:
    with target.writing() as sink:
        sink.write(content)
        if then:
            raise then


# Sources


def test_a_local_file_is_a_source(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(CONTENT)
    source = open_source(str(path))
    assert isinstance(source, LocalSource)
    assert (source.name, source.size, str(source)) == ("a.png", len(CONTENT), str(path))
    for _ in range(2):
        with source.open() as file:
            assert file.read() == CONTENT


@pytest.mark.parametrize("kind", [str, Path, os.fspath, ObjectStoragePath])
def test_a_local_path_comes_in_every_kind(tmp_path: Path, kind: Callable[[Any], Any]) -> None:
    (tmp_path / "a.png").write_bytes(CONTENT)
    source = open_source(kind(str(tmp_path / "a.png")))
    assert isinstance(source, LocalSource)
    assert source.path == tmp_path / "a.png"


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(CONTENT)
    monkeypatch.chdir(tmp_path)
    assert str(open_source("a.png")) == str(tmp_path / "a.png")
    assert str(open_target("./b/../c.png", None, "d")) == str(tmp_path / "c.png")


@pytest.mark.parametrize(
    "name",
    [
        "a b.png",
        "\u6587.png",
        "100%.png",
        "a%20b.png",
        "a?b#c.png",
        "a;b.png",
        "-rf",
        ".env",
        "a\\b.png",
        "x" * 255,
        "a:b",
    ],
)
def test_a_local_name_of_any_characters_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(CONTENT)
    source = open_source(str(tmp_path / name))
    assert (source.name, source.size) == (name, len(CONTENT))


@pytest.mark.parametrize("host", ["", "localhost"])
@pytest.mark.parametrize(
    ("encoded", "name"),
    [
        ("a.png", "a.png"),
        ("a%20b.png", "a b.png"),
        ("a b.png", "a b.png"),
        ("%E6%96%87.png", "\u6587.png"),
        ("100%25.png", "100%.png"),
        ("a%3Fb%23c.png", "a?b#c.png"),
        ("a?b#c.png", "a?b#c.png"),
    ],
)
def test_a_file_url_is_decoded(tmp_path: Path, host: str, encoded: str, name: str) -> None:
    (tmp_path / name).write_bytes(CONTENT)
    source = open_source(f"file://{host}{tmp_path}/{encoded}")
    assert isinstance(source, LocalSource)
    assert source.path == tmp_path / name


def test_what_path_makes_of_a_path_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "a b%20\u6587.png"
    path.write_bytes(CONTENT)
    source = open_source(path.as_uri())
    assert isinstance(source, LocalSource)
    assert source.path == path


@pytest.mark.parametrize("url", ["file://elsewhere/a.png", "file://127.0.0.1/a.png", "file://a.png"])
def test_a_file_url_of_another_host_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="names another host"):
        open_source(url)
    with pytest.raises(ValueError, match="names another host"):
        open_target(url, None, "a.png")


@pytest.mark.parametrize("nothing", ["", " ", "\n", "file://", "file://localhost"])
def test_an_empty_path_is_refused(nothing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="empty"):
        open_source(nothing)
    with pytest.raises(ValueError, match="empty"):
        open_target(nothing, None, "a.png")


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    for missing in (tmp_path / "a.png", tmp_path / "no" / "a.png"):
        with pytest.raises(FileNotFoundError, match=r"a\.png"):
            open_source(str(missing))


def test_a_dangling_link_is_a_missing_source(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(FileNotFoundError, match=r"a\.png"):
        open_source(str(tmp_path / "a.png"))


def test_a_link_to_a_file_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(CONTENT)
    (tmp_path / "a.png").symlink_to(tmp_path / "b.png")
    assert (open_source(str(tmp_path / "a.png")).name, open_source(str(tmp_path / "a.png")).size) == (
        "a.png",
        len(CONTENT),
    )


@pytest.mark.parametrize("end", ["", "/"])
def test_a_folder_is_no_source(tmp_path: Path, end: str) -> None:
    with pytest.raises(IsADirectoryError, match=f"{tmp_path}.* is a folder"):
        open_source(f"{tmp_path}{end}")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        open_source(f"file://{tmp_path}{end}")


def test_an_empty_file_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(ValueError, match=r"a\.png is empty"):
        open_source(str(tmp_path / "a.png"))


def test_a_pipe_is_no_source_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe is no regular file"):
        open_source(str(tmp_path / "pipe"))


def test_a_device_is_no_source() -> None:
    with pytest.raises(ValueError, match="no regular file"):
        open_source("/dev/zero")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(CONTENT)
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(PermissionError, match=r"a\.png"):
        open_source(str(tmp_path / "a.png"))


@pytest.mark.parametrize("path", ["a\x00b", "/tmp/a\x00b"])
def test_a_path_that_no_system_has_is_a_value_error(path: str) -> None:
    with pytest.raises(ValueError, match="null"):
        open_source(path)


@pytest.mark.parametrize("url", ["nosuch://bucket/a.png", "s4://b/k"])
def test_a_storage_that_airflow_does_not_know_is_a_value_error(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        open_source(url)
    with pytest.raises(ValueError, match=r".+"):
        open_target(url, None, "a.png")


@pytest.mark.parametrize("kind", [str, ObjectStoragePath])
def test_an_object_is_a_source(memory: MemoryFileSystem, kind: Callable[[str], Any]) -> None:
    memory.pipe("/bucket/in/a.png", CONTENT)
    source = open_source(kind("memory://bucket/in/a.png"))
    assert isinstance(source, ObjectSource)
    assert (source.name, source.size) == ("a.png", len(CONTENT))
    assert str(source).endswith("bucket/in/a.png")
    for _ in range(2):
        with source.open() as file:
            assert file.read(10) + file.read() == CONTENT


def test_a_missing_object_is_named(memory: MemoryFileSystem) -> None:
    with pytest.raises(FileNotFoundError, match=r"memory://bucket/a\.png does not exist"):
        open_source("memory://bucket/a.png")


def test_a_folder_of_objects_is_no_source(memory: MemoryFileSystem) -> None:
    memory.pipe("/bucket/in/a.png", CONTENT)
    with pytest.raises(IsADirectoryError, match="memory://bucket/in is a folder"):
        open_source("memory://bucket/in")


def test_an_empty_object_is_no_source(memory: MemoryFileSystem) -> None:
    memory.pipe("/bucket/a.png", b"")
    with pytest.raises(ValueError, match=r"memory://bucket/a\.png is empty"):
        open_source("memory://bucket/a.png")


def test_an_object_of_unknown_size_is_no_source(
    memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe("/bucket/a.png", CONTENT)
    info = {"name": "/bucket/a.png", "type": "file", "size": None}
    monkeypatch.setattr(MemoryFileSystem, "info", lambda *args, **kwargs: info)
    with pytest.raises(ValueError, match="does not tell the file's size"):
        open_source("memory://bucket/a.png")


# Destinations


@pytest.mark.parametrize("prefix", ["", "file://", "file://localhost"])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("new.png", "new.png"),
        ("old.png", "old.png"),
        ("no/such/new.png", "no/such/new.png"),
        ("folder", "folder/default.png"),
        ("folder/", "folder/default.png"),
        ("no/such/", "no/such/default.png"),
        ("link", "link/default.png"),
        ("", "default.png"),
        ("dots..png", "dots..png"),
    ],
)
def test_a_destination_is_a_file_or_a_folder(tmp_path: Path, prefix: str, given: str, expected: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    (tmp_path / "old.png").write_bytes(b"old")
    target = open_target(f"{prefix}{tmp_path}/{given}", None, "default.png")
    assert isinstance(target, LocalTarget)
    assert str(target) == f"{tmp_path}/{expected}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "link", "old.png"]


@pytest.mark.parametrize("kind", [Path, ObjectStoragePath])
def test_a_destination_is_a_path_too(tmp_path: Path, kind: Callable[[str], Any]) -> None:
    assert str(open_target(kind(str(tmp_path)), None, "default.png")) == str(tmp_path / "default.png")
    assert str(open_target(kind(str(tmp_path / "a.png")), None, "default.png")) == str(tmp_path / "a.png")


def test_a_file_url_as_destination_is_decoded(tmp_path: Path) -> None:
    target = open_target(f"file://{tmp_path}/a%20b/", None, "100%.png")
    assert str(target) == str(tmp_path / "a b" / "100%.png")


def test_a_target_tells_the_size_of_what_is_there(tmp_path: Path) -> None:
    target = open_target(str(tmp_path / "a.png"), None, "x")
    assert target.size() is None
    (tmp_path / "a.png").touch()
    assert target.size() == 0
    (tmp_path / "a.png").write_bytes(CONTENT)
    assert target.size() == len(CONTENT)


def test_a_folder_in_the_place_of_the_file_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OSError, match=r"a\.png"):
        open_target(f"{tmp_path}/", None, "a.png").size()


def test_what_was_written_is_in_place_with_its_parents_made(tmp_path: Path) -> None:
    target = open_target(str(tmp_path / "no" / "such" / "a.png"), None, "x")
    with target.writing() as sink:
        sink.write(CONTENT)
        assert not (tmp_path / "no/such/a.png").exists()
    assert (tmp_path / "no/such/a.png").read_bytes() == CONTENT
    assert files_in(tmp_path) == ["no/such/a.png"]


def test_until_the_end_a_reader_sees_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"old")
    with open_target(str(tmp_path / "a.png"), None, "x").writing() as sink:
        sink.write(CONTENT)
        sink.flush()
        assert (tmp_path / "a.png").read_bytes() == b"old"
    assert (tmp_path / "a.png").read_bytes() == CONTENT
    assert files_in(tmp_path) == ["a.png"]


def test_what_is_written_can_be_taken_back_and_written_again(tmp_path: Path) -> None:
    with open_target(str(tmp_path / "a.png"), None, "x").writing() as sink:
        sink.write(CONTENT)
        sink.seek(0)
        sink.truncate()
        sink.write(b"new")
    assert (tmp_path / "a.png").read_bytes() == b"new"


def test_a_name_as_long_as_the_file_system_allows_can_be_written(tmp_path: Path) -> None:
    name = "\u6587" * 83 + "ab.png"
    assert len(name.encode()) == 255
    with open_target(f"{tmp_path}/", None, name).writing() as sink:
        sink.write(CONTENT)
    assert files_in(tmp_path) == [name]


ENDS = [
    OSError(28, "No space left on device"),
    RuntimeError("x"),
    KeyboardInterrupt(),
    SystemExit(),
    GeneratorExit(),
]


@pytest.mark.parametrize("error", ENDS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("old", [None, b"old"], ids=["new", "old"])
def test_a_failure_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, old: bytes | None, error: BaseException
) -> None:
    if old:
        (tmp_path / "a.png").write_bytes(old)
    with pytest.raises(type(error)) as caught:
        write(open_target(str(tmp_path / "a.png"), None, "x"), CONTENT, then=error)
    assert caught.value is error
    assert files_in(tmp_path) == (["a.png"] if old else [])
    assert not old or (tmp_path / "a.png").read_bytes() == old


def test_a_target_that_cannot_be_replaced_leaves_nothing(tmp_path: Path) -> None:
    target = open_target(str(tmp_path / "a.png"), None, "x")
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OSError, match=r"a\.png"), target.writing() as sink:
        sink.write(CONTENT)
    assert files_in(tmp_path) == []


def test_a_parent_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(OSError, match="a"), open_target(str(tmp_path / "a" / "b.png"), None, "x").writing():
        pass
    assert (tmp_path / "a").read_bytes() == b"old"


def test_two_writers_do_not_get_into_each_others_way(tmp_path: Path) -> None:
    path = tmp_path / "a.png"

    def write(byte: int) -> None:
        with open_target(str(path), None, "x").writing() as sink:
            for _ in range(50):
                sink.write(bytes([byte]) * 1000)

    threads = [threading.Thread(target=write, args=(byte,)) for byte in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = path.read_bytes()
    assert content == content[:1] * 50_000
    assert files_in(tmp_path) == ["a.png"]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_new_file_has_the_rights_that_any_other_would_have(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with open_target(str(tmp_path / "a.png"), None, "x").writing() as sink:
            sink.write(CONTENT)
    finally:
        os.umask(before)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_pipe_or_device_as_destination_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    # Whoever names /dev/null as root would lose it.
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises((OSError, ValueError)):
        write(open_target(str(tmp_path / "pipe"), None, "x"), CONTENT)
    assert (tmp_path / "pipe").is_fifo()


def run_writer(body: str, path: Path) -> subprocess.Popen[bytes]:
    """Run code in a process of its own that writes to a target, through ``sink``."""
    code = f"""
import os, resource, signal, sys
from pathlib import Path
from airflow_provider_kie.files.storage import LocalTarget

def chunk():
    return b"x" * 100_000

with LocalTarget(Path(sys.argv[1])).writing() as sink:
{textwrap.indent(textwrap.dedent(body), "    ")}
"""
    # Measuring coverage would leave half a data file behind.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return subprocess.Popen([sys.executable, "-c", code, str(path)], stderr=subprocess.PIPE, env=env)


@pytest.mark.parametrize("old", [None, b"old"], ids=["new", "old"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_writer_leaves_the_old_file_as_it_was(
    tmp_path: Path, number: signal.Signals, old: bytes | None
) -> None:
    path = tmp_path / "a.png"
    if old:
        path.write_bytes(old)
    body = f"""
        for _ in range(5):
            sink.write(chunk())
        sink.flush()
        os.kill(os.getpid(), {int(number)})
    """
    with run_writer(body, path) as process:
        process.communicate()
    assert process.returncode == -number
    assert (path.read_bytes() if path.exists() else None) == old
    assert all(name == "a.png" or name.startswith(".") for name in files_in(tmp_path))


@pytest.mark.parametrize(
    ("limit", "writes"),
    [
        (250_000, "for _ in range(5): sink.write(chunk())"),
        # What is left in the buffer is written when the file is closed.
        (1000, 'sink.write(b"x" * 1001)'),
    ],
    ids=["in between", "at the last byte"],
)
def test_a_disk_that_fills_up_leaves_the_old_file_and_nothing_else(
    limit: int, writes: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    body = f"""
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        {writes}
    """
    with run_writer(body, path) as process:
        _, errors = process.communicate()
    assert process.returncode == 1
    assert b"File too large" in errors
    assert path.read_bytes() == b"old"
    assert files_in(tmp_path) == ["a.png"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(small_disk: Path) -> None:
    (small_disk / "a.png").write_bytes(b"old")
    with pytest.raises(OSError, match="No space left on device"):
        write(open_target(str(small_disk / "a.png"), None, "x"), bytes(2_000_000))
    assert (small_disk / "a.png").read_bytes() == b"old"
    assert files_in(small_disk) == ["a.png"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("memory://bucket/new.png", "memory://bucket/new.png"),
        ("memory://bucket/old.png", "memory://bucket/old.png"),
        ("memory://bucket/folder", "memory://bucket/folder/default.png"),
        ("memory://bucket/folder/", "memory://bucket/folder/default.png"),
        ("memory://bucket/no/such/", "memory://bucket/no/such/default.png"),
        ("memory://bucket", "memory://bucket/default.png"),
        ("memory://bucket/", "memory://bucket/default.png"),
    ],
)
def test_a_destination_in_an_object_storage_is_a_file_or_a_folder(
    memory: MemoryFileSystem, given: str, expected: str
) -> None:
    memory.pipe("/bucket/folder/other.png", b"other")
    memory.pipe("/bucket/old.png", b"old")
    target = open_target(given, None, "default.png")
    assert isinstance(target, ObjectTarget)
    with target.writing() as sink:
        sink.write(CONTENT)
    # What is shown is what the next task opens.
    assert str(target) == expected
    assert ObjectStoragePath(str(target)).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("memory://bucket/new.png", "/bucket/new.png"),
        ("memory://bucket/folder", "/bucket/folder/default.png"),
        ("memory://bucket", "/bucket/default.png"),
    ],
)
def test_a_destination_is_an_object_storage_path_too(memory: MemoryFileSystem, given: str, path: str) -> None:
    memory.pipe("/bucket/folder/other.png", b"other")
    target = open_target(ObjectStoragePath(given), None, "default.png")
    with target.writing() as sink:
        sink.write(CONTENT)
    assert memory.cat(path) == CONTENT
    assert ObjectStoragePath(str(target)).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "name", ["a b.png", "\u6587.png", "100%.png", "a%20b.png", "a?b.png", "a#b.png", "a:b.png"]
)
def test_a_default_name_of_any_characters_is_where_it_is_said_to_be(
    memory: MemoryFileSystem, name: str
) -> None:
    target = open_target("memory://bucket/folder/", None, name)
    with target.writing() as sink:
        sink.write(CONTENT)
    assert memory.find("/bucket") == [f"/bucket/folder/{name}"]
    assert str(target) == f"memory://bucket/folder/{name}"
    assert open_source(str(target)).size == len(CONTENT)


def test_an_object_target_tells_the_size_of_what_is_there(memory: MemoryFileSystem) -> None:
    target = open_target("memory://bucket/a.png", None, "x")
    assert target.size() is None
    memory.pipe("/bucket/a.png", b"")
    assert target.size() == 0
    memory.pipe("/bucket/a.png", CONTENT)
    assert target.size() == len(CONTENT)


def test_until_the_end_a_reader_sees_the_old_object(memory: MemoryFileSystem, spools: Path) -> None:
    memory.pipe("/bucket/a.png", b"old")
    with open_target("memory://bucket/a.png", None, "x").writing() as sink:
        sink.write(CONTENT)
        sink.flush()
        assert memory.cat("/bucket/a.png") == b"old"
        assert memory.find("/bucket") == ["/bucket/a.png"]
        assert len(files_in(spools)) == 1
    assert memory.cat("/bucket/a.png") == CONTENT
    assert memory.find("/bucket") == ["/bucket/a.png"]
    assert files_in(spools) == []


@pytest.mark.parametrize("error", ENDS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("old", [None, b"old"], ids=["new", "old"])
def test_a_failure_leaves_the_object_that_was_there_and_nothing_else(
    memory: MemoryFileSystem, spools: Path, old: bytes | None, error: BaseException
) -> None:
    if old:
        memory.pipe("/bucket/a.png", old)
    with pytest.raises(type(error)) as caught:
        write(open_target("memory://bucket/a.png", None, "x"), CONTENT, then=error)
    assert caught.value is error
    assert memory.find("/bucket") == (["/bucket/a.png"] if old else [])
    assert not old or memory.cat("/bucket/a.png") == old
    assert files_in(spools) == []


def test_a_storage_that_refuses_the_object_keeps_the_old_one(
    memory: MemoryFileSystem, spools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise PermissionError("access denied")

    memory.pipe("/bucket/a.png", b"old")
    monkeypatch.setattr(MemoryFileSystem, "put_file", refuse)
    with pytest.raises(PermissionError, match="access denied"):
        write(open_target("memory://bucket/a.png", None, "x"), CONTENT)
    assert memory.cat("/bucket/a.png") == b"old"
    assert files_in(spools) == []


@pytest.mark.parametrize("old", [None, b"old"], ids=["new", "old"])
def test_a_storage_that_breaks_in_the_middle_keeps_the_old_object(
    memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch, old: bytes | None
) -> None:
    if old:
        memory.pipe("/bucket/a.png", old)

    def write_half(self: MemoryFile, data: bytes) -> int:
        written(self, data[: len(data) // 2])
        raise OSError(104, "Connection reset by peer")

    written = MemoryFile.write
    monkeypatch.setattr(MemoryFile, "write", write_half, raising=False)
    with pytest.raises(OSError, match="Connection reset by peer"):
        write(open_target("memory://bucket/a.png", None, "x"), CONTENT)
    assert memory.exists("/bucket/a.png") is bool(old)
    assert not old or memory.cat("/bucket/a.png") == old


def test_an_object_store_gets_the_object_once_and_under_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    # It shows an object when it is whole, and a move would be a second transfer.
    attached(MemoryFileSystem, monkeypatch, protocol="s3")
    put: list[str] = []

    def put_file(self: MemoryFileSystem, lpath: str, rpath: str, **kwargs: Any) -> None:
        put.append(rpath)
        assert Path(lpath).read_bytes() == CONTENT

    monkeypatch.setattr(MemoryFileSystem, "put_file", put_file)
    write(open_target("s3://bucket/a.png", None, "x"), CONTENT)
    assert put == ["bucket/a.png"]


def test_a_storage_that_is_gone_is_told_by_its_first_error(
    memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: MemoryFileSystem, *args: Any, **kwargs: Any) -> None:
        raise OSError(104, "Connection reset by peer")

    def still_gone(self: MemoryFileSystem, *args: Any, **kwargs: Any) -> None:
        raise OSError(32, "Broken pipe")

    monkeypatch.setattr(MemoryFileSystem, "put_file", gone)
    for name in ("rm", "rm_file", "_rm"):
        monkeypatch.setattr(MemoryFileSystem, name, still_gone)
    with pytest.raises(OSError, match="Connection reset by peer"):
        write(open_target("memory://bucket/a.png", None, "x"), CONTENT)
