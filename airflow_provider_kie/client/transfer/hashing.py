"""sha256 beside a transfer instead of in its way."""

from __future__ import annotations

import functools
import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

# Below this a thread costs more than it gains.
_BESIDE_FROM = 4 * 1024 * 1024
# Handing over to the other thread costs as much as hashing some 10 KB, and both wait for each other.
_HAND_OVER_FROM = 1024 * 1024


class Sha256:
    """
    The sha256 of bytes that come piece by piece.

    A large stream is hashed by another thread while the next piece is on its way; hashlib releases the
    interpreter's lock. One batch of pieces is under way at a time, so memory stays flat and order is kept.

    A forked child lacks that thread, and the hash it was working on may be locked for ever. So the thread
    works on a copy, and the child hashes its batch again.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._size = 0
        self._batch: list[bytes | memoryview] = []
        self._batch_size = 0
        self._under_way: _UnderWay | None = None

    def update(self, piece: bytes | memoryview) -> None:
        """
        Add a piece.

        :param piece: Bytes; the buffer under a view must not change before the next piece has been added.
        """
        self._size += len(piece)
        if self._size < _BESIDE_FROM:
            self._hash.update(piece)
            return
        self._batch.append(piece)
        self._batch_size += len(piece)
        if self._batch_size >= _HAND_OVER_FROM or isinstance(piece, memoryview):
            self._wait()
            batch, threads = self._take_batch(), _threads()
            hashed = threads.submit(_hash_on, self._hash.copy(), batch)
            self._under_way = _UnderWay(batch, threads, hashed)

    def hexdigest(self) -> str:
        """
        Return the hash of all pieces.

        :return: Hexadecimal.
        """
        self._wait()
        return _hash_on(self._hash, self._take_batch()).hexdigest()

    def _take_batch(self) -> list[bytes | memoryview]:
        batch, self._batch, self._batch_size = self._batch, [], 0
        return batch

    def _wait(self) -> None:
        if self._under_way is None:
            return
        if self._under_way.threads is _threads():
            self._hash = self._under_way.hashed.result()
        else:
            self._hash = _hash_on(self._hash, self._under_way.batch)
        self._under_way = None


@dataclass(frozen=True)
class _UnderWay:
    """A batch that another thread hashes; ``threads`` shows whether that is one of this process."""

    batch: list[bytes | memoryview]
    threads: ThreadPoolExecutor
    hashed: Future[hashlib._Hash]


def _hash_on(hash_: hashlib._Hash, batch: list[bytes | memoryview]) -> hashlib._Hash:
    for piece in batch:
        hash_.update(piece)
    return hash_


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="kie-sha256")


# A child has none of its parent's threads; work given to them would never be done.
os.register_at_fork(after_in_child=_threads.cache_clear)
