"""Writing files on this worker: links, modes, full disks, power cuts, and work that is stopped."""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from airflow_provider_kie.client.errors import KieCancelledError
from airflow_provider_kie.files.local import Unfinished
from airflow_provider_kie.files.storage import LocalTarget, ObjectTarget, open_source, open_target

CONTENT = b"new" * 1000


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if not path.is_dir())


def write(path: Path, content: bytes = CONTENT) -> None:
    with open_target(str(path), None, "x").writing() as sink:
        sink.write(content)


# Links and modes


@pytest.mark.parametrize("link_to", ["real/a.png", "{folder}/real/a.png", "other.png"])
def test_a_link_is_followed_and_stays(tmp_path: Path, link_to: str) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.png").write_bytes(b"old")
    (tmp_path / "other.png").symlink_to("real/a.png")
    (tmp_path / "a.png").symlink_to(link_to.format(folder=tmp_path))
    target = open_target(str(tmp_path / "a.png"), None, "x")
    with target.writing() as sink:
        sink.write(CONTENT)
        # Beside the file itself: a rename does not lead into another file system.
        assert len(files_in(tmp_path / "real")) == 2
    assert (tmp_path / "a.png").is_symlink()
    assert not (tmp_path / "real/a.png").is_symlink()
    assert (tmp_path / "real/a.png").read_bytes() == CONTENT
    assert files_in(tmp_path / "real") == ["a.png"]
    assert str(target) == str(tmp_path / "a.png")


def test_what_a_link_leads_to_is_made(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("no/such/b.png")
    write(tmp_path / "a.png")
    assert (tmp_path / "a.png").is_symlink()
    assert (tmp_path / "no/such/b.png").read_bytes() == CONTENT


def test_a_link_in_a_circle_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("b.png")
    (tmp_path / "b.png").symlink_to("a.png")
    with pytest.raises(OSError, match=r"[Ss]ymbolic links.*a\.png") as caught:
        write(tmp_path / "a.png")
    assert caught.value.errno == errno.ELOOP
    assert files_in(tmp_path) == ["a.png", "b.png"]


def test_a_link_to_a_folder_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with open_target(str(tmp_path / "link"), None, "a.png").writing() as sink:
        sink.write(CONTENT)
    assert files_in(tmp_path / "real") == ["a.png"]


@pytest.mark.parametrize("is_link", [False, True])
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o444, 0o666])
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path, mode: int, is_link: bool) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    path.chmod(mode)
    (tmp_path / "link").symlink_to("a.png")
    with open_target(str(tmp_path / "link" if is_link else path), None, "x").writing() as sink:
        sink.write(CONTENT)
        # From its first byte on nobody may read it who may not read the file.
        assert os.fstat(sink.fileno()).st_mode & 0o777 == mode
    assert path.stat().st_mode & 0o7777 == mode
    assert path.read_bytes() == CONTENT


# Power cuts


