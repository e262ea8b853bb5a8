"""Streams that are cut, slow, too long, left early: none ends as a short answer."""

from __future__ import annotations

import contextlib
import gc
import gzip
import socket
import time
import tracemalloc
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_kie.client.api.chat import ANSWER_LIMIT
from airflow_provider_kie.client.errors import (
    KieConnectionError,
    KieError,
)
from airflow_provider_kie.client.streams import ChatStream
from tests.fake_host import SILENCE, FakeHost, Part, drip, http, reset
from tests.unit.client.streaming import COSTS, DONE, broken, chunk, event, framed, said, stream_at, told

EVENTS = said("Hi", " there.")
WHOLE = b"".join(EVENTS)
FIRST = http(b"".join(EVENTS[:2]), Content_Length=None)
BILLED = "may have been billed"


@pytest.fixture
def host() -> Iterator[FakeHost]:
    with FakeHost() as host:
        yield host


# Cut


@pytest.mark.parametrize("framing", ["chunks", "length", "close"])
def test_a_stream_that_is_cut_anywhere_is_an_error_unless_the_answer_is_whole(
    framing: str, host: FakeHost
) -> None:
    head = {"choices": [{"delta": {"content": "Hi."}}]}
    end = {"choices": [{"finish_reason": "stop"}], **COSTS}
    body = b"".join([event(head), event(end), DONE])
    sent = framed(body, framing)
    # What nobody announces may end after its reason; what is announced has to come, up to the mark.
    least = sent.index(b'"stop"' if framing == "close" else b"[DONE")
    wholes = 0
    for place in range(len(sent)):
        host.script, host.requests = [sent[:place]] * 5, []
        texts: list[str] = []
        with contextlib.suppress(KieError), stream_at(host.url) as stream:
            texts += stream
            assert stream.answer.text == "Hi."
            assert place > least
            wholes += 1
        assert texts in ([], ["Hi."])
        assert len(host.requests) == 1
    assert 0 < wholes < 60


@pytest.mark.parametrize("ending", [reset, SILENCE], ids=["reset", "silence"])
@pytest.mark.parametrize("before", [0, 1, 2, 3])
def test_a_connection_that_breaks_or_falls_silent_is_an_error(
    before: int, ending: Part, host: FakeHost
) -> None:
    sent = framed(WHOLE)
    place = sent.index(b"\r\n\r\n") + 4 + sum(len(one) for one in EVENTS[:before]) + 20 if before else 0
    host.script = [(sent[:place], ending)]
    begin = time.monotonic()
    texts, error = broken(lambda: stream_at(host.url, seconds=0.3))
    assert (type(error), BILLED in str(error), len(host.requests)) == (KieConnectionError, True, 1)
    assert "".join(texts) in ("", "Hi", "Hi there.")
    assert time.monotonic() - begin < 5


def test_a_packed_stream_is_unpacked_and_one_that_is_cut_is_an_error(host: FakeHost) -> None:
    packed = gzip.compress(WHOLE)
    host.script = [http(packed, Content_Encoding="gzip")]
    assert told(stream_at(host.url))[0] == ["Hi", " there."]
    for place in range(0, len(packed) - 40, 9):
        host.script = [http(packed[:place], Content_Encoding="gzip")]
        broken(lambda: stream_at(host.url))
    host.script = [http(b"no gzip", Content_Encoding="gzip"), http(WHOLE, Content_Encoding="br")]
    assert BILLED in str(broken(lambda: stream_at(host.url))[1])
    assert "br" in str(broken(lambda: stream_at(host.url))[1])


def test_a_packed_stream_that_is_too_large_is_refused_in_flat_memory(host: FakeHost) -> None:
    packed = gzip.compress(chunk({"content": "Hi"}) + b" " * 200_000_000)
    host.script = [http(packed, Content_Encoding="gzip")]
    tracemalloc.start()
    _, error = broken(lambda: stream_at(host.url))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert f"larger than {ANSWER_LIMIT} bytes" in str(error)
    assert peak < 4 * ANSWER_LIMIT


# Slow


