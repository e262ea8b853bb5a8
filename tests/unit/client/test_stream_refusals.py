"""What comes in place of a stream or amid one: its error, how many POSTs, and whether it may be billed."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterator

import pytest

from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieConnectionError,
    KieError,
    KieInsufficientCreditsError,
    KieQuotaError,
    KieRateLimitError,
    KieResponseError,
    KieUnavailableError,
    KieValidationError,
)
from tests.fake_host import FakeHost, drip, http
from tests.unit.client.streaming import broken, event, framed, said, stream_at, told

EVENTS = said("Hi", " there.")
WHOLE = b"".join(EVENTS)
BILLED = "may have been billed"


@pytest.fixture
def host() -> Iterator[FakeHost]:
    with FakeHost() as host:
        yield host


def envelope(code: int, msg: str = "it says so") -> bytes:
    return json.dumps({"code": code, "msg": msg, "data": None}).encode()


REFUSALS: dict[int, tuple[type[KieError], int, bool]] = {
    401: (KieAuthError, 1, False),
    402: (KieInsufficientCreditsError, 1, False),
    422: (KieValidationError, 1, False),
    429: (KieRateLimitError, 3, False),
    430: (KieRateLimitError, 3, False),
    433: (KieQuotaError, 1, False),
    455: (KieUnavailableError, 3, False),
    500: (KieUnavailableError, 1, True),
    524: (KieUnavailableError, 1, True),
    999: (KieResponseError, 1, True),
}


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("split", [False, True], ids=["whole", "split"])
def test_a_refusal_in_place_of_a_stream_is_its_error_and_repeated_only_if_it_is_for_now(
    split: bool, code: int, host: FakeHost
) -> None:
    kind, posts, billed = REFUSALS[code]
    refusal = http(envelope(code))
    host.script = [drip(refusal, 0, size=7) if split else refusal] * 5
    texts, error = broken(lambda: stream_at(host.url))
    assert (texts, type(error), error.code) == ([], kind, code)
    assert len(host.requests) == posts
    assert (BILLED in str(error)) is billed


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_as_the_first_event_is_its_error(code: int, host: FakeHost) -> None:
    kind, _, billed = REFUSALS[code]
    for body in (
        b"data: " + envelope(code) + b"\n\n",
        b": hello\n\n" + envelope(code),
        b"event: error\ndata: " + envelope(code),
    ):
        host.script, host.requests = [framed(body)], []
        texts, error = broken(lambda: stream_at(host.url))
        assert (texts, type(error), error.code) == ([], kind, code)
        # A stream has begun, and whoever reads it is the one to ask again.
        assert len(host.requests) == 1
        assert (BILLED in str(error)) is billed


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("before", [1, 2, 3])
def test_an_error_amid_an_answer_is_its_error_and_may_have_been_billed(
    before: int, code: int, host: FakeHost
) -> None:
    for body in (b"data: " + envelope(code) + b"\n\n", envelope(code) + b"\n"):
        host.script, host.requests = [framed(b"".join(EVENTS[:before]) + body + WHOLE)], []
        texts, error = broken(lambda: stream_at(host.url))
        assert (texts, type(error), error.code) == (
            ["Hi", " there."][: before - 1],
            *(REFUSALS[code][0], code),
        )
        assert len(host.requests) == 1
        assert "it says so" in str(error)
        assert str(error).count(BILLED) == 1


def test_a_vendors_error_amid_an_answer_is_its_error(host: FakeHost) -> None:
    body = event({"error": {"message": "overloaded https://h/?sig=s3cret", "code": 503}})
    host.script = [framed(EVENTS[0] + body)]
    _, error = broken(lambda: stream_at(host.url))
    assert (type(error), error.code) == (KieUnavailableError, 503)
    assert "s3cret" not in str(error)


@pytest.mark.parametrize(
    ("status", "body", "posts", "kind"),
    [
        ("502 Bad Gateway", b"<html>busy</html>", 1, KieUnavailableError),
        ("503 Busy", b"", 1, KieUnavailableError),
        ("429 Too Many Requests", b"<html>slower</html>", 3, KieRateLimitError),
        ("429 Too Many Requests", b'{"error": {"message": "slower"}}', 3, KieRateLimitError),
        ("401 Unauthorized", b"", 1, KieAuthError),
        ("404 Not Found", b"<html>", 1, KieError),
        ("302 Found", b"", 1, KieResponseError),
        ("200 OK", b"<!DOCTYPE html><html>hello</html>", 1, KieResponseError),
        ("200 OK", b"", 1, KieResponseError),
        ("503 Busy", WHOLE, 1, KieUnavailableError),
        ("400 Bad Request", WHOLE, 1, KieResponseError),
    ],
)
def test_a_proxys_page_in_place_of_a_stream_is_an_error(
    status: str, body: bytes, posts: int, kind: type[KieError], host: FakeHost
) -> None:
    host.script = [http(body, status, Location="https://elsewhere.example/")] * 5
    texts, error = broken(lambda: stream_at(host.url))
    assert (texts, isinstance(error, kind), len(host.requests)) == ([], True, posts)


def test_a_stream_after_refusals_for_now_is_read_once(host: FakeHost) -> None:
    host.script = [http(envelope(429)), http(envelope(455)), framed(WHOLE)]
    assert told(stream_at(host.url))[0] == ["Hi", " there."]
    assert len(host.requests) == 3


def test_a_host_that_cannot_be_reached_has_billed_nothing(host: FakeHost) -> None:
    host.close()
    _, error = broken(lambda: stream_at(host.url))
    assert (type(error), error.never_sent) == (KieConnectionError, True)
    assert BILLED not in str(error)


def test_a_key_that_an_error_echoes_is_not_shown(host: FakeHost, log: pytest.LogCaptureFixture) -> None:
    key = secrets.token_hex()
    for body in (
        envelope(429, f"no, {key}"),
        EVENTS[0] + b"data: " + envelope(500, key),
        EVENTS[0] + event(key),
    ):
        host.script = [framed(body)] * 5
        _, error = broken(lambda: stream_at(host.url, api_key=key))
        assert key not in f"{error!r} {error} {error.__cause__!r} {error.__context__!r}"
        assert "***" in str(error)
    host.script = [framed(b"".join(said(key)))]
    assert told(stream_at(host.url, api_key=key))[0] == [key]
    assert key not in log.text
    assert any(record.levelno == logging.WARNING for record in log.records)