def test_the_bytes_are_on_the_disk_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    def note(name: str, real: Callable[..., Any], of: Callable[..., object]) -> Callable[..., Any]:
        def noting(*args: Any) -> Any:
            events.append(f"{name} {of(*args)}")
            return real(*args)

        return noting

    def kind(descriptor: int) -> str:
        if os.path.samestat(os.fstat(descriptor), tmp_path.stat()):
            return "the folder"
        assert os.fstat(descriptor).st_size == len(CONTENT)
        return "the file"

    monkeypatch.setattr(os, "fsync", note("fsync", os.fsync, kind))
    monkeypatch.setattr(Path, "replace", note("rename", Path.replace, lambda _, target: target.name))
    write(tmp_path / "a.png")
    assert events == ["fsync the file", "rename a.png", "fsync the folder"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_may_only_be_written_is_good_enough(tmp_path: Path) -> None:
    tmp_path.chmod(0o300)
    try:
        write(tmp_path / "a.png")
    finally:
        tmp_path.chmod(0o700)
    assert (tmp_path / "a.png").read_bytes() == CONTENT


def test_a_folder_that_cannot_be_synced_is_good_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def open_no_folder(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if Path(path) == tmp_path:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", open_no_folder)
    write(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == CONTENT


# Full disks


def test_a_full_disk_is_named(small_disk: Path) -> None:
    folder = small_disk / "out"
    with pytest.raises(OSError, match=r"No space left on device; \d+ bytes are free") as caught:
        write(folder / "a.png", bytes(2_000_000))
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(folder)
    assert "TMPDIR" not in str(caught.value)
    assert files_in(small_disk) == []


def test_a_full_folder_of_temporary_files_is_named(
    small_disk: Path, memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))
    with (
        pytest.raises(OSError, match=r"No space left on device; \d+ bytes are free; .*TMPDIR") as caught,
        open_target("memory://bucket/a.png", None, "x").writing() as sink,
    ):
        sink.write(bytes(2_000_000))
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(small_disk)
    assert files_in(small_disk) == []
    assert memory.find("/") == []


@pytest.mark.parametrize("where", ["{folder}/a.png", "memory://bucket/a.png"])
def test_whoever_writes_can_ask_how_much_room_there_is(
    where: str, small_disk: Path, memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))
    with open_target(where.format(folder=small_disk), None, "x").writing() as sink:
        room = os.fstatvfs(sink.fileno())
    assert room.f_blocks * room.f_frsize == 1024 * 1024


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_whoever_writes_can_say_that_there_is_no_room(number: int, tmp_path: Path) -> None:
    # The disk is named then, and the old file stays.
    (tmp_path / "a.png").write_bytes(b"old")
    with (
        pytest.raises(OSError, match=f"1000 bytes are too many.*{tmp_path}") as caught,
        open_target(str(tmp_path / "a.png"), None, "x").writing(),
    ):
        raise OSError(number, "1000 bytes are too many")
    assert caught.value.errno == number
    assert (tmp_path / "a.png").read_bytes() == b"old"
    assert files_in(tmp_path) == ["a.png"]


def test_a_storage_without_room_is_no_full_disk_of_this_worker(
    memory: MemoryFileSystem, spools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(MemoryFileSystem, "put_file", full)
    with (
        pytest.raises(OSError, match=r"No space left on device$"),
        open_target("memory://bucket/a.png", None, "x").writing(),
    ):
        pass
    assert files_in(spools) == []


# Work that is stopped


class Stop:
    """What says whether to go on."""

    def __init__(self) -> None:
        self.is_set = False

    def __call__(self) -> None:
        if self.is_set:
            raise KieCancelledError("stopped")


def targets(tmp_path: Path) -> list[LocalTarget | ObjectTarget]:
    return [open_target(where, None, "x") for where in (str(tmp_path / "out/a.png"), "memory://bucket/a.png")]


@pytest.mark.parametrize("number", [0, 1], ids=["local", "object"])
def test_what_is_written_when_the_work_is_stopped_is_not_published(
    number: int, tmp_path: Path, memory: MemoryFileSystem, spools: Path
) -> None:
    target, stop = targets(tmp_path)[number], Stop()

    def work() -> None:
        with target.writing(Unfinished(stop)) as sink:
            sink.write(CONTENT)
            stop.is_set = True

    with pytest.raises(KieCancelledError):
        work()
    assert files_in(tmp_path) == []
    assert memory.find("/") == []


@pytest.mark.parametrize("number", [0, 1], ids=["local", "object"])
def test_work_that_has_been_stopped_begins_no_file(
    number: int, tmp_path: Path, memory: MemoryFileSystem, spools: Path
) -> None:
    target, stop = targets(tmp_path)[number], Stop()
    stop.is_set = True
    with pytest.raises(KieCancelledError), target.writing(Unfinished(stop)):
        pytest.fail("it was begun")
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("number", [0, 1], ids=["local", "object"])
def test_only_what_is_unfinished_of_the_same_work_is_removed(
    number: int, tmp_path: Path, memory: MemoryFileSystem, spools: Path
) -> None:
    mine, others = Unfinished(), Unfinished()
    target = targets(tmp_path)[number]
    with target.writing(others) as sink:
        hangs = target.writing(mine)
        hangs.__enter__().write(CONTENT)
        assert len(files_in(tmp_path)) == 2
        mine.remove_all()
        assert len(files_in(tmp_path)) == 1
        sink.write(CONTENT)
    # It goes on after all, and must not publish what nobody waits for.
    with pytest.raises(FileNotFoundError):
        hangs.__exit__(None, None, None)
    assert target.size() == len(CONTENT)
    assert files_in(spools) == []
    others.remove_all()
    mine.remove_all()
    assert target.size() == len(CONTENT)


def test_a_storage_without_event_loop_stops_within_a_file(
    tmp_path: Path, memory: MemoryFileSystem, spools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, pieces, written = Stop(), 0, MemoryFile.write

    def stop_at_3(self: MemoryFile, data: bytes) -> int:
        nonlocal pieces
        pieces += 1
        stop.is_set = pieces == 3
        return written(self, data)

    memory.pipe("/bucket/a.png", b"old")
    monkeypatch.setattr(MemoryFileSystem, "blocksize", 100)
    monkeypatch.setattr(MemoryFile, "write", stop_at_3, raising=False)
    with (
        pytest.raises(KieCancelledError),
        open_target("memory://bucket/a.png", None, "x").writing(Unfinished(stop)) as sink,
    ):
        sink.write(CONTENT)
    assert pieces == 3
    assert memory.find("/") == ["/bucket/a.png"]
    assert memory.cat("/bucket/a.png") == b"old"
    assert files_in(spools) == []


def test_many_threads_share_what_is_unfinished(tmp_path: Path) -> None:
    unfinished = Unfinished()

    def work(number: int) -> None:
        for turn in range(20):
            with open_target(f"{tmp_path}/{number}-{turn}", None, "x").writing(unfinished) as sink:
                sink.write(CONTENT)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        Unfinished().remove_all()
    assert len(files_in(tmp_path)) == 160
    unfinished.remove_all()
    assert len(files_in(tmp_path)) == 160


# Names


@pytest.mark.parametrize("form", ["{folder}/{name}", "{folder}/{name}/", "file://{folder}/{name}"])
def test_a_name_that_is_no_utf_8_is_refused_before_anything_is_written(tmp_path: Path, form: str) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    (tmp_path / name).write_bytes(b"old")
    where = form.format(folder=tmp_path, name=name)
    for location in (where, Path(where)):
        with pytest.raises(ValueError, match=re.escape(r"caf\udce9.png")) as caught:
            open_source(location)
        str(caught.value).encode()
        with pytest.raises(ValueError, match="no valid UTF-8"):
            open_target(location, None, "x")


@pytest.mark.parametrize("number", [0, 1])
def test_a_path_that_may_have_lost_its_slash_is_told(
    number: int, tmp_path: Path, memory: MemoryFileSystem, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow.sdk import ObjectStoragePath

    given: Any = [Path(f"{tmp_path}/out/"), ObjectStoragePath("memory://bucket/out/")][number]
    target = open_target(given, None, "a.png")
    assert str(target) == str(given)
    assert f"{given} is taken for a file" in caplog.text
    assert f"give it as text: {given}/" in caplog.text


@pytest.mark.parametrize(
    ("given", "name"), [("out/a.png", "b.png"), ("folder", "a.png"), ("out", "a"), ("file", "a.png")]
)
def test_a_path_that_is_plain_is_not_talked_about(
    given: str, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    open_target(tmp_path / given, None, name)
    open_target(f"{tmp_path}/out", None, "a.png")
    assert caplog.text == ""
