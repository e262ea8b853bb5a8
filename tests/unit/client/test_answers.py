from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from airflow_provider_kie.client.answers import is_packed, read_answer, retry_after, unpack
from airflow_provider_kie.client.api import credits
from airflow_provider_kie.client.call import ANSWER_LIMIT
from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieError,
    KieGatewayError,
    KieInsufficientCreditsError,
    KieNoDataError,
    KieNotFoundError,
    KieRateLimitError,
    KieResponseError,
    KieUnavailableError,
    KieValidationError,
)

UNAUTHORIZED = (
    "Unauthorized \u2013 Authentication failed. Please check that your Authorization and Content-Type "
    "headers are correctly set."
)
NO_HEADERS = httpx.Headers()


def read(body: bytes | object, status: int = 200, **headers: str) -> float:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = httpx.Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return read_answer(credits.get_credits(), status, named, raw)


def error_of(body: bytes | object, status: int = 200, **headers: str) -> KieError:
    with pytest.raises(KieError) as caught:
        read(body, status, **headers)
    return caught.value


@pytest.mark.parametrize(
    "body",
    [
        {"code": 200, "msg": "success", "data": 5916.25},
        {"code": 200, "data": 5916.25},
        {"code": 200, "msg": None, "data": 5916.25},
        {"code": "200", "msg": "success", "data": "5916.25"},
        {"success": True, "code": 200, "msg": "success", "data": 5916.25, "more": {}},
        '{"code":200,"msg":"\u00fc","data":5916.25}'.encode("utf-8-sig"),
        b' \n{"code":200,"data":5916.25}\n',
    ],
)
def test_success_gives_the_data(body: Any) -> None:
    assert read(body, content_type="text/html") == 5916.25


@pytest.mark.parametrize("status", [200, 201, 302, 400, 503])
def test_the_code_in_the_body_goes_before_the_status(status: int) -> None:
    error = error_of({"code": 422, "msg": "url is wrong", "data": None}, status)
    assert (type(error), error.code) == (KieValidationError, 422)
    assert "credits: url is wrong (code 422)" in str(error)


def test_the_message_counts_too() -> None:
    error = error_of({"code": 500, "msg": "Credits insufficient : top up"})
    assert type(error) is KieInsufficientCreditsError


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"code": 401, "msg": UNAUTHORIZED}, 200, True),
        ({"code": "433", "msg": "cap"}, 433, True),
        ({"code": 500, "msg": "down"}, 200, True),
        ({"code": 200, "msg": "ok", "data": 1}, 401, False),
        ({"error": "Unauthorized"}, 401, False),
        ({}, 401, False),
        (b"<html>401</html>", 401, False),
        (b"", 404, False),
        (b"<html>502</html>", 502, False),
        (b"", 302, False),
        ({"code": 200, "data": None}, 200, False),
    ],
)
def test_an_error_tells_whether_kie_ai_itself_said_it(body: Any, status: int, said: bool) -> None:
    assert error_of(body, status).said_by_kie is said


def test_a_code_as_text_is_a_code() -> None:
    assert type(error_of({"code": "429", "msg": "slow"})) is KieRateLimitError


def test_a_missing_data_key_does_not_hide_the_error() -> None:
    assert type(error_of({"code": 401, "msg": UNAUTHORIZED})) is KieAuthError


@pytest.mark.parametrize(("status", "kind"), [(401, KieAuthError), (503, KieUnavailableError)])
@pytest.mark.parametrize(
    "body", [{"msg": "no"}, {"code": 200, "msg": "no", "data": 5}, {"code": None, "msg": "no"}]
)
def test_the_status_decides_where_the_body_names_no_error(
    body: dict[str, Any], status: int, kind: type[KieError]
) -> None:
    error = error_of(body, status)
    assert (type(error), error.code) == (kind, status)


@pytest.mark.parametrize("status", [302, 403, 500])
def test_a_status_that_contradicts_the_code_is_said_to(status: int) -> None:
    error = error_of({"code": 200, "msg": "File uploaded successfully", "data": 5}, status)
    assert f"says code 200, but the HTTP status is {status}" in str(error)
    assert "successfully" not in str(error)


def test_a_redirect_is_no_success() -> None:
    assert type(error_of({"code": 200, "msg": "success", "data": 5}, 302)) is KieResponseError


