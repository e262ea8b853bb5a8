"""What is moved: sizes, directions, schemes, lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["down", "up", "line down", "line up", "batch", "task", "mapped"]
Scheme = Literal["http", "https"]

SMALL = 100 << 10
LATENCY_SECONDS = 0.03
THREADS = 16
GB = 1 << 30

# What is sent to the upload host.
KEY = "no-secret"
FOLDER = "bench"
NAME = "bench.bin"


@dataclass(frozen=True)
class Work:
    """
    One thing to do.

    :param kind: ``down`` or ``up``; the same over a line of some rate; ``batch``: many files down from a
        server that answers late; ``task``: very many files down in one task; ``mapped``: a file down in each
        of many mapped tasks.
    :param size: Bytes of each file.
    :param scheme: With TLS or without.
    :param count: Files.
    :param rate: Bytes per second of the line; 0 for as fast as it goes.
    :param rounds: How many rounds it takes part in, at the most.
    """

    kind: Kind
    size: int
    scheme: Scheme = "https"
    count: int = 1
    rate: int = 0
    rounds: int = 100

    @property
    def name(self) -> str:
        """What tables call it, and what ``--works`` is matched against."""
        if self.kind == "batch":
            late = f"{LATENCY_SECONDS * 1000:.0f} ms late each"
            return f"{self.count} files of {shown(self.size)}, {late}, down over {self.scheme}"
        if self.kind == "task":
            return f"{self.count} files of {shown(self.size)} in one task, down over {self.scheme}"
        if self.kind == "mapped":
            return f"{self.count} mapped tasks of one file of {shown(self.size)}, down over {self.scheme}"
        line = f" at {self.rate * 8 // 1_000_000} Mbit/s" if self.rate else ""
        return f"{shown(self.size)} {'up' if self.is_upload else 'down'} over {self.scheme}{line}"

    @property
    def is_upload(self) -> bool:
        """Whether files go to the server."""
        return self.kind in ("up", "line up")

    @property
    def copied(self) -> int:
        """Bytes that the client writes."""
        return 0 if self.is_upload else self.size * self.count

    @property
    def per(self) -> str:
        """What its processor time is divided by."""
        return "GB" if self.count == 1 else "file"

    def processor(self, seconds: float) -> float:
        """
        Divide processor time by what was moved.

        :param seconds: Of all of it.
        :return: Seconds per GB, or milliseconds per file.
        """
        return seconds * GB / self.size if self.count == 1 else seconds * 1000 / self.count


def touch_memory(folder: Path, size: int) -> None:
    """
    Have memory for a copy at hand: a virtual machine gives what is free back to its host within seconds.

    Whoever came first, or starts slowly, would pay for that.

    :param folder: Where the copy will be, if in memory.
    :param size: Bytes.
    """
    blank, zeros = folder / "blank", bytes(1 << 20)
    with blank.open("wb") as file:
        for start in range(0, size, len(zeros)):
            file.write(zeros[: size - start])
    blank.unlink()


def shown(size: int) -> str:
    """
    Write a size as people do.

    :param size: Bytes.
    :return: For example ``100 MB`` (of 1024 x 1024 bytes).
    """
    for unit, name in ((GB, "GB"), (1 << 20, "MB"), (1 << 10, "KB")):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} B"


def plan(*, quick: bool) -> list[Work]:
    """
    List what there is to do.

    :param quick: With small files.
    :return: All works.
    """
    large = 10 << 20 if quick else GB
    lines = (
        (125_000_000, 16 << 20 if quick else 256 << 20),
        (12_500_000, 2 << 20 if quick else 32 << 20),
    )
    schemes: tuple[Scheme, ...] = ("https", "http")
    return [
        Work("down", large),
        Work("up", large),
        *(Work("line down", size, rate=rate) for rate, size in lines),
        *(Work("line up", size, rate=rate) for rate, size in lines),
        *(Work("batch", 500 << 10, scheme, 32 if quick else 200) for scheme in schemes),
        *(Work("task", SMALL, count=count, rounds=2) for count in ((20, 200) if quick else (1000, 10_000))),
    ]
