"""sha256 beside a transfer instead of in its way."""

from __future__ import annotations

import functools
import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor

# Below this a thread costs more than it gains.
_BESIDE_FROM = 4 * 1024 * 1024


class Sha256:
    """
    The sha256 of bytes that come piece by piece.

    A large stream is hashed by another thread while the next piece is on its way; hashlib works without the
    interpreter's lock. One piece is under way at a time, so memory stays flat and the order is kept.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._size = 0
        self._under_way: Future[None] | None = None

    def update(self, piece: bytes | memoryview) -> None:
        """
        Add a piece.

        :param piece: Bytes that nobody changes before the next piece has been added.
        """
        self._size += len(piece)
        if self._size < _BESIDE_FROM:
            self._hash.update(piece)
            return
        self._wait()
        self._under_way = _threads().submit(self._hash.update, piece)

    def hexdigest(self) -> str:
        """
        Give the hash of all pieces.

        :return: Hexadecimal.
        """
        self._wait()
        return self._hash.hexdigest()

    def _wait(self) -> None:
        if self._under_way is not None:
            self._under_way.result()
            self._under_way = None


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="kie-sha256")
