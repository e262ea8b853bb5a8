from __future__ import annotations

import hashlib
import os

import pytest

from airflow_provider_kie.client.transfer.hashing import Sha256


@pytest.mark.parametrize("pieces", [[0], [1, 2, 3], [300_000] * 40, [5_000_000, 1, 5_000_000]])
def test_it_is_the_sha256_of_all_pieces(pieces: list[int]) -> None:
    data = [os.urandom(size) for size in pieces]
    counted = Sha256()
    for piece in data:
        counted.update(piece)
    assert counted.hexdigest() == hashlib.sha256(b"".join(data)).hexdigest()
    assert counted.hexdigest() == counted.hexdigest()


def test_a_buffer_may_be_filled_again_once_the_next_piece_has_been_added() -> None:
    data = os.urandom(12_000_000)
    buffers = [bytearray(1_000_000), bytearray(1_000_000)]
    counted = Sha256()
    for number in range(12):
        buffer = buffers[number % 2]
        buffer[:] = data[number * 1_000_000 : (number + 1) * 1_000_000]
        counted.update(memoryview(buffer))
    assert counted.hexdigest() == hashlib.sha256(data).hexdigest()
