"""Whose callback is it, and about which job: what is accepted, and why anything else is not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import traceback
from collections.abc import Iterator, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from starlette.datastructures import Headers

from airflow_provider_kie.client.errors import KieSignatureError
from airflow_provider_kie.client.webhooks import verify_callback

KEY = "the key of these tests"
JOB_ID = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
NOW = 1_769_670_760
BODY = json.dumps({"code": 200, "msg": "success", "data": {"taskId": JOB_ID}}).encode()


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_kie.client.webhooks.time.time", lambda: float(NOW))


def signature(job_id: str = JOB_ID, timestamp: object = NOW, key: str = KEY) -> str:
    digest = hmac.new(key.encode(), f"{job_id}.{timestamp}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def signed(job_id: str = JOB_ID, timestamp: object = NOW, key: str = KEY) -> dict[str, str]:
    return {
        "X-Webhook-Timestamp": str(timestamp),
        "X-Webhook-Signature": signature(job_id, timestamp, key),
    }


def refusal(headers: Mapping[str, Any], body: bytes = BODY, key: str = KEY, **options: Any) -> str:
    with pytest.raises(KieSignatureError) as caught:
        verify_callback(headers, body, key, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        {"taskId": JOB_ID, "data": None},
        {"task_id": JOB_ID, "data": "a text"},
        {"taskId": JOB_ID, "data": ["a list"]},
        {"data": {"taskId": JOB_ID}},
        {"data": {"task_id": JOB_ID}},
        {"taskId": JOB_ID, "data": {"taskId": JOB_ID, "task_id": JOB_ID}},
        {"taskId": None, "data": {"taskId": "", "task_id": JOB_ID}},
        {"code": 501, "msg": "failed", "data": {"task_id": JOB_ID, "callbackType": "error"}},
    ],
    ids=str,
)
def test_the_id_is_found_wherever_a_family_has_it(body: dict[str, Any]) -> None:
    assert verify_callback(signed(), json.dumps(body).encode(), KEY) == JOB_ID


@pytest.mark.parametrize(
    "headers",
    [
        signed(),
        {name.lower(): value for name, value in signed().items()},
        {name.upper(): value for name, value in signed().items()},
        signed() | {"Content-Type": "application/json", "X-Webhook": "5"},
        MappingProxyType(signed()),
        Headers(signed()),
        signed() | {b"x-webhook-timestamp": b"5", None: ""},
    ],
    ids=repr,
)
def test_headers_are_known_in_any_case_and_any_mapping(headers: Any) -> None:
    assert verify_callback(headers, BODY, KEY) == JOB_ID


@pytest.mark.parametrize("key", ["k", "a key with spaces", "a=/+&", "\u043a\u043b\u044e\u0447", "x" * 1000])
def test_a_key_may_be_any_text(key: str) -> None:
    assert verify_callback(signed(key=key), BODY, key) == JOB_ID
    assert "signature is wrong" in refusal(signed(), key=key)


@pytest.mark.parametrize("change", [0, -300, 300])
def test_a_time_within_the_tolerance_is_accepted(change: int) -> None:
    assert verify_callback(signed(timestamp=NOW + change), BODY, KEY) == JOB_ID


@pytest.mark.parametrize(
    ("change", "tolerance", "said"),
    [
        (-301, 300, "was signed 301 s ago; the tolerance is 300 s"),
        (301, 300, "was signed 301 s ahead of this machine's clock; the tolerance is 300 s"),
        (-6, 5, "was signed 6 s ago; the tolerance is 5 s"),
        (-61, timedelta(minutes=1), "was signed 61 s ago; the tolerance is 60 s"),
        (-NOW, 300, f"was signed {NOW} s ago"),
        (10**14, 300, "ahead of this machine's clock"),
        (NOW * 999, timedelta(days=3650), "ahead of this machine's clock"),
    ],
)
def test_a_replay_is_refused_in_either_direction(change: int, tolerance: Any, said: str) -> None:
    assert said in refusal(signed(timestamp=NOW + change), tolerance=tolerance)


@pytest.mark.parametrize(
    "timestamp",
    [
        *("", " ", f" {NOW}", f"{NOW} ", f"{NOW}\n", f"+{NOW}", f"-{NOW}", f"{NOW}.0", f"{NOW}.", "1e9"),
        *("0x10", "1_769_670_760", "\u0661", "\u00b2", "nan", "inf", "9" * 16, "9" * 5000, "\ud800", "\0"),
        *(f"{NOW}, {NOW}", "Thu, 29 Jan 2026 07:12:40 GMT"),
    ],
    ids=ascii,
)
def test_a_time_that_is_no_count_of_seconds_is_malformed(timestamp: str) -> None:
    headers = signed() | {"X-Webhook-Timestamp": timestamp}
    said = refusal(headers)
    assert said == "The header X-Webhook-Timestamp is malformed: it is not whole seconds since 1970."


@pytest.mark.parametrize(
    "sent",
    [
        *("", "=", "A" * 44, "A" * 42 + "==", signature()[:-1], signature() + "=", f" {signature()}"),
        *(f"{signature()}\n", f"{signature()}, {signature()}", "-_" * 21 + "A=", "\u0410" * 43 + "="),
        *("\ud800" * 44, "0" * 64, "A" * 100_000, b"A" * 43 + b"=", None, [signature()]),
    ],
    ids=lambda sent: ascii(sent)[:60],
)
def test_a_signature_that_is_no_standard_base64_of_32_bytes_is_malformed(sent: Any) -> None:
    said = refusal(signed() | {"X-Webhook-Signature": sent})
    assert said == "The header X-Webhook-Signature is malformed: it is not 32 bytes in base64."


def test_base64_that_stands_for_the_same_bytes_in_another_way_is_wrong() -> None:
    # The last letter has two bits to spare.
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    right = signature()
    other = right[:-2] + letters[letters.index(right[-2]) + 1] + "="
    assert base64.b64decode(other) == base64.b64decode(right)
    assert "signature is wrong" in refusal(signed() | {"X-Webhook-Signature": other})


@pytest.mark.parametrize("name", ["X-Webhook-Timestamp", "X-Webhook-Signature"])
def test_a_header_has_to_be_there_once(name: str) -> None:
    headers = signed()
    without = {one: value for one, value in headers.items() if one != name}
    assert refusal(without) == f"The header {name} is missing."
    assert refusal({}) == "The header X-Webhook-Timestamp is missing."
    assert refusal(headers | {name.lower(): headers[name]}) == f"The header {name} is there 2 times."
    raw = [(one.lower().encode(), value.encode()) for one, value in headers.items()]
    twice = Headers(raw=[*raw, (name.lower().encode(), b"5")])
    assert refusal(twice) == f"The header {name} is there 2 times."


@pytest.mark.parametrize(
    "headers",
    [
        signed(job_id="another"),
        signed(timestamp=NOW - 1) | {"X-Webhook-Timestamp": str(NOW)},
        signed(key="another"),
        signed(key=""),
        signed() | {"X-Webhook-Signature": base64.b64encode(bytes(32)).decode()},
    ],
)
def test_a_wrong_signature_is_refused(headers: dict[str, str]) -> None:
    assert refusal(headers).startswith(
        "The signature is wrong: it was not made by kie.ai, or with another key."
    )


def test_a_part_of_the_id_cannot_pass_for_a_part_of_the_time() -> None:
    moved = {"X-Webhook-Timestamp": str(NOW), "X-Webhook-Signature": signature("a.1", NOW)}
    assert verify_callback(moved, b'{"taskId": "a.1"}', KEY) == "a.1"
    for job_id, timestamp in (("a", f"1.{NOW}"), ("a", str(NOW)), ("a.1.", str(NOW))):
        refusal(moved | {"X-Webhook-Timestamp": timestamp}, json.dumps({"taskId": job_id}).encode())


def test_a_body_that_was_changed_is_not_noticed_and_the_signed_id_is_what_is_given() -> None:
    # kie.ai signs no more: that is why the record has to be read.
    forged = b'{"taskId": "other", "code": 200, "data": {"taskId": "%b"}, "taskId": null}' % JOB_ID.encode()
    assert verify_callback(signed(), forged, KEY) == JOB_ID
    twice = b'{"taskId": "other", "taskId": "%b"}' % JOB_ID.encode()
    assert verify_callback(signed(), twice, KEY) == JOB_ID
    assert "signature is wrong" in refusal(signed(job_id="other"), twice)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"5",
        b"[]",
        b'"text"',
        b"{}",
        b"{",
        b"taskId=5",
        b'{"taskid": "a", "id": "a", "data": {"TaskId": "a"}}',
        b'{"data": [{"taskId": "a"}]}',
        b'{"taskId": null, "data": {"taskId": null, "task_id": ""}}',
        BODY + b"}",
        BODY.decode().encode("utf-16"),
        BODY.decode().encode("utf-8-sig"),
        b'{"taskId": "\xff"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"n": ' + b"9" * 5000 + b', "taskId": "a"}',
        bytes(1000),
    ],
    ids=lambda body: repr(body)[:60],
)
def test_a_body_without_an_id_is_refused(body: bytes) -> None:
    assert refusal(signed(), body) == "The body names no job: it is no JSON object with a taskId."


@pytest.mark.parametrize(
    "job_id",
    [
        5,
        0,
        True,
        False,
        1.5,
        ["a"],
        {},
        {"taskId": "a"},
        " ",
        "a b",
        "a\n",
        "a/b",
        "../a",
        "A" * 201,
        "\u0430",
    ],
    ids=repr,
)
@pytest.mark.parametrize("where", ["root", "data"])
def test_an_id_that_is_none_is_refused(job_id: Any, where: str) -> None:
    body = {"taskId": job_id, "data": {"taskId": JOB_ID}}
    if where == "data":
        body = {"taskId": JOB_ID, "data": {"task_id": job_id}}
    assert refusal(signed(), json.dumps(body).encode()) == "The body names a job by something that is no id."


def test_ids_that_are_nested_as_deeply_as_json_is_read_are_refused() -> None:
    deep = b"[" * 900 + b"]" * 900
    body = b'{"taskId": %b, "data": {"taskId": %b}}' % (deep, deep)
    assert refusal(signed(), body) == "The body names a job by something that is no id."


@pytest.mark.parametrize(
    "body",
    [
        {"taskId": JOB_ID, "data": {"taskId": "other"}},
        {"taskId": "other", "data": {"task_id": JOB_ID}},
        {"data": {"taskId": JOB_ID, "task_id": JOB_ID.upper()}},
    ],
)
def test_a_body_with_several_ids_is_refused(body: dict[str, Any]) -> None:
    assert refusal(signed(), json.dumps(body).encode()) == "The body names several jobs."


@pytest.mark.parametrize(
    ("key", "said"),
    [("", "is empty"), (" ", "white space"), (f"{KEY}\n", "white space"), (f"\t{KEY}", "white space")],
)
def test_an_unusable_key_accepts_nothing(key: str, said: str) -> None:
    # An empty key, or one with a line's end, is what a variable or a file gives when something is amiss.
    for known in (key, key.strip()):
        assert said in refusal(signed(key=known), key=key)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"body": BODY.decode()}, TypeError, "body must be the bytes as they came, not str"),
        ({"body": json.loads(BODY)}, TypeError, "body must be the bytes as they came, not dict"),
        ({"body": None}, TypeError, "not NoneType"),
        ({"key": KEY.encode()}, TypeError, "key must be text, as kie.ai's settings show it, not bytes"),
        ({"key": None}, TypeError, "not NoneType"),
        ({"key": "\ud800"}, ValueError, "half a surrogate pair"),
        ({"headers": None}, TypeError, "headers must be a mapping of names to values, not NoneType"),
        ({"headers": list(signed().items())}, TypeError, "not list"),
        ({"headers": "X-Webhook-Timestamp: 5"}, TypeError, "not str"),
        *(
            ({"tolerance": value}, ValueError, "tolerance must be a number of seconds above 0")
            for value in (0, -1, math.nan, math.inf, True, None, "soon", timedelta(0), timedelta(days=-1))
        ),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_an_unusable_argument_is_the_callers_mistake(
    arguments: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        verify_callback(**{"headers": signed(), "body": BODY, "key": KEY} | arguments)
    assert not isinstance(caught.value, KieSignatureError)


def refused_callbacks() -> Iterator[tuple[dict[str, str], bytes, str]]:
    secret_body = json.dumps({"data": {"taskId": "s3cr3t body"}}).encode()
    yield signed(key="another"), BODY, KEY
    yield signed(), secret_body, KEY
    yield signed(), b"s3cr3t body", KEY
    yield signed(), b'{"taskId": "a", "data": {"taskId": "s3cr3t body"}}', KEY
    yield signed(timestamp=5), BODY, KEY
    yield signed() | {"X-Webhook-Signature": "s3cr3t body"}, BODY, KEY
    yield signed(), BODY, f"{KEY} "
    yield {}, BODY, KEY


@pytest.mark.parametrize(("headers", "body", "key"), list(refused_callbacks()))
def test_a_refusal_tells_neither_key_nor_signature_nor_body(
    headers: dict[str, str], body: bytes, key: str
) -> None:
    with pytest.raises(KieSignatureError) as caught:
        verify_callback(headers, body, key)
    error = caught.value
    assert (error.__cause__, error.__context__) == (None, None)
    shown = "".join(traceback.format_exception(error)) + repr(error) + json.dumps(error.to_event())
    for secret in (KEY, signature(), JOB_ID, "s3cr3t", headers.get("X-Webhook-Signature", KEY)):
        assert secret not in shown
