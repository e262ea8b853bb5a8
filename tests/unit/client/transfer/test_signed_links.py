"""Signed links: asked for, renewed, and told to nobody."""

from __future__ import annotations

import json
import logging
import secrets

import pytest

from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieTransferError,
    KieValidationError,
)
from airflow_provider_kie.client.settings import KieSettings
from airflow_provider_kie.client.transfer.download import (
    Sign,
    needs_signing,
)
from tests.fake_host import http
from tests.unit.client.transfer.downloads import (
    CONTENT,
    GENERATED,
    HALF,
    FileHost,
    cut,
    failure,
    fetch,
    received_of,
    rest,
    whole,
)


def test_a_signed_link_is_asked_for_right_before_the_transfer_and_the_key_stays_at_the_api() -> None:
    key = secrets.token_hex()
    with FileHost() as host:
        host.script += [host.sign(), whole()]
        assert fetch(host, signed=True, api_key=key) == received_of(CONTENT)
        assert host.asked() == ["/api/v1/common/download-url", "/store/a.png"]
        assert json.loads(host.requests[0].body) == {"url": GENERATED}
        assert host.requests[0].headers.get("authorization") == f"Bearer {key}"
        assert key.encode() not in host.requests[1].head
        assert host.requests[1].headers.get("authorization") is None


@pytest.mark.parametrize("status", ["403 Forbidden", "410 Gone"])
def test_an_expired_link_is_asked_for_anew(status: str) -> None:
    with FileHost() as host:
        host.script += [host.sign(), http(b"<Error/>", status), host.sign(), whole()]
        assert fetch(host, signed=True) == received_of(CONTENT)
        assert host.asked() == ["/api/v1/common/download-url", "/store/a.png"] * 2


def test_a_link_that_expires_in_the_middle_is_asked_for_anew_and_the_transfer_goes_on() -> None:
    with FileHost() as host:
        host.script += [host.sign(), cut(), http(b"", "403 Forbidden"), host.sign(), rest()]
        assert fetch(host, signed=True) == received_of(CONTENT)
        assert host.ranges() == [None, None, f"bytes={HALF}-", None, f"bytes={HALF}-"]


def test_a_link_that_is_good_is_kept_after_a_cut() -> None:
    with FileHost() as host:
        host.script += [host.sign(), cut(), rest()]
        assert fetch(host, signed=True) == received_of(CONTENT)
        assert host.asked().count("/api/v1/common/download-url") == 1


def test_links_that_are_always_expired_are_an_error_after_the_last_try() -> None:
    with FileHost() as host:
        host.script += [host.sign(), http(b"", "403 Forbidden")] * 9
        error = failure(host, signed=True, max_retries=2)
        assert (type(error), error.code) == (KieTransferError, 403)
        assert len(host.requests) == 6


def test_a_file_that_kie_ai_did_not_generate_is_explained() -> None:
    with FileHost(http(b'{"code":422,"msg":"url is wrong","data":null}')) as host:
        error = failure(host, signed=True)
        assert (type(error), error.code) == (KieValidationError, 422)
        assert "url is wrong" in str(error)
        assert "Only files that kie.ai generated can be signed" in str(error)
        assert "download_url" in str(error)
        assert len(host.requests) == 1


def test_a_wrong_key_ends_it_at_once() -> None:
    with FileHost(http(b'{"code":401,"msg":"Unauthorized"}')) as host:
        assert type(failure(host, signed=True)) is KieAuthError
        assert len(host.requests) == 1


def test_signing_gets_over_what_passes() -> None:
    with FileHost(http(b'{"code":429,"msg":"too fast"}'), http(b"<html>", "502 Bad Gateway")) as host:
        host.script += [host.sign(), whole()]
        assert fetch(host, signed=True) == received_of(CONTENT)


def test_a_link_that_is_none_is_an_error() -> None:
    with FileHost(*[http(b'{"code":200,"msg":"success","data":null}')] * 2) as host:
        assert "promised data" in str(failure(host, signed=True))


@pytest.mark.parametrize(
    "answer",
    [
        http(b"", "403 Forbidden"),
        http(b"", "500 Internal Server Error"),
        cut(),
        b"",
        http(b"", "404 Not Found"),
        http(b"", "302 Found", Location="http://[::1/?s3cret"),
        whole(b"no gzip", Content_Encoding="gzip"),
    ],
    ids=["expired", "failing", "cut", "hung-up", "missing", "redirected", "garbled"],
)
def test_the_signed_link_is_in_no_message_and_no_log(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    for name in (None, "httpx", "httpcore", "airflow_provider_kie"):
        caplog.set_level(logging.DEBUG, name)
    with FileHost() as host:
        signs_again = b" 403 " in answer
        host.script += [host.sign(), answer, host.sign() if signs_again else answer, answer]
        error: BaseException | None = failure(host, signed=True, max_retries=1)
        while error:
            assert "s3cret" not in f"{error!s} {error!r}"
            error = error.__cause__ or error.__context__
    assert "s3cret" not in caplog.text
    assert "a-key" not in caplog.text


def test_an_error_of_a_signed_link_names_the_file_and_not_the_link(caplog: pytest.LogCaptureFixture) -> None:
    for answer in (
        http(b"", "404 Not Found"),
        http(b"", "410 Gone"),
        http(b'{"code":422,"msg":"url is wrong"}'),
    ):
        with FileHost() as host:
            host.script += [answer] if b"422" in answer else [host.sign(), answer] * 2
            error = failure(host, signed=True, max_retries=1)
            assert str(error).startswith(f"{GENERATED}: ")
            assert "s3cret" not in str(error)
    assert f"download failed; retry 1 of 1 in 0.0 s: {GENERATED}: download: the file host" in caplog.text


@pytest.mark.parametrize(
    ("sign", "file_url", "signed"),
    [
        ("auto", "https://tempfile.aiquickdraw.com/a.png", True),
        ("auto", "https://tempfile.redpandaai.co/a.png", False),
        ("auto", "https://up.example/a.png", False),
        ("auto", "https://kieai.redpandaai.co/a.png", True),
        ("always", "https://tempfile.redpandaai.co/a.png", True),
        ("always", "https://tempfile.aiquickdraw.com/a.png", True),
        ("never", "https://tempfile.redpandaai.co/a.png", False),
        ("never", "https://tempfile.aiquickdraw.com/a.png", False),
    ],
)
def test_only_generated_files_need_signing(sign: Sign, file_url: str, signed: bool) -> None:
    with KieClient(KieSettings("a-key", upload_base_url="https://up.example")) as client:
        assert needs_signing(client, file_url, sign) is signed
