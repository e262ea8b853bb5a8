"""sha256 beside a transfer instead of in its way."""

from __future__ import annotations

import functools
import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor

# Below this a thread costs more than it gains.
_BESIDE_FROM = 4 * 1024 * 1024
# Handing over to the other thread costs as much as hashing some 10 KB, and both wait for each other.
_HAND_OVER_FROM = 1024 * 1024


class Sha256:
    """
    The sha256 of bytes that come piece by piece.

    A large stream is hashed by another thread while the next piece is on its way; hashlib works without the
    interpreter's lock. One batch of pieces is under way at a time, so memory stays flat and in order.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._size = 0
        self._batch: list[bytes | memoryview] = []
        self._batch_size = 0
        self._under_way: Future[None] | None = None

    def update(self, piece: bytes | memoryview) -> None:
        """
        Add a piece.

        :param piece: Bytes; if a view of a buffer, nobody changes that before the next piece has been added.
        """
        self._size += len(piece)
        if self._size < _BESIDE_FROM:
            self._hash.update(piece)
            return
        self._batch.append(piece)
        self._batch_size += len(piece)
        if self._batch_size >= _HAND_OVER_FROM or isinstance(piece, memoryview):
            self._wait()
            self._under_way = _threads().submit(self._update_all, self._take_batch())

    def hexdigest(self) -> str:
        """
        Give the hash of all pieces.

        :return: Hexadecimal.
        """
        self._wait()
        self._update_all(self._take_batch())
        return self._hash.hexdigest()

    def _take_batch(self) -> list[bytes | memoryview]:
        batch, self._batch, self._batch_size = self._batch, [], 0
        return batch

    def _update_all(self, batch: list[bytes | memoryview]) -> None:
        for piece in batch:
            self._hash.update(piece)

    def _wait(self) -> None:
        if self._under_way is not None:
            self._under_way.result()
            self._under_way = None


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="kie-sha256")
