"""What is moved: sizes, directions, schemes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["down", "up", "batch"]
Scheme = Literal["http", "https"]

LATENCY_SECONDS = 0.03
THREADS = 16

# What is sent to the upload host.
KEY = "no-secret"
FOLDER = "bench"
NAME = "bench.bin"


@dataclass(frozen=True)
class Work:
    """
    One thing to do.

    :param direction: ``down``, ``up``, or ``batch``: many files down from a server that answers late.
    :param scheme: With TLS or without.
    :param size: Bytes of each file.
    :param count: Files.
    """

    direction: Direction
    scheme: Scheme
    size: int
    count: int = 1

    @property
    def name(self) -> str:
        """What tables call it, and what ``--works`` is matched against."""
        if self.direction == "batch":
            late = f"{LATENCY_SECONDS * 1000:.0f} ms late each"
            return f"{self.count} files of {shown(self.size)}, {late}, down over {self.scheme}"
        return f"{shown(self.size)} {self.direction} over {self.scheme}"


def shown(size: int) -> str:
    """
    Write a size as people do.

    :param size: Bytes.
    :return: For example ``100 MB`` (of 1024 x 1024 bytes).
    """
    for unit, name in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} B"


@dataclass(frozen=True)
class Plan:
    """
    All that a run does.

    :param sizes: Bytes of the single files, ascending; memory is compared between the first and the last.
    :param batch_size: Bytes of each file of a batch.
    :param batch_count: Files of a batch.
    """

    sizes: tuple[int, ...]
    batch_size: int
    batch_count: int

    def works(self) -> list[Work]:
        """List what is to be done."""
        schemes: tuple[Scheme, ...] = ("http", "https")
        directions: tuple[Direction, ...] = ("down", "up")
        single = [Work(way, scheme, size) for size in self.sizes for way in directions for scheme in schemes]
        batches = [Work("batch", scheme, self.batch_size, self.batch_count) for scheme in schemes]
        return [*single, *batches]


FULL = Plan((1 << 10, 1 << 20, 100 << 20, 1 << 30), 500 << 10, 200)
QUICK = Plan((1 << 10, 1 << 20, 10 << 20), 50 << 10, 32)
