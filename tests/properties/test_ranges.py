"""A file that is cut anywhere, any number of times, arrives whole; what is asked for is what is missing."""

from __future__ import annotations

import hashlib
import io
import random
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import accumulate

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.client.settings import KieSettings
from airflow_provider_kie.client.transfer.download import download

SIZE = 60_000
CONTENT = random.Random(6).randbytes(SIZE)


class Host(ThreadingHTTPServer):
    """Serves one file from a request's start on, and hangs up at the next of the points."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.begin(b"", [], chunked=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/a.bin"

    def begin(self, content: bytes, points: list[int], *, chunked: bool) -> None:
        self.content, self.points, self.chunked = content, list(points), chunked
        self.asked: list[str | None] = []


class Handler(BaseHTTPRequestHandler):
    """One request to it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        host = self.server
        assert isinstance(host, Host)
        asked = self.headers.get("range")
        host.asked.append(asked)
        match = re.fullmatch(r"bytes=(\d+)-", asked or "")
        start, total = int(match[1]) if match else 0, len(host.content)
        stop = host.points.pop(0) if host.points else total
        self.send_response(206 if match else 200)
        if match:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.send_header("ETag", '"v1"')
        self.send_header("Connection", "close")
        piece = host.content[start:stop]
        if host.chunked and not match:
            self.send_header("Transfer-Encoding", "chunked")
            piece = (f"{len(piece):x}\r\n".encode() + piece + b"\r\n") * bool(piece)
            piece += b"0\r\n\r\n" * (stop == total)
        else:
            self.send_header("Content-Length", str(total - start))
        self.end_headers()
        self.wfile.write(piece)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """Serve for all examples."""
    with Host() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetch(host: Host, retries: int) -> tuple[bytes, str]:
    sink = io.BytesIO()
    with KieClient(KieSettings("a-key", timeout=5.0, max_retries=retries)) as client:
        received = download(client, host.url, sink, signed=False)
    assert received.size == len(sink.getvalue())
    return sink.getvalue(), received.sha256


points = st.lists(st.integers(0, SIZE - 1), max_size=6).map(sorted)


@settings(max_examples=80)
@given(size=st.integers(1, SIZE), cuts=points, chunked=st.booleans())
@example(size=1, cuts=[0, 0, 0], chunked=False)
@example(size=SIZE, cuts=[1, 1, SIZE - 1], chunked=True)
def test_a_file_that_is_cut_anywhere_arrives_whole_and_only_what_is_missing_is_asked_for(
    size: int, cuts: list[int], chunked: bool, host: Host
) -> None:
    cuts = [cut for cut in cuts if cut < size]
    file = CONTENT[:size]
    host.begin(file, cuts, chunked=chunked)
    assert fetch(host, retries=len(cuts)) == (file, hashlib.sha256(file).hexdigest())
    assert host.asked == [None] + [f"bytes={cut}-" if cut else None for cut in cuts]


@settings(max_examples=30)
@given(steps=st.lists(st.integers(SIZE // 20, SIZE // 10), max_size=9))
def test_a_transfer_that_gets_a_twentieth_further_each_time_is_not_given_up(
    steps: list[int], host: Host
) -> None:
    cuts = list(accumulate(steps))
    host.begin(CONTENT, cuts, chunked=False)
    assert fetch(host, retries=1)[0] == CONTENT
    assert host.asked == [None] + [f"bytes={cut}-" for cut in cuts]


@settings(max_examples=20)
@given(first=st.integers(1, 100), retries=st.integers(1, 3))
def test_a_transfer_that_gets_hardly_further_is_given_up(first: int, retries: int, host: Host) -> None:
    host.begin(CONTENT, list(range(first, SIZE, 100)), chunked=False)
    with pytest.raises(KieError):
        fetch(host, retries=retries)
    assert len(host.asked) == retries + 1


@settings(max_examples=20)
@given(size=st.integers(2, SIZE), cut=st.integers(0, SIZE), retries=st.integers(0, 3))
def test_a_transfer_that_gets_nowhere_is_given_up(size: int, cut: int, retries: int, host: Host) -> None:
    cut %= size
    host.begin(CONTENT[:size], [cut] * 20, chunked=False)
    with pytest.raises(KieError):
        fetch(host, retries=retries)
    # The bytes of the first try renew the budget, once.
    assert retries + 1 <= len(host.asked) <= retries + 2
