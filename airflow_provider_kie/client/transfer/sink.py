"""Where a download's bytes arrive: written, hashed, counted."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from typing import BinaryIO

from airflow_provider_kie.client.http.responses import Piece


class Sink:
    """
    A file that is being received.

    :param file: Empty, seekable file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._furthest = 0
        self.start_over()

    def start_over(self) -> None:
        """Forget what has arrived."""
        self.size = 0
        self._sha256 = hashlib.sha256()
        # An empty file needs neither, and each would hand Python's lock to another thread.
        if self._furthest:
            self._file.seek(0)
            self._file.truncate()

    def append(self, piece: Piece) -> None:
        """
        Take the next bytes.

        :param piece: Bytes.
        :raises OSError: They cannot be written.
        """
        self._file.write(piece)
        # Whoever looks at the file sees a slow transfer grow.
        self._file.flush()
        self._sha256.update(piece)
        self.size += len(piece)
        self._furthest = max(self._furthest, self.size)

    def sha256(self) -> str:
        """
        Return the hash of what has arrived.

        :return: Hexadecimal.
        """
        return self._sha256.hexdigest()

    def check_room(self, total: int) -> None:
        """
        Fail before the disk is full rather than when it is.

        :param total: Bytes of the whole file.
        :raises OSError: There is no room for the missing ones.
        """
        try:
            disk = os.fstatvfs(self._file.fileno())
        except io.UnsupportedOperation:
            return
        # A file system's reserve is root's. One that does not know its own size reports 0 blocks.
        free = (disk.f_bavail if os.geteuid() else disk.f_bfree) * disk.f_frsize
        # Space used before starting over is available again, even if the file system frees it only later.
        missing = total - self._furthest
        if disk.f_blocks and free < missing:
            raise OSError(errno.ENOSPC, f"no room for the {missing} bytes that are missing")
