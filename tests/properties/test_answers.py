"""Whatever arrives, the answer parser gives a value or a KieError that is fit to be shown."""

from __future__ import annotations

import contextlib
import email.utils
import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_kie.client.answers import read_answer, retry_after
from airflow_provider_kie.client.api import credits, files
from airflow_provider_kie.client.api.files import UploadReceipt
from airflow_provider_kie.client.call import Call, FilePart
from airflow_provider_kie.client.codes import error_class
from airflow_provider_kie.client.errors import QUOTE_LIMIT, KieError, quote
from airflow_provider_kie.client.retries import RETRY_AFTER_LIMIT
from airflow_provider_kie.files.results import UploadedFile

LINK = "https://store.example/a.png?X-Amz-Signature=5ec2e7"
SECRET = "5ec2e7"
PART = FilePart("a.png", "image/png", 1, lambda: contextlib.nullcontext(io.BytesIO(b"a")))
CALLS: list[Call[Any]] = [
    credits.get_credits(),
    files.get_download_url("https://tempfile.example/a.png"),
    files.upload_stream("a", PART),
    files.upload_url("a", "a.png", "https://example.com/a.png"),
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(LINK),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
codes = st.integers(-10, 1000) | st.sampled_from([200, 401, 422, 429, 455, 500, 505]) | json_values
uploads = st.fixed_dictionaries(
    {},
    optional={
        "fileName": st.text() | json_values,
        "filePath": st.text() | json_values,
        "uploadPath": st.text() | json_values,
        "downloadUrl": st.just(LINK) | json_values,
        "fileUrl": st.just(LINK) | json_values,
        "fileSize": st.integers() | json_values,
        "mimeType": st.just("image/png") | json_values,
        "uploadedAt": st.datetimes().map(datetime.isoformat) | json_values,
        "uploadTime": st.datetimes().map(datetime.isoformat) | json_values,
        "expiresAt": st.datetimes().map(datetime.isoformat) | json_values,
    },
)
envelopes = st.fixed_dictionaries(
    {},
    optional={
        "code": codes,
        "msg": st.text() | st.just(f"cannot fetch {LINK}") | json_values,
        "data": st.floats() | uploads | json_values,
        "success": st.booleans() | json_values,
    },
)
statuses = st.sampled_from(
    [200, 201, 204, 302, 400, 401, 403, 404, 413, 429, 500, 502, 503, 524]
) | st.integers(100, 599)
headers = st.dictionaries(
    st.sampled_from(["retry-after", "content-type", "location"]), st.text() | st.just("3") | st.just(LINK)
)


def judge(call: Call[Any], status: int, named: dict[str, str], body: bytes) -> None:
    value, error = None, None
    try:
        value = read_answer(call, status, named, body)
    except KieError as raised:
        error = raised
    if error:
        shown = str(error)
        assert SECRET not in shown
        assert shown.isprintable()
        # What we say ourselves is short; what is quoted has its limit.
        assert len(shown) <= QUOTE_LIMIT + 250
        assert error.retry_after is None or error.retry_after >= 0
    else:
        assert status < 300
        assert value is not None
        if isinstance(value, UploadReceipt):
            with contextlib.suppress(KieError):
                known = UploadedFile.from_receipt(
                    value, source="a", method="stream", sha256=None, retention=24
                )
                assert json.loads(json.dumps(known.to_dict())) == known.to_dict()


@pytest.mark.parametrize("call", CALLS, ids=[call.name for call in CALLS])
@given(status=statuses, named=headers, answer=envelopes | json_values)
def test_any_json_is_a_value_or_a_kie_error(
    call: Call[Any], status: int, named: dict[str, str], answer: Any
) -> None:
    judge(call, status, named, json.dumps(answer).encode())


@pytest.mark.parametrize("call", CALLS[:2], ids=[call.name for call in CALLS[:2]])
@given(status=statuses, named=headers, body=st.binary() | st.text().map(str.encode))
@example(status=200, named={}, body=b"\xef\xbb\xbf{}")
@example(status=200, named={}, body=b'{"code":200,"data":' + b"[" * 5000)
@example(status=502, named={}, body=f"<html>{LINK}</html>".encode() * 900)
def test_any_bytes_are_a_value_or_a_kie_error(
    call: Call[Any], status: int, named: dict[str, str], body: bytes
) -> None:
    judge(call, status, named, body)


@given(envelope=envelopes, cut=st.integers(0, 400))
def test_json_that_is_cut_anywhere_is_a_kie_error(envelope: dict[str, Any], cut: int) -> None:
    body = json.dumps({"code": 200, "msg": "success", **envelope}).encode()
    if cut < len(body):
        with pytest.raises(KieError):
            read_answer(CALLS[0], 200, {}, body[:cut])


@given(data=uploads)
def test_what_an_upload_answers_is_a_receipt_or_a_kie_error(data: dict[str, Any]) -> None:
    whole = {
        "fileName": "a.png",
        "filePath": "kieai/1/a.png",
        "downloadUrl": LINK,
        "fileSize": 1,
        "mimeType": "image/png",
        "uploadedAt": "2026-04-16T07:19:10.400Z",
    }
    judge(CALLS[2], 200, {}, json.dumps({"code": 200, "msg": "", "data": whole | data}).encode())


@given(code=st.integers(), message=st.text())
def test_any_code_is_an_error_class(code: int, message: str) -> None:
    assert issubclass(error_class(code, message), KieError)


@given(
    before=st.text(),
    after=st.text(),
    link=st.sampled_from([LINK, LINK.upper(), LINK.replace("https", "http")]),
)
@example(before="x" * 290, after="", link=LINK)
def test_a_quote_is_one_short_line_without_links(before: str, after: str, link: str) -> None:
    quoted = quote(f"{before}{link} {after}")
    assert len(quoted) <= QUOTE_LIMIT
    assert quoted.isprintable()
    assert SECRET not in quoted.lower()
    assert quote(quoted) == quoted


dates = st.text(alphabet="0123456789 :,-+.GMTSunMonJanFebDec", max_size=40)


@given(value=st.text() | dates | st.floats().map(str) | st.integers().map(str))
@example(value="9" * 400)
@example(value="Thu, 01 Jan 1970 00:00:00 GMT")
@example(value="Fri, 31 Dec 9999 23:59:59 -2359")
@example(value="Sat, 01 Jan 0001 00:00:00 +2359")
def test_any_retry_after_is_a_wait_or_nothing(value: str) -> None:
    seconds = retry_after({"retry-after": value})
    assert seconds is None or seconds >= 0
    assert seconds is None or 0 <= min(seconds, RETRY_AFTER_LIMIT) <= RETRY_AFTER_LIMIT


@given(seconds=st.integers(0, 10**9))
def test_a_retry_after_in_seconds_is_that_many(seconds: int) -> None:
    assert retry_after({"retry-after": f" {seconds} "}) == seconds


@given(seconds=st.integers(-10_000, 10_000))
def test_a_retry_after_as_a_date_is_the_time_until_then(seconds: int) -> None:
    date = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    found = retry_after({"retry-after": date})
    assert found is not None
    assert abs(found - max(0, seconds)) <= 3
    assert re.search("GMT", date)
