"""Files on this worker's disks: written beside their place, put there whole, and never left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

SPOOL_ADVICE = "; files wait here before they go on, and TMPDIR can name another folder"


class Unfinished:
    """
    The temporary files of one piece of work; safe to share between threads.

    :param check_running: Raises when the work has been stopped.
    """

    def __init__(self, check_running: Callable[[], None] = lambda: None) -> None:
        self.check_running = check_running
        self._paths: set[Path] = set()

    def add(self, path: Path) -> None:
        """
        Remember a file that is about to be written.

        :param path: The file.
        """
        self._paths.add(path)

    def discard(self, path: Path) -> None:
        """
        Remove a file if it is still there, and forget it.

        :param path: The file.
        """
        # What went wrong first is what matters, even if this does too.
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        self._paths.discard(path)

    def remove_all(self) -> None:
        """Remove what is left by threads that hang, before the process ends."""
        for path in list(self._paths):
            self.discard(path)


def part_name() -> str:
    """
    Make a name for a file that is not whole yet.

    :return: A name that no other file has.
    """
    return f".kie-{uuid.uuid4().hex}.part"


@contextmanager
def replacing(path: Path, unfinished: Unfinished) -> Iterator[BinaryIO]:
    """
    Write beside a file, under a name of its own, and put it in place when all went well.

    :param path: The file, or a link to it. One that is there keeps its mode.
    :param unfinished: Where the temporary file is noted, and what says whether to go on.
    :return: A context manager that gives the file to write to.
    :raises OSError: It cannot be written; what was there still is.
    """
    real, mode = _behind_links(path)
    real.parent.mkdir(parents=True, exist_ok=True)
    part = real.parent / part_name()
    unfinished.add(part)
    try:
        unfinished.check_running()
        with naming_a_full_disk(real.parent), part.open("xb") as file:
            # Not needlessly: some file systems have one mode for all, and refuse.
            if mode is not None and mode != stat.S_IMODE(os.fstat(file.fileno()).st_mode):
                os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.check_running()
        part.replace(real)
        _sync_folder(real.parent)
    finally:
        unfinished.discard(part)


@contextmanager
def spooling(unfinished: Unfinished) -> Iterator[Path]:
    """
    Give a temporary file, empty and closed, for as long as the block runs.

    :param unfinished: Where it is noted, and what says whether to go on.
    :return: A context manager that gives its path.
    """
    unfinished.check_running()
    descriptor, name = tempfile.mkstemp(prefix="kie-", suffix=".part")
    os.close(descriptor)
    spool = Path(name)
    unfinished.add(spool)
    try:
        yield spool
    finally:
        unfinished.discard(spool)


@contextmanager
def naming_a_full_disk(folder: Path, advice: str = "") -> Iterator[None]:
    """
    Say where there is no room left; the system's own error does not.

    :param folder: Where is written.
    :param advice: What to say besides.
    :return: A context manager.
    :raises OSError: What the block raises.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            with contextlib.suppress(OSError):
                error.strerror = f"{error.strerror}; {shutil.disk_usage(folder).free} bytes are free{advice}"
            error.filename = str(folder)
        raise


def _behind_links(path: Path) -> tuple[Path, int | None]:
    """Give the file that a path leads to, and its mode if it exists."""
    mode = None
    with contextlib.suppress(FileNotFoundError):
        # Fails for links that lead in a circle, and for those that the system does not let us follow.
        mode = path.stat().st_mode & 0o777
    return Path(os.path.realpath(path)), mode


def _sync_folder(folder: Path) -> None:
    """Make a rename outlive a power cut."""
    # The file is in its place already; some network file systems cannot do more, and a folder that may be
    # written need not be readable.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
