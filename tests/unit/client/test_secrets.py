"""Neither the key nor a signed link is told to anybody, not even by the libraries' logs."""

from __future__ import annotations

import json
import secrets

import httpx
import pytest

from airflow_provider_kie.client.api import credits
from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import (
    KieError,
    KieUnavailableError,
)
from tests.fake_host import FakeHost, http
from tests.unit.client.sending import (
    CREDITS,
    SIGNED,
    Send,
    body_of,
    refusal,
    settings_of,
)


def test_the_key_for_loopback_does_not_go_through_a_proxy(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It is the only place where the key may travel without TLS.
    for name in ("NO_PROXY", "no_proxy", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with FakeHost([http(CREDITS)]) as host, FakeHost([http(CREDITS)]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert send(settings_of(host.url), credits.get_credits(), None) == 5916.25
        assert proxy.requests == []
        assert len(host.requests) == 1


def test_the_key_is_in_no_repr_message_or_log(send: Send, log: pytest.LogCaptureFixture) -> None:
    key = secrets.token_hex()
    answer = http(json.dumps({"code": 500, "msg": "Server exception"}).encode())
    with FakeHost([answer, answer, answer]) as host:
        settings = settings_of(host.url, api_key=key, max_retries=2)
        with pytest.raises(KieError) as caught:
            send(settings, credits.get_credits(), None)
        with KieClient(settings) as client:
            assert key not in f"{settings!r} {client!r} {vars(client)!r}"
    assert any(record.name.startswith("httpcore") for record in log.records)
    assert key not in log.text
    assert key not in repr(caught.value) + str(caught.value)


def test_a_key_that_an_answer_echoes_is_not_shown(send: Send, caplog: pytest.LogCaptureFixture) -> None:
    key = secrets.token_hex()
    body = {"code": 500, "msg": f"Server exception for Bearer {key}"}
    with pytest.raises(KieUnavailableError) as caught:
        send(
            settings_of(api_key=key, max_retries=1),
            credits.get_credits(),
            lambda _: httpx.Response(200, json=body),
        )
    assert key not in str(caught.value)
    assert key not in caplog.text


async def test_the_log_of_other_providers_requests_is_left_alone(log: pytest.LogCaptureFixture) -> None:
    with FakeHost([http(CREDITS), http(b"bytes")]) as host, KieClient(settings_of(host.url)) as client:
        client.send(credits.get_credits())
        httpx.get(f"{host.url}/of/another?page=2")
    shown = [record.getMessage() for record in log.records if record.name == "httpx"]
    assert [f"{host.url}/of/another?page=2" in line for line in shown] == [False, True]
    heads = [line for line in log.messages if "receive_response_headers.complete" in line]
    assert len(heads) == 1


@pytest.mark.parametrize("quoting", ["", "'", "''"])
def test_a_signed_link_is_in_no_log_not_even_of_the_libraries(
    quoting: str, log: pytest.LogCaptureFixture
) -> None:
    with FakeHost() as host, KieClient(settings_of(host.url)) as client:
        link = f"{host.url}/file?by={quoting}me&X-Amz-Signature=s3cret"
        host.script += [http(b"", "302 Found", Location=link), http(b"bytes"), b""]
        with client.open_file(f"{host.url}{SIGNED}") as response:
            body_of(response)
        error = refusal(client, link)
    assert {record.name for record in log.records} >= {"httpx", "httpcore.http11"}
    assert "HTTP Request: GET" in log.text
    assert "s3cret" not in log.text
    assert "s3cret" not in str(error)


def test_the_log_of_a_retry_quotes_no_link(send: Send, caplog: pytest.LogCaptureFixture) -> None:
    body = {"code": 500, "msg": f"cannot sign https://h{SIGNED} now"}
    with pytest.raises(KieUnavailableError):
        send(settings_of(max_retries=1), credits.get_credits(), lambda _: httpx.Response(200, json=body))
    assert "retry 1 of 1" in caplog.text
    assert "cannot sign https://... now" in caplog.text
    assert "s3cret" not in caplog.text
