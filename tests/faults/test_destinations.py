"""What goes wrong where the file is to be written: disks, folders, names, and object storage."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_kie.client.errors import KieError, KieTransferError
from airflow_provider_kie.client.transfer.download import Sign
from airflow_provider_kie.client.transfer.upload import UploadMethod
from tests.memory_storage import attached

from .server import FILE, HALF, Reply, signs, stored
from .trial import OLD, Ending, Trial
from .worker import Zygote

NOBODY = 65534


def _remove_folder(trial: Trial) -> None:
    shutil.rmtree(trial.folder)


def _remove_part(trial: Trial) -> None:
    for path in trial.folder.glob(".*"):
        path.unlink()


def _put_folder(trial: Trial) -> None:
    trial.target.unlink()
    trial.target.mkdir()
    (trial.target / "kept").write_bytes(OLD)


def _put_file_for_folder(trial: Trial) -> None:
    shutil.rmtree(trial.folder)
    trial.folder.write_bytes(OLD)


def _remove_old(trial: Trial) -> None:
    trial.target.unlink()


@dataclass(frozen=True)
class Case:
    """
    A mishap at the destination, in the middle of a download.

    :param name: The mishap.
    :param mishap: What happens.
    :param ends: What keeps the promise.
    :param there: Whether the file is there afterwards: the new one, the old one, or none.
    :param replies: What the file host does.
    """

    name: str
    mishap: Callable[[Trial], None]
    ends: Ending
    there: bytes | None
    replies: tuple[Reply, ...] = (Reply(meanwhile=HALF),)


CASES = [
    Case("folder removed meanwhile", _remove_folder, OSError, None),
    Case(
        "folder removed meanwhile, and the transfer cut",
        _remove_folder,
        OSError,
        None,
        (Reply(meanwhile=HALF, sent=HALF), Reply()),
    ),
    Case("temporary file removed meanwhile", _remove_part, OSError, OLD),
    Case("rename fails: a folder has the name meanwhile", _put_folder, OSError, None),
    Case("rename fails: the folder is a file meanwhile", _put_file_for_folder, OSError, None),
    Case("old file removed meanwhile", _remove_old, None, FILE),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name.replace(" ", "-") for case in CASES])
def test_a_mishap_at_the_destination_is_an_os_error_that_leaves_nothing(case: Case, trial: Trial) -> None:
    api = trial.host(trusted=True)
    files = trial.host(case.replies, mishap=lambda: case.mishap(trial))
    trial.connect(api.url, api.url)
    result, error = trial.play(
        lambda hook: hook.download_file(f"{files.url}/a.bin", trial.target, sign="never")
    )
    trial.judge_ending(error, case.ends)
    trial.judge_file(result, FILE, old=case.there)
    trial.judge_leftovers()
    trial.judge_requests(files, len(case.replies), or_fewer=True)
    trial.judge_secrets()
    trial.close()


@dataclass(frozen=True)
class Place:
    """
    A destination that cannot be, from the start or not.

    :param name: What is wrong with it.
    :param destination: Below the trial's folder.
    :param ends: What keeps the promise.
    :param asked: Whether the file host is asked at all; None if that does not matter.
    """

    name: str
    destination: str
    ends: Ending
    asked: bool | None = None


PLACES = [
    Place("below a file", "a.bin/b/c.bin", OSError),
    Place("a name of 256 bytes", "n" * 256, OSError),
    Place("a name of 255 bytes", "n" * 255, None),
    Place("a name of 255 bytes in umlauts", "ä" * 127 + "n", None),
    Place("a null byte", "a\0b", ValueError),
    Place("the system's own", "/proc/kie-faults/a.bin", OSError),
    Place("an empty path", "", ValueError, asked=False),
    Place("another host's file", "file://elsewhere/a.bin", ValueError, asked=False),
    Place("a storage that nobody knows", "nowhere://bucket/a.bin", ValueError, asked=False),
    Place("a bucket without a name", "s3:///a.bin", ValueError, asked=False),
    Place("a key with a line break", "s3://bucket/a.bin\n", ValueError, asked=False),
    Place("a name that is no utf 8", "caf\udce9.bin", ValueError, asked=False),
    Place("a link in a circle", "circle", OSError, asked=False),
    Place("below a link in a circle", "circle/a.bin", OSError, asked=False),
]


@pytest.mark.parametrize("place", PLACES, ids=[place.name.replace(" ", "-") for place in PLACES])
def test_a_place_that_cannot_be_written_is_an_error_that_leaves_nothing(place: Place, trial: Trial) -> None:
    api, files = trial.host(trusted=True), trial.host([Reply()])
    trial.connect(api.url, api.url)
    (trial.folder / "circle").symlink_to("circle")
    where = place.destination
    if where and "://" not in where and not where.startswith("/"):
        where = f"{trial.folder}/{where}"
    result, error = trial.play(lambda hook: hook.download_file(f"{files.url}/a.bin", where, sign="never"))
    trial.judge_ending(error, place.ends)
    trial.judge_file(None, FILE)
    if result is not None and Path(where).read_bytes() != FILE:
        trial.lose("wrong byte", "in the file of the long name")
    trial.judge_leftovers(also=("circle", Path(where).name) if result else ("circle",))
    trial.judge_requests(files, 0 if place.asked is False else 1, or_fewer=True)
    trial.judge_secrets()
    trial.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 256 KiB, where that is permitted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0755", "none", folder], capture_output=True
    )
    if not mounted or mounted.returncode != 0:
        pytest.skip("mounting is not permitted here; the limit on a file's size plays the full disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


def _on(trial: Trial, folder: Path) -> None:
    trial.folder = folder
    trial.target = folder / "a.bin"
    trial.target.write_bytes(OLD)


@pytest.mark.parametrize("signed", [False, True], ids=["direct", "signed"])
def test_a_full_disk_is_an_os_error_that_leaves_nothing(signed: bool, trial: Trial, small_disk: Path) -> None:
    _on(trial, small_disk)
    api = trial.host([signs()], trusted=True)
    files = trial.host([Reply(file=FILE * 2)] * 9)
    trial.words["link"] = f"{files.url}/store/a.bin?X-Amz-Signature={trial.signature}"
    trial.connect(api.url, api.url)
    sign: Sign = "always" if signed else "never"
    result, error = trial.play(lambda hook: hook.download_file(f"{files.url}/a.bin", trial.target, sign=sign))
    trial.judge_ending(error, OSError)
    if str(small_disk) not in str(error):
        trial.lose("other ending than promised", f"the disk is not named: {error}")
    trial.judge_file(result, FILE * 2)
    trial.judge_leftovers()
    trial.judge_requests(files, 1)
    trial.judge_secrets()
    trial.close()


def test_a_full_folder_of_temporary_files_is_an_os_error_that_names_it(
    trial: Trial, small_disk: Path, storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    api, files = trial.host(trusted=True), trial.host([Reply(file=FILE * 2)] * 9)
    trial.connect(api.url, api.url)
    _, error = trial.play(
        lambda hook: hook.download_file(
            f"{files.url}/a.bin", "memory://bucket/a.bin", sign="never", destination_conn_id="faulty"
        )
    )
    trial.judge_ending(error, OSError)
    if f"{small_disk}" not in str(error) or "TMPDIR" not in str(error):
        trial.lose("other ending than promised", f"the folder is not named: {error}")
    if left := [path.name for path in small_disk.iterdir()]:
        trial.lose("leftover file", f"{left} among the temporary files")
    _judge_store(trial, storage, OLD)
    trial.judge_requests(files, 1)
    trial.judge_secrets()
    trial.close()


LINKS = [
    ("a link to the file", "a.bin", None),
    ("a link to nothing", "new.bin", FILE),
]


@pytest.mark.parametrize(("name", "to", "made"), LINKS, ids=[name.replace(" ", "-") for name, *_ in LINKS])
def test_a_link_is_followed(name: str, to: str, made: bytes | None, trial: Trial) -> None:
    api, files = trial.host(trusted=True), trial.host([Reply(sent=HALF), Reply()])
    trial.connect(api.url, api.url)
    link = trial.folder / "link.bin"
    link.symlink_to(to)
    trial.target.chmod(0o640)
    result, error = trial.play(lambda hook: hook.download_file(f"{files.url}/a.bin", link, sign="never"))
    trial.judge_ending(error, None)
    if not link.is_symlink() or link.read_bytes() != FILE:
        trial.lose("wrong byte", "behind the link")
    if trial.target.stat().st_mode & 0o777 != 0o640:
        trial.lose("old file lost", "its mode is another")
    trial.judge_file(None if made else result, FILE)
    trial.judge_leftovers(also=("link.bin", to))
    trial.judge_secrets()
    trial.close()


def test_a_disk_that_fills_at_the_very_end_is_an_os_error_that_leaves_nothing(
    trial: Trial, small_disk: Path
) -> None:
    _on(trial, small_disk)
    filling = small_disk / "others"

    def fill() -> None:
        with contextlib.suppress(OSError), filling.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    api = trial.host(trusted=True)
    files = trial.host([Reply(meanwhile=len(FILE) - 5000)], mishap=fill)
    trial.connect(api.url, api.url)
    result, error = trial.play(
        lambda hook: hook.download_file(f"{files.url}/a.bin", trial.target, sign="never")
    )
    trial.judge_ending(error, (None, OSError))
    trial.judge_file(result, FILE)
    trial.judge_leftovers(also=(filling.name,))
    trial.close()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Make a folder that another user can reach, with an older file in it."""
    path = Path(tempfile.mkdtemp(prefix="kie-faults-", dir=os.environ.get("TMPDIR", "/tmp")))
    path.chmod(0o755)
    yield path
    path.chmod(0o755)
    shutil.rmtree(path)


