"""Whatever is posted to a receiver, it is a job's id with the right signature or refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_kie.client.errors import KieSignatureError
from airflow_provider_kie.client.webhooks import verify_callback

KEY = "the key of these tests"
TIMESTAMP = "X-Webhook-Timestamp"
SIGNATURE = "X-Webhook-Signature"

ids = st.text("abcXYZ019._:-", min_size=1, max_size=200)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | ids
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["taskId", "task_id", "data"]) | st.text(), inner, max_size=4)
    ),
    max_leaves=10,
)
bodies = st.binary() | values.map(lambda value: json.dumps(value).encode())
names = st.sampled_from([TIMESTAMP, SIGNATURE, TIMESTAMP.lower(), SIGNATURE.upper()]) | st.text()


def signed(job_id: str, timestamp: str) -> str:
    digest = hmac.new(KEY.encode(), f"{job_id}.{timestamp}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


@given(headers=st.dictionaries(names, st.text() | st.integers().map(str)), body=bodies)
@example(headers={TIMESTAMP: "\u0661", SIGNATURE: "\ud800"}, body=b"\xff")
def test_any_headers_are_refused(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(KieSignatureError) as caught:
        verify_callback(headers, body, KEY)
    assert str(caught.value).isprintable()


@given(job_id=ids, body=bodies)
@example(job_id="a", body=b"[" * 100_000)
@example(job_id="a", body=b'{"taskId": ' + b"9" * 5000 + b"}")
def test_of_any_body_no_other_id_is_given_than_the_signed_one(job_id: str, body: bytes) -> None:
    timestamp = str(int(time.time()))
    with suppress(KieSignatureError):
        assert (
            verify_callback({TIMESTAMP: timestamp, SIGNATURE: signed(job_id, timestamp)}, body, KEY) == job_id
        )


@given(
    job_id=ids,
    more=st.dictionaries(st.text().filter(lambda name: name not in ("taskId", "task_id", "data")), values),
)
def test_what_is_signed_is_accepted_whatever_else_is_said(job_id: str, more: dict[str, Any]) -> None:
    timestamp = str(int(time.time()))
    headers = {TIMESTAMP: timestamp, SIGNATURE: signed(job_id, timestamp)}
    for name in ("taskId", "task_id"):
        for where in ({name: job_id}, {"data": more | {name: job_id}}):
            body = json.dumps(more | where).encode()
            assert verify_callback(headers, body, KEY) == job_id