def test_a_stream_that_drips_ends_when_its_time_is_over(host: FakeHost) -> None:
    host.script = [drip(http(WHOLE), 0.1, size=20)]
    begin = time.monotonic()
    _, error = broken(lambda: stream_at(host.url, seconds=0.3))
    assert "no complete answer came within" in str(error)
    assert BILLED in str(error)
    assert 0.3 <= time.monotonic() - begin < 5


def test_a_slow_stream_is_read_beyond_the_connections_timeout(host: FakeHost) -> None:
    head, _, body = http(WHOLE).partition(b"\r\n\r\n")
    host.script = [(0.4, head + b"\r\n\r\n", 0.4, body[:200], 0.4, body[200:])]
    assert told(stream_at(host.url, timeout=0.2, seconds=10))[0] == ["Hi", " there."]


def test_pieces_come_as_they_are_sent(host: FakeHost) -> None:
    host.script = [(framed(WHOLE, "close")[: -len(WHOLE)], *(part for one in EVENTS for part in (one, 0.1)))]
    with stream_at(host.url) as stream:
        assert next(stream) == "Hi"
        assert host.sent < len(framed(WHOLE, "close"))
        assert list(stream) == [" there."]


def test_whoever_reads_slowly_loses_nothing_that_has_come(host: FakeHost) -> None:
    host.script = [framed(WHOLE, "length")]
    with stream_at(host.url, seconds=0.2) as stream:
        for _ in stream:
            time.sleep(0.8)
        assert stream.answer.text == "Hi there."


def test_whoever_reads_a_long_answer_more_slowly_than_its_timeout_is_told_so(host: FakeHost) -> None:
    host.script = [framed(b"".join(said(*["x" * 100] * 3000)), "length")]
    stream = stream_at(host.url, seconds=0.1)
    next(stream)
    time.sleep(1.2)
    with pytest.raises(KieConnectionError, match=f"no complete answer came within .*{BILLED}"):
        list(stream)


# Too long


def test_a_stream_beyond_the_limit_is_refused_and_memory_stays_flat(host: FakeHost) -> None:
    line = b": " + b"x" * 65_533 + b"\n"

    def without_end(_: Any) -> Iterator[bytes]:
        yield http(Content_Length=None) + EVENTS[0]
        for _ in range(ANSWER_LIMIT // len(line) + 200):
            yield line

    host.script = [without_end]
    tracemalloc.start()
    try:
        _, error = broken(lambda: stream_at(host.url, seconds=60))
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert f"is larger than {ANSWER_LIMIT} bytes" in str(error)
    assert BILLED in str(error)


# Left early


def sockets_of(stream: ChatStream) -> list[socket.socket]:
    return stream._client._session._connections._sockets.alive()


def is_closed(stream: ChatStream) -> bool:
    return all(one.fileno() == -1 for one in sockets_of(stream))


def test_leaving_early_closes_the_connection_and_there_is_no_answer(host: FakeHost) -> None:
    host.script = [(FIRST, SILENCE)]
    with stream_at(host.url) as stream:
        assert next(stream) == "Hi"
        with pytest.raises(RuntimeError, match="read to its end"):
            stream.answer  # noqa: B018
    assert is_closed(stream)
    assert list(stream) == []
    with pytest.raises(RuntimeError, match="read to its end"):
        stream.answer  # noqa: B018
    stream.close()


def test_the_answer_stays_after_the_stream_is_closed(host: FakeHost) -> None:
    host.script = [framed(WHOLE)]
    stream = stream_at(host.url)
    assert list(stream) == ["Hi", " there."]
    assert is_closed(stream)
    stream.close()
    assert (stream.answer.text, list(stream)) == ("Hi there.", [])


@pytest.mark.parametrize("texts", [0, 1])
def test_a_stream_that_is_dropped_leaks_nothing(texts: int, host: FakeHost) -> None:
    host.script = [(FIRST, SILENCE)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stream = stream_at(host.url)
        for _ in range(texts):
            next(stream)
        sockets = sockets_of(stream)
        del stream
        gc.collect()
        assert [one.fileno() for one in sockets] == [-1]
        del sockets
        gc.collect()
    assert [str(one.message) for one in caught] == []


def test_an_interrupt_closes_the_connection(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.script = [(FIRST, SILENCE)]
    stream = stream_at(host.url)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("airflow_provider_kie.client.streams.json.loads", interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(stream)
    assert is_closed(stream)