@dataclass(frozen=True)
class Limited:
    """
    A download by a process that may do less.

    :param name: What it may not do.
    :param limits: Its limits, as ``Zygote.start`` takes them.
    :param mode: Of the folder.
    :param memory: Whether it goes to an object storage, through a local temporary file.
    """

    name: str
    limits: dict[str, int]
    mode: int = 0o777
    memory: bool = False


LIMITED = [
    Limited("file larger than may be written", {"fsize": 100_000}),
    Limited("temporary file larger than may be written", {"fsize": 100_000}, memory=True),
    Limited("folder that is read-only", {"uid": NOBODY}, mode=0o555),
    Limited("folder that may not be entered", {"uid": NOBODY}, mode=0o000),
]


@pytest.mark.parametrize("case", LIMITED, ids=[case.name.replace(" ", "-") for case in LIMITED])
def test_a_process_that_may_not_write_ends_with_an_os_error(
    case: Limited, trial: Trial, zygote: Zygote, open_folder: Path
) -> None:
    _on(trial, open_folder)
    open_folder.chmod(case.mode)
    api, files = trial.host(trusted=True), trial.host([Reply()] * 9)
    trial.connect(api.url, api.url)
    destination = "memory://faults/a.bin" if case.memory else str(trial.target)
    zygote.start(
        "download",
        os.environ["AIRFLOW_CONN_KIE_DEFAULT"],
        limits=case.limits,
        file_url=f"{files.url}/a.bin",
        destination=destination,
        sign="never",
    )
    ended = zygote.end()
    open_folder.chmod(0o755)
    if "OSError" not in ended.get("error", []):
        trial.lose("other ending than promised", f"{ended}")
    trial.judge_file(None, FILE)
    trial.judge_leftovers()
    trial.judge_requests(files, 1, or_fewer=True)
    trial.judge_secrets()
    trial.close()