@pytest.mark.parametrize(
    "body",
    [
        {"code": 200, "msg": "success", "data": None},
        {"code": 200, "msg": "success"},
        {"code": 200, "msg": "File uploaded successfully", "data": 5, "success": False},
        {"code": 200, "msg": "success", "data": "nothing"},
        {"code": 200, "msg": "success", "data": {}},
        {"code": 200, "msg": "success", "data": True},
    ],
)
def test_success_without_its_data_is_an_error(body: dict[str, Any]) -> None:
    error = error_of(body)
    kind = KieNoDataError if body.get("data") is None else KieResponseError
    assert (type(error), error.code, error.transient) == (kind, 200, False)
    assert str(error).startswith("credits: ")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"msg": "hello"},
        {"code": None},
        {"code": True, "data": 5},
        {"code": "OK", "data": 5},
        {"code": "", "data": 5},
        {"code": "-1", "data": 5},
        {"code": [200], "data": 5},
        {"code": 200.5, "data": 5},
        {"code": "9" * 5000, "data": 5},
        {"code": 201, "msg": "created", "data": 5},
        {"code": 0, "msg": "ok", "data": 5},
        b'{"code":NaN,"data":5}',
        b'{"code":Infinity,"data":5}',
    ],
)
def test_an_object_without_a_usable_code_is_an_error(body: Any) -> None:
    error = error_of(body)
    assert type(error) is KieResponseError
    assert len(str(error)) < 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"null",
        b"1010",
        b"[]",
        b'[{"code":200,"data":5}]',
        b'"text"',
        b"NaN",
        b"<!DOCTYPE html><html><body>Just a moment...</body></html>",
        b'{"code":200,"msg":"succ',
        b'{"code":200,"data":5}{"code":200,"data":5}',
        b'{"code":200,"data":"\xff\xfe"}',
        b"\xff\xfe\xfd",
        b"\x1f\x8b\x08\x00garbage",
        b'{"code":200,"data":' + b"9" * 5000 + b"}",
        b'{"code":200,"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 100_000,
        b"<" * ANSWER_LIMIT,
    ],
)
def test_what_is_no_json_object_is_an_error_and_may_be_passing(body: bytes) -> None:
    error = error_of(body)
    assert (type(error), error.transient) == (KieResponseError, True)
    assert str(error).startswith("credits: HTTP 200 ")
    assert len(str(error)) <= 300 + len("credits: HTTP 200 with an answer that is no JSON object: ")


@pytest.mark.parametrize(
    "data",
    [b"1" + b"0" * 400, b"-1" + b"0" * 400, b"1e999", b"-Infinity", b"NaN"],
    ids=["large", "small", "exponent", "infinite", "nan"],
)
def test_a_number_beyond_all_bounds_is_an_error(data: bytes) -> None:
    assert type(error_of(b'{"code":200,"data":' + data + b"}")) is KieResponseError


@pytest.mark.parametrize(
    ("status", "body"),
    [(502, b"<html>502</html>"), (500, b""), (520, b"error code: 520"), (524, b"[]"), (599, b'"text"')],
)
def test_a_5xx_without_json_comes_from_a_gateway(status: int, body: bytes) -> None:
    error = error_of(body, status, retry_after="7")
    assert (type(error), error.code, error.retry_after, error.transient) == (KieGatewayError, status, 7, True)
    assert f"HTTP {status}" in str(error)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, KieAuthError),
        (404, KieNotFoundError),
        (429, KieRateLimitError),
        (302, KieResponseError),
        (403, KieResponseError),
    ],
)
def test_another_status_without_json_is_not_tried_again_but_for_429(
    status: int, kind: type[KieError]
) -> None:
    error = error_of(b"error code: 1010", status)
    assert (type(error), error.code, error.transient) == (kind, status, status == 429)
    assert "1010" in str(error)


def test_an_answer_is_quoted_without_links() -> None:
    link = b"https://store.example/file?X-Amz-Signature=s3cret"
    assert "s3cret" not in str(error_of(b"<a href='" + link + b"'>"))
    assert "s3cret" not in str(error_of(b'{"data":"' + link + b'"}'))
    assert "s3cret" not in str(error_of({"code": 422, "msg": f"cannot sign {link.decode()}"}))


