"""Files opened on file hosts: without the key, over redirects, never from https to less."""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Iterator

import httpx
import pytest

from airflow_provider_kie import __version__
from airflow_provider_kie.client.api import credits
from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import (
    KieConnectionError,
    KieError,
    KieTransferError,
)
from airflow_provider_kie.client.http.session import MAX_REDIRECTS
from tests.fake_host import SILENCE, FakeHost, http
from tests.unit.client.sending import (
    CREDITS,
    SIGNED,
    Send,
    body_of,
    client_with,
    refusal,
    settings_of,
)


class Body(httpx.SyncByteStream):
    """A body that notes what is done with it."""

    is_read = is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        self.is_read = True
        yield b"bytes"

    def close(self) -> None:
        self.is_closed = True


def test_a_file_host_does_not_get_the_key_nor_does_where_it_redirects_to() -> None:
    key = secrets.token_hex()
    with FakeHost([http(b"bytes")]) as other, FakeHost() as host:
        host.script.append(http(b"", "302 Found", Location=f"{other.url}/b"))
        with (
            KieClient(settings_of(host.url, api_key=key)) as client,
            client.open_file(f"{host.url}/a", {"Range": "bytes=2-"}) as response,
        ):
            assert body_of(response) == b"bytes"
        assert (len(host.requests), len(other.requests)) == (1, 1)
        for request in (*host.requests, *other.requests):
            assert "authorization" not in request.headers
            assert key.encode() not in request.head
            assert request.headers["accept-encoding"] == "identity"
            assert request.headers["user-agent"] == f"airflow-provider-kie/{__version__}"
            assert request.range == "bytes=2-"


def test_a_call_and_a_file_on_the_same_host_and_client_do_not_share_the_key() -> None:
    with FakeHost([http(CREDITS), http(b"bytes")]) as host, KieClient(settings_of(host.url)) as client:
        client.send(credits.get_credits())
        with client.open_file(f"{host.url}/a") as response:
            body_of(response)
        assert [request.headers.get("authorization") for request in host.requests] == ["Bearer a-key", None]


@pytest.mark.parametrize("status", [200, 206, 304, 403, 404, 500])
def test_the_status_of_a_file_is_not_judged_and_its_body_is_unread(status: int) -> None:
    body = Body()
    with client_with(settings_of(), lambda _: httpx.Response(status, stream=body)) as client:
        with client.open_file("https://h/a") as response:
            assert (response.status, body.is_read) == (status, False)
            assert body_of(response) == b"bytes"
        assert body.is_closed


@pytest.mark.parametrize("redirects", [MAX_REDIRECTS, MAX_REDIRECTS + 1])
def test_redirects_are_followed_up_to_a_limit(redirects: int) -> None:
    left = [httpx.Response(302, headers={"Location": f"/{number}{SIGNED}"}) for number in range(redirects)]
    answers = [*left, httpx.Response(200, content=b"bytes")]
    with client_with(settings_of(), lambda _: answers.pop(0)) as client:
        if redirects <= MAX_REDIRECTS:
            with client.open_file("https://h/a") as response:
                assert body_of(response) == b"bytes"
        else:
            error = refusal(client, "https://h/a")
            assert isinstance(error, KieTransferError)
            assert not error.transient


@pytest.mark.parametrize("location", ["http://h/a", "http://127.0.0.1/a", "ftp://h/a"])
def test_a_redirect_from_https_to_less_is_refused(location: str) -> None:
    asked = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(302, headers={"Location": location + SIGNED})

    error = refusal(client_with(settings_of(), handler), "https://h/a")
    assert isinstance(error, KieTransferError)
    assert not error.transient
    assert "redirected from https to" in str(error)
    assert "s3cret" not in str(error)
    assert len(asked) == 1


@pytest.mark.parametrize(
    "location", ["http://[::s3cret]", "http://[::1/a", "https://h:99999/a", "https://\u2603.example/a"]
)
def test_a_redirect_to_nowhere_is_a_kie_error_without_the_link(location: str) -> None:
    headers = [(b"Location", (location + SIGNED).encode())]
    client = client_with(settings_of(), lambda _: httpx.Response(302, headers=headers))
    error = refusal(client, "https://h/a")
    assert "s3cret" not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    "url",
    [
        "https://\u2603.example/a",
        "https://h/a\x00b",
        "https://a..b/c",
        "https://" + "a" * 64 + ".example/c",
        "ftp://h/a",
        "/a",
        " https://h/a",
    ],
)
def test_a_url_that_cannot_be_asked_is_a_lasting_kie_error(url: str) -> None:
    error = refusal(KieClient(settings_of()), url + SIGNED)
    assert "s3cret" not in str(error)
    assert not error.transient


@pytest.mark.parametrize("url", ["https://\u2603.example", "https://a..b"])
def test_a_base_url_that_cannot_be_asked_is_a_kie_error(send: Send, url: str) -> None:
    with pytest.raises(KieError):
        send(settings_of(url, max_retries=0), credits.get_credits(), None)


def test_a_file_that_is_cut_while_it_is_read_is_a_connection_error() -> None:
    with FakeHost([http(b"half", Content_Length="8")]) as host:
        error = refusal(KieClient(settings_of()), host.url)
    assert isinstance(error, KieConnectionError)
    assert "the connection broke" in str(error)


def test_a_file_host_that_falls_silent_is_a_connection_error() -> None:
    with FakeHost([[SILENCE]]) as host:
        error = refusal(KieClient(settings_of(timeout=0.1)), host.url)
    assert isinstance(error, KieConnectionError)
    assert "no byte came or went in time" in str(error)


def test_what_the_reader_of_a_file_raises_goes_through_unchanged() -> None:
    error, body = OSError("disk full"), Body()
    client = client_with(settings_of(), lambda _: httpx.Response(200, stream=body))
    with client, pytest.raises(OSError, match="disk full") as caught, client.open_file("https://h/a"):
        raise error
    assert caught.value is error
    assert body.is_closed