# Object storage


class _Broken(MemoryFileSystem):
    """A storage of its own that breaks at one of its verbs."""

    protocol = "memory"
    store: dict[str, Any] = {}
    pseudo_dirs: list[str] = [""]
    cachable = False
    breaks: str = ""
    error: Exception = OSError(5, "Input/output error")

    @property
    def _above(self) -> Any:
        return super()

    def _break(self, verb: str) -> None:
        if verb == self.breaks:
            raise self.error

    def put_file(self, lpath: str, rpath: str, *args: Any, **kwargs: Any) -> None:
        self._break("put")
        if self.breaks == "put in the middle":
            self._above.pipe_file(rpath, Path(lpath).read_bytes()[:HALF])
            raise self.error
        self._above.put_file(lpath, rpath, *args, **kwargs)
        self._break("put at the end")

    def mv(self, path1: str, path2: str, *args: Any, **kwargs: Any) -> None:
        self._break("mv")
        self._above.mv(path1, path2, *args, **kwargs)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        self._break("makedirs")
        self._above.makedirs(path, exist_ok=exist_ok)

    def isdir(self, path: str) -> bool:
        self._break("isdir")
        return bool(self._above.isdir(path))

    def info(self, path: str, **kwargs: Any) -> Any:
        self._break("info")
        return self._above.info(path, **kwargs)


@dataclass(frozen=True)
class Store:
    """
    A fault of an object storage.

    :param name: The fault.
    :param breaks: The verb at which the storage breaks.
    :param error: What it raises.
    :param replies: What the file host does.
    :param ends: What keeps the promise.
    """

    name: str
    breaks: str = ""
    error: Exception = OSError(5, "Input/output error")  # noqa: RUF009 (only raised)
    replies: tuple[Reply, ...] = (Reply(),)
    ends: Ending = OSError


