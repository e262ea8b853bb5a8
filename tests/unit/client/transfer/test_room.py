"""A download needs room on the disk for what is missing, and says so before it writes."""

from __future__ import annotations

import errno
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kie.client.transfer.download import (
    Expected,
)
from tests.unit.client.transfer.downloads import (
    CONTENT,
    HALF,
    OTHER,
    SHA256,
    FileHost,
    cut,
    fetch,
    received_of,
    rest,
    whole,
)


def test_a_file_that_has_no_room_is_refused_before_a_byte_is_written(tmp_path: Path) -> None:
    with FileHost(whole(Content_Length=str(10**17))) as host, (tmp_path / "a").open("w+b") as sink:
        with pytest.raises(OSError, match=f"no room for the {10**17} bytes that are missing") as caught:
            fetch(host, sink=sink)
        assert caught.value.errno == errno.ENOSPC
        assert sink.seek(0, io.SEEK_END) == 0
        assert len(host.requests) == 1


def test_an_expected_size_needs_room_too(tmp_path: Path) -> None:
    with FileHost(whole(Content_Length=None)) as host, (tmp_path / "a").open("w+b") as sink:
        with pytest.raises(OSError, match=f"no room for the {10**17} bytes"):
            fetch(host, sink=sink, expected=Expected(size=10**17))
        assert sink.seek(0, io.SEEK_END) == 0


@dataclass
class Disk:
    """A disk with so many bytes, of which its files have none but the one that is written."""

    size: int
    used: int = 0

    def statvfs(self, descriptor: int) -> os.statvfs_result:
        free = self.size - max(self.used, os.fstat(descriptor).st_size)
        return os.statvfs_result((1, 1, self.size, free, free, 0, 0, 0, 0, 255))


@pytest.mark.parametrize(
    ("answers", "size", "fits"),
    [
        ((whole(),), len(CONTENT), True),
        ((whole(),), len(CONTENT) - 1, False),
        ((cut(), rest()), len(CONTENT), True),
        ((cut(), whole()), len(CONTENT), True),
        ((cut(), whole(OTHER * 2, ETag='"v2"')), len(CONTENT), False),
        ((whole(),), 0, True),
    ],
    ids=["fits", "does-not", "rest-fits", "fits-again", "new-version-does-not", "unknown"],
)
def test_only_what_is_missing_needs_room(
    answers: tuple[bytes, ...], size: int, fits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fstatvfs", Disk(size).statvfs)
    with FileHost(*answers) as host, (tmp_path / "a").open("w+b") as sink:
        if fits:
            assert fetch(host, sink=sink) == received_of(CONTENT)
        else:
            with pytest.raises(OSError, match="no room"):
                fetch(host, sink=sink)


def test_a_disk_that_frees_late_has_room_for_what_starts_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fstatvfs", Disk(len(CONTENT), used=HALF).statvfs)
    with FileHost(cut(Content_Length=None), whole()) as host, (tmp_path / "a").open("w+b") as sink:
        assert fetch(host, sink=sink, expected=Expected(sha256=SHA256)) == received_of(CONTENT)


def test_a_full_disk_is_not_tried_again() -> None:
    class Full(io.BytesIO):
        def write(self, data: Any, /) -> int:
            raise OSError(28, "No space left on device")

    with FileHost(whole(), whole()) as host:
        with pytest.raises(OSError, match="No space left"):
            fetch(host, sink=Full())
        assert len(host.requests) == 1