@pytest.mark.parametrize("message", [None, "", [], {"a": "b" * 5000}, 5, "\ud800", "x" * 5000])
def test_a_message_of_any_kind_can_be_shown(message: Any) -> None:
    shown = str(error_of({"code": 422, "msg": message}))
    assert len(shown) < 400
    shown.encode()


def test_an_error_without_message_says_so() -> None:
    assert "no message (code 422)" in str(error_of({"code": 422}))


def test_an_error_from_parsing_names_the_call_and_has_no_cause_that_shows_more() -> None:
    error = error_of({"code": 200, "data": "https://h/?sig=s3cret"})
    assert str(error) == "credits: the balance is no number but str"
    assert error.__suppress_context__


def packed(encoding: str, body: bytes) -> bytes:
    headers = httpx.Headers({"Content-Encoding": encoding})
    assert is_packed(credits.get_credits(), headers) == (body != b"plain")
    return unpack(credits.get_credits(), headers, body)


@pytest.mark.parametrize("encoding", ["", "identity", "Identity", " , identity "])
def test_an_answer_that_is_not_packed_stays_as_it_is(encoding: str) -> None:
    assert packed(encoding, b"plain") == b"plain"


@pytest.mark.parametrize("encoding", ["gzip", "GZip", "x-gzip", "deflate", "identity, gzip"])
def test_an_answer_that_came_packed_is_unpacked(encoding: str) -> None:
    compress = zlib.compress if encoding == "deflate" else gzip.compress
    assert packed(encoding, compress(b"body")) == b"body"
    assert packed(encoding, compress(b" " * ANSWER_LIMIT)) == b" " * ANSWER_LIMIT


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "rot13"])
def test_an_answer_that_is_packed_in_another_way_is_refused(encoding: str) -> None:
    with pytest.raises(KieResponseError, match="was not asked for") as caught:
        packed(encoding, b"")
    assert caught.value.transient


def test_no_more_than_the_limit_of_a_bomb_is_ever_in_memory() -> None:
    bomb = gzip.compress(bytes(200_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(KieResponseError, match="larger than") as caught:
            packed("gzip", bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert not caught.value.transient
    assert peak < 4 * ANSWER_LIMIT


@pytest.mark.parametrize(
    "body", [b"", b"no gzip", gzip.compress(b"body")[:-1]], ids=["nothing", "broken", "cut"]
)
def test_packed_bytes_that_are_broken_or_cut_are_an_error_that_may_pass(body: bytes) -> None:
    with pytest.raises(KieResponseError, match="packed bytes") as caught:
        packed("gzip", body)
    assert caught.value.transient


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0), ("5", 5), (" 7 ", 7), ("1.5", 1.5), ("120", 120), ("86400", 86400), ("9" * 400, float("inf"))],
)
def test_retry_after_in_seconds(value: str, seconds: float) -> None:
    assert retry_after(httpx.Headers({"Retry-After": value})) == seconds


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-7))])
def test_retry_after_as_a_date(zone: timezone) -> None:
    moment = datetime.now(zone) + timedelta(seconds=90)
    seconds = retry_after(httpx.Headers({"retry-after": format_datetime(moment)}))
    assert seconds is not None
    assert 0 < seconds <= 90


@pytest.mark.parametrize("value", ["Thu, 01 Jan 1970 00:00:00 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"])
def test_retry_after_in_the_past_is_now(value: str) -> None:
    assert retry_after(httpx.Headers({"retry-after": value})) == 0


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-5",
        "-1.5",
        "1.5.5",
        "1e3",
        "soon",
        "nan",
        "inf",
        "\u00b2",
        "Mon",
        "Mon, 99 Foo 2024 99:99:99 GMT",
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Sun, 06 Nov 1994 08:49:37 +99999999999999999999",
    ],
)
def test_retry_after_that_cannot_be_read_is_none(value: str) -> None:
    assert retry_after({"retry-after": value}) is None


def test_no_retry_after_is_none() -> None:
    assert retry_after(NO_HEADERS) is None


def test_an_error_carries_the_wait_that_was_asked_for() -> None:
    body = {"code": 429, "msg": "slow"}
    assert error_of(body, retry_after="9").retry_after == 9
    assert error_of(body).retry_after is None