STORES = [
    Store("storage breaks before the first byte", "put"),
    Store("storage breaks in the middle", "put in the middle"),
    Store("storage breaks at the end", "put at the end"),
    Store("storage refuses", "put", PermissionError(13, "Permission denied")),
    Store(
        "storage resets in the middle",
        "put in the middle",
        ConnectionResetError(104, "Connection reset by peer"),
    ),
    Store("storage cannot rename", "mv"),
    Store("storage makes no folder", "makedirs"),
    Store("storage cannot be looked at", "isdir"),
    Store("download cut on its way to a storage", replies=(Reply(sent=HALF), Reply()), ends=None),
    Store("download cut for ever on its way to a storage", replies=(Reply(sent=0),) * 9, ends=KieError),
    Store(
        "file gone on its way to a storage",
        replies=(Reply(sent=HALF), Reply(status=404, body=b"")),
        ends=KieError,
    ),
]


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Attach a storage with an older file in it."""
    kind: Any = _Broken
    fs = attached(kind, monkeypatch, conn_id="faulty")
    fs.pipe_file("/bucket/a.bin", OLD)
    return fs


def _judge_store(trial: Trial, fs: Any, expected: bytes) -> None:
    fs.breaks = ""
    names = [name for name in fs.find("/") if name != "/bucket/a.bin"]
    if names:
        trial.lose("leftover file", f"{names} in the storage")
    found = fs.cat_file("/bucket/a.bin") if fs.exists("/bucket/a.bin") else None
    if found != expected:
        trial.lose("old file lost" if expected == OLD else "wrong byte", f"{found and len(found)} bytes")


@pytest.mark.parametrize("case", STORES, ids=[case.name.replace(" ", "-") for case in STORES])
def test_a_storage_shows_the_whole_file_or_what_was_there(case: Store, trial: Trial, storage: Any) -> None:
    storage.breaks, storage.error = case.breaks, case.error
    api, files = trial.host(trusted=True), trial.host(case.replies)
    trial.connect(api.url, api.url)
    _, error = trial.play(
        lambda hook: hook.download_file(
            f"{files.url}/a.bin", "memory://bucket/a.bin", sign="never", destination_conn_id="faulty"
        )
    )
    trial.judge_ending(error, case.ends)
    _judge_store(trial, storage, FILE if error is None else OLD)
    trial.judge_leftovers()
    trial.judge_requests(files, 3, or_fewer=True)
    trial.judge_secrets()
    trial.close()


class _Source:
    """A file in a storage whose reading goes wrong in the middle."""

    def __init__(self, data: bytes, error: Exception | None) -> None:
        self.data, self.error, self.position = data, error, 0

    def read(self, size: int = -1, /) -> bytes:
        if self.error and (self.position >= HALF or size > HALF):
            raise self.error
        stop = len(self.data) if size < 0 else self.position + size
        piece = self.data[self.position : stop]
        self.position += len(piece)
        return piece

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self.position = offset if whence == 0 else len(FILE) + offset
        return self.position

    def tell(self) -> int:
        return self.position

    def __enter__(self) -> _Source:
        return self

    def __exit__(self, *_: object) -> None:
        return None


SOURCES: list[tuple[str, bytes, Exception | None, type[Exception]]] = [
    ("storage breaks while it is read", FILE, OSError(5, "Input/output error"), OSError),
    ("storage is cut off while it is read", FILE, TimeoutError(110, "timed out"), OSError),
    ("object shrinks while it is read", FILE[:HALF], None, KieTransferError),
    ("object grows while it is read", FILE + FILE, None, KieTransferError),
]


@pytest.mark.parametrize("method", ["stream", "base64"])
@pytest.mark.parametrize(
    ("name", "data", "error", "ends"), SOURCES, ids=[name.replace(" ", "-") for name, *_ in SOURCES]
)
def test_a_source_that_fails_while_it_is_read_is_an_error(
    name: str,
    data: bytes,
    error: Exception | None,
    ends: type[Exception],
    method: UploadMethod,
    trial: Trial,
    storage: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage.pipe_file("/bucket/a.bin", FILE)
    monkeypatch.setattr(_Broken, "open", lambda *_, **__: _Source(data, error))
    api, upload = trial.host(trusted=True), trial.host([stored()] * 9, trusted=True)
    trial.words |= {"size": str(len(FILE)), "files": api.url}
    trial.connect(api.url, upload.url)
    _, caught = trial.play(
        lambda hook: hook.upload_file(
            "memory://bucket/a.bin", "faults", method=method, source_conn_id="faulty"
        )
    )
    trial.judge_ending(caught, ends)
    trial.judge_leftovers()
    trial.judge_requests(upload, 1, or_fewer=True)
    trial.judge_secrets()
    trial.close()
