"""A file that is cut anywhere, any number of times, arrives whole; what is asked for is what is missing."""

from __future__ import annotations

import hashlib
import io
import random
import re
from itertools import accumulate

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.client.settings import KieSettings
from airflow_provider_kie.client.transfer.download import download
from tests.fake_host import Answer, FakeHost, Request, chunked, http

SIZE = 60_000
CONTENT = random.Random(6).randbytes(SIZE)
TAG = '"v1"'


def cutting(content: bytes, points: list[int], *, chunks: bool = False) -> Answer:
    """Serve a file from a request's start on, and hang up at the next of the points."""
    left = list(points)

    def answer(request: Request) -> bytes:
        match = re.fullmatch(r"bytes=(\d+)-", request.range or "")
        start, total = int(match[1]) if match else 0, len(content)
        stop = left.pop(0) if left else total
        piece = content[start:stop]
        if chunks and not match:
            body = chunked(piece, end=stop == total)
            return http(body, ETag=TAG, Content_Length=None, Transfer_Encoding="chunked")
        span = f"bytes {start}-{total - 1}/{total}" if match else None
        status = "206 Partial Content" if match else "200 OK"
        return http(piece, status, ETag=TAG, Content_Length=str(total - start), Content_Range=span)

    return answer


def asked(host: FakeHost) -> list[str | None]:
    return [request.range for request in host.requests]


def fetch(host: FakeHost, answer: Answer, retries: int) -> tuple[bytes, str]:
    host.script, host.requests = [answer] * 99, []
    sink = io.BytesIO()
    with KieClient(KieSettings("a-key", timeout=5.0, max_retries=retries)) as client:
        received = download(client, f"{host.url}/a.bin", sink, signed=False)
    assert received.size == len(sink.getvalue())
    return sink.getvalue(), received.sha256


points = st.lists(st.integers(0, SIZE - 1), max_size=6).map(sorted)


@settings(max_examples=80)
@given(size=st.integers(1, SIZE), cuts=points, chunks=st.booleans())
@example(size=1, cuts=[0, 0, 0], chunks=False)
@example(size=SIZE, cuts=[1, 1, SIZE - 1], chunks=True)
def test_a_file_that_is_cut_anywhere_arrives_whole_and_only_what_is_missing_is_asked_for(
    size: int, cuts: list[int], chunks: bool, host: FakeHost
) -> None:
    cuts = [cut for cut in cuts if cut < size]
    file = CONTENT[:size]
    received = fetch(host, cutting(file, cuts, chunks=chunks), retries=len(cuts))
    assert received == (file, hashlib.sha256(file).hexdigest())
    assert asked(host) == [None] + [f"bytes={cut}-" if cut else None for cut in cuts]


@settings(max_examples=30)
@given(steps=st.lists(st.integers(SIZE // 20, SIZE // 10), max_size=9))
def test_a_transfer_that_gets_a_twentieth_further_each_time_is_not_given_up(
    steps: list[int], host: FakeHost
) -> None:
    cuts = list(accumulate(steps))
    assert fetch(host, cutting(CONTENT, cuts), retries=1)[0] == CONTENT
    assert asked(host) == [None] + [f"bytes={cut}-" for cut in cuts]


@settings(max_examples=20)
@given(first=st.integers(1, 100), retries=st.integers(1, 3))
def test_a_transfer_that_gets_hardly_further_is_given_up(first: int, retries: int, host: FakeHost) -> None:
    with pytest.raises(KieError):
        fetch(host, cutting(CONTENT, list(range(first, SIZE, 100))), retries=retries)
    assert len(host.requests) == retries + 1


@settings(max_examples=20)
@given(size=st.integers(2, SIZE), cut=st.integers(0, SIZE), retries=st.integers(0, 3))
def test_a_transfer_that_gets_nowhere_is_given_up(size: int, cut: int, retries: int, host: FakeHost) -> None:
    cut %= size
    with pytest.raises(KieError):
        fetch(host, cutting(CONTENT[:size], [cut] * 20), retries=retries)
    # The bytes of the first try renew the budget, once.
    assert retries + 1 <= len(host.requests) <= retries + 2
