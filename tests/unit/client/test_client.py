from __future__ import annotations

import asyncio
import gzip
import json
import logging
import secrets
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from airflow_provider_kie import __version__
from airflow_provider_kie.client.answers import ANSWER_LIMIT
from airflow_provider_kie.client.api import credits, files
from airflow_provider_kie.client.api.credits import parse_credits
from airflow_provider_kie.client.call import Call
from airflow_provider_kie.client.client import AsyncKieClient, KieClient
from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieConnectionError,
    KieError,
    KieFeatureDisabledError,
    KieInsufficientCreditsError,
    KieNotFoundError,
    KieQuotaError,
    KieRateLimitError,
    KieResponseError,
    KieSourceError,
    KieTaskFailedError,
    KieTransferError,
    KieUnavailableError,
    KieValidationError,
)
from airflow_provider_kie.client.http import environment
from airflow_provider_kie.client.http.responses import FileResponse
from airflow_provider_kie.client.http.session import MAX_REDIRECTS
from airflow_provider_kie.client.settings import KieSettings
from airflow_provider_kie.simulator import KieSimulator

Handler = Callable[[httpx.Request], httpx.Response]
Send = Callable[[KieSettings, Call[Any], Handler | None], Any]

PAID: Call[float] = Call("paid", "api", "POST", "/api/v1/paid", parse_credits, json={}, repeatable=False)
CREDITS = b'{"code":200,"msg":"success","data":5916.25}'
SIGNED = "/file?X-Amz-Signature=s3cret"


def settings_of(url: str = "https://api.kie.ai", **more: Any) -> KieSettings:
    return KieSettings(
        **{"api_key": "a-key", "base_url": url, "upload_base_url": url, "timeout": 5.0, **more}
    )


def send_sync(settings: KieSettings, call: Call[Any], handler: Handler | None = None) -> Any:
    with client_with(settings, handler) as client:
        return client.send(call)


def client_with(settings: KieSettings, handler: Handler | None) -> KieClient:
    return KieClient(settings, transport=httpx.MockTransport(handler) if handler else None)


def send_async(settings: KieSettings, call: Call[Any], handler: Handler | None = None) -> Any:
    async def run() -> Any:
        transport = httpx.MockTransport(handler) if handler else None
        async with AsyncKieClient(settings, transport=transport) as client:
            return await client.send(call)

    return asyncio.run(run())


@pytest.fixture(params=[send_sync, send_async], ids=["sync", "async"])
def send(request: pytest.FixtureRequest) -> Send:
    """Send a call with a client of its own, once for each kind of client."""
    function: Send = request.param
    return function


class Body(httpx.SyncByteStream):
    """A body that notes what is done with it."""

    is_read = is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        self.is_read = True
        yield b"bytes"

    def close(self) -> None:
        self.is_closed = True


@dataclass
class Host:
    """A server on loopback that gives its answers one after the other, each on a connection of its own."""

    url: str
    answers: list[bytes | None]
    requests: list[bytes] = field(default_factory=list)


@contextmanager
def serve(*answers: bytes | None) -> Iterator[Host]:
    """Serve these answers, as they go over the wire; None is silence. Without more it hangs up."""
    with ExitStack() as silent, socket.create_server(("127.0.0.1", 0)) as listener:
        host = Host(f"http://127.0.0.1:{listener.getsockname()[1]}", list(answers))

        def run() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                host.requests.append(read_request(connection))
                answer = host.answers.pop(0) if host.answers else b""
                silent.enter_context(connection)
                if answer is not None:
                    connection.sendall(answer)
                    connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield host
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (piece := connection.recv(65536)):
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line[15:]):
                body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def wire(body: bytes = b"", status: str = "200 OK", length: int | None = None, **headers: str) -> bytes:
    named = {"Content-Length": str(len(body) if length is None else length), "Connection": "close"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that is logged, by the libraries too, whatever Airflow made of their levels."""
    for name in (None, "httpx", "httpcore", "airflow_provider_kie"):
        caplog.set_level(logging.DEBUG, name)
    return caplog


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def body_of(response: FileResponse) -> bytes:
    return b"".join(response.pieces(None))


def refusal(client: KieClient, url: str) -> KieError:
    """Read a file that cannot be read, close the client and give the error."""

    def read() -> None:
        with client, client.open_file(url) as response:
            body_of(response)

    with pytest.raises(KieError) as caught:
        read()
    return caught.value


ROWS = [
    (400, "Missing required parameter: uploadPath", KieValidationError, False, False),
    (401, "Authentication failed: Invalid API Key", KieAuthError, False, False),
    (402, "Insufficient Credits", KieInsufficientCreditsError, False, False),
    (404, "Not Found", KieNotFoundError, False, False),
    (405, "Method Not Allowed", KieValidationError, False, False),
    (405, "Your call frequency is too high.", KieRateLimitError, True, True),
    (408, "Upstream timed out", KieTaskFailedError, False, False),
    (413, "Payload too large", KieValidationError, False, False),
    (422, "url is wrong", KieValidationError, False, False),
    (429, "Your call frequency is too high. Please try again later.", KieRateLimitError, True, True),
    (429, "Account has insufficient credits", KieInsufficientCreditsError, False, False),
    (430, "Your call frequency is too high. Please try again later.", KieRateLimitError, True, True),
    (433, "Sub-key usage exceeds the limit", KieQuotaError, False, False),
    (451, "Failed to fetch the image", KieSourceError, False, False),
    (500, "Failed to download the file", KieSourceError, False, False),
    (455, "Service is under maintenance", KieUnavailableError, True, True),
    (500, "Server exception, please try again later", KieUnavailableError, True, False),
    (500, "Credits insufficient : please top up", KieInsufficientCreditsError, False, False),
    (501, "Generation failed", KieTaskFailedError, False, False),
    (505, "Feature disabled", KieFeatureDisabledError, False, False),
    (524, "A timeout occurred", KieUnavailableError, True, False),
    (531, "Server error, credits refunded", KieTaskFailedError, False, False),
    (550, "Connection denied", KieUnavailableError, True, False),
    (599, "Who knows", KieUnavailableError, True, False),
]


@pytest.mark.parametrize(("code", "msg", "kind", "reading", "creating"), ROWS)
@pytest.mark.parametrize("http", [False, True], ids=["in-the-body", "as-http-status"])
def test_each_code_has_its_error_and_its_retry_rule(
    send: Send, http: bool, code: int, msg: str, kind: type[KieError], reading: bool, creating: bool
) -> None:
    for call, repeated in [(credits.get_credits(), reading), (PAID, creating)]:
        asked: list[str] = []

        def handler(request: httpx.Request, asked: list[str] = asked) -> httpx.Response:
            asked.append(request.url.path)
            # With a real HTTP status, a body of kie.ai's without a code of its own.
            body = {"msg": msg} if http else {"code": code, "msg": msg, "data": None}
            return httpx.Response(code if http else 200, json=body)

        with pytest.raises(KieError) as caught:
            send(settings_of(max_retries=2), call, handler)
        assert (type(caught.value), caught.value.code) == (kind, code)
        assert msg in str(caught.value)
        assert asked == [call.path] * (3 if repeated else 1)


@pytest.mark.parametrize("first", [429, 430, 455, 500, 524])
def test_what_passes_is_got_over(send: Send, first: int) -> None:
    answers = [{"code": first, "msg": "later"}, {"code": 200, "msg": "success", "data": 7}]
    result = send(settings_of(), credits.get_credits(), lambda _: httpx.Response(200, json=answers.pop(0)))
    assert (type(result), result) == (float, 7.0)


@pytest.mark.parametrize("call", [credits.get_credits(), PAID], ids=["reading", "creating"])
def test_what_was_never_sent_is_sent_again(
    send: Send, call: Call[float], caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_of(f"http://127.0.0.1:{closed_port()}", max_retries=3)
    with pytest.raises(KieConnectionError, match=f"^{call.name}: cannot connect: ") as caught:
        send(settings, call, None)
    assert caught.value.never_sent
    retries = [record for record in caplog.records if record.name.endswith("client.retries")]
    assert len(retries) == 3
    assert all("cannot connect" in record.getMessage() for record in retries)


@pytest.mark.parametrize(
    "answer",
    [None, b"", b"no http\r\n\r\n", wire(CREDITS, length=500), b"HTTP/1.1 200 OK\r\n"],
    ids=["silence", "hung-up", "no-http", "cut-body", "cut-head"],
)
@pytest.mark.parametrize(
    ("call", "asked"), [(credits.get_credits(), 2), (PAID, 1)], ids=["reading", "creating"]
)
def test_after_a_broken_answer_only_what_costs_nothing_is_sent_again(
    send: Send, answer: bytes | None, call: Call[float], asked: int
) -> None:
    with serve(answer, wire(CREDITS)) as host:
        settings = settings_of(host.url, timeout=0.2)
        if asked == 2:
            assert send(settings, call, None) == 5916.25
        else:
            with pytest.raises(KieConnectionError) as caught:
                send(settings, call, None)
            assert not caught.value.never_sent
        assert len(host.requests) == asked


def test_a_chunked_answer_that_is_cut_is_no_answer(send: Send) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with (
        serve(head + b"2b\r\n" + CREDITS + b"\r\n") as host,
        pytest.raises(KieConnectionError, match="broke"),
    ):
        send(settings_of(host.url, max_retries=0), credits.get_credits(), None)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"<html>Just a moment</html>", 200, KieResponseError),
        (b"", 200, KieResponseError),
        (b"[]", 200, KieResponseError),
        (b"error code: 1010", 403, KieResponseError),
        (b"<html>Bad gateway</html>", 502, KieResponseError),
        (b" " * (ANSWER_LIMIT + 1), 200, KieResponseError),
        (b'{"code":200,"data":"' + b"x" * ANSWER_LIMIT + b'"}', 200, KieResponseError),
    ],
    ids=["html", "empty", "array", "refused", "gateway", "huge-blank", "huge"],
)
def test_no_answer_of_kie_ai_is_a_response_error(
    send: Send, body: bytes, status: int, kind: type[KieError]
) -> None:
    with pytest.raises(kind) as caught:
        send(
            settings_of(max_retries=0),
            credits.get_credits(),
            lambda _: httpx.Response(status, content=body),
        )
    assert len(str(caught.value)) < 400


def test_an_answer_of_just_the_limit_is_read(send: Send) -> None:
    body = CREDITS + b" " * (ANSWER_LIMIT - len(CREDITS))
    assert send(settings_of(), credits.get_credits(), lambda _: httpx.Response(200, content=body)) == 5916.25


def test_an_endless_answer_is_left_soon() -> None:
    given = []

    def endless() -> Iterator[bytes]:
        while True:
            given.append(1)
            yield b" " * 65536

    with pytest.raises(KieResponseError, match="larger than"):
        send_sync(settings_of(), credits.get_credits(), lambda _: httpx.Response(200, content=endless()))
    assert len(given) <= ANSWER_LIMIT // 65536 + 2


@pytest.mark.parametrize("layers", [1, 2])
def test_a_compression_bomb_is_refused(send: Send, layers: int) -> None:
    body = b" " * 20_000_000
    for _ in range(layers):
        body = gzip.compress(body, 9)
    answer = wire(body, Content_Encoding=", ".join(["gzip"] * layers))
    with serve(answer) as host, pytest.raises(KieResponseError, match=r"larger than|encod"):
        send(settings_of(host.url, max_retries=0), credits.get_credits(), None)


def test_broken_compression_is_a_kie_error(send: Send) -> None:
    with serve(wire(b"no gzip", Content_Encoding="gzip")) as host, pytest.raises(KieError):
        send(settings_of(host.url, max_retries=0), credits.get_credits(), None)


def test_calls_carry_the_key_and_say_who_asks(send: Send) -> None:
    key = secrets.token_hex()
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"code": 200, "data": "https://h/"})

    settings = KieSettings(key, "https://api.example/v/", "https://up.example")
    send(settings, files.get_download_url("https://h/a.png"), handler)
    with pytest.raises(KieResponseError):
        send(settings, files.upload_url("images", "a.png", "https://h/b.png"), handler)
    assert [str(request.url) for request in seen] == [
        "https://api.example/v/api/v1/common/download-url",
        "https://up.example/api/file-url-upload",
    ]
    for request in seen:
        assert request.headers["authorization"] == f"Bearer {key}"
        assert request.headers["user-agent"] == f"airflow-provider-kie/{__version__}"
        assert request.headers["content-type"] == "application/json"
    assert json.loads(seen[0].content) == {"url": "https://h/a.png"}
    assert json.loads(seen[1].content)["fileUrl"] == "https://h/b.png"


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"]
)
def test_a_redirected_call_is_an_error_and_takes_the_key_nowhere(send: Send, status: str) -> None:
    with serve(wire(CREDITS)) as other, serve(wire(status=status, Location=f"{other.url}{SIGNED}")) as host:
        with pytest.raises(KieError) as caught:
            send(settings_of(host.url), credits.get_credits(), None)
        assert other.requests == []
        assert len(host.requests) == 1
        assert "s3cret" not in str(caught.value)


def test_a_file_host_does_not_get_the_key_nor_does_where_it_redirects_to() -> None:
    key = secrets.token_hex()
    with serve(wire(b"bytes")) as other, serve(wire(status="302 Found", Location=f"{other.url}/b")) as host:
        with (
            KieClient(settings_of(host.url, api_key=key)) as client,
            client.open_file(f"{host.url}/a", {"Range": "bytes=2-"}) as response,
        ):
            assert body_of(response) == b"bytes"
        for request in (*host.requests, *other.requests):
            text = request.decode().lower()
            assert "authorization" not in text
            assert key not in text
            assert "\r\naccept-encoding: identity\r\n" in text
            assert f"\r\nuser-agent: airflow-provider-kie/{__version__}\r\n" in text
            assert "\r\nrange: bytes=2-\r\n" in text


def test_a_call_and_a_file_on_the_same_host_and_client_do_not_share_the_key() -> None:
    with serve(wire(CREDITS), wire(b"bytes")) as host, KieClient(settings_of(host.url)) as client:
        client.send(credits.get_credits())
        with client.open_file(f"{host.url}/a") as response:
            body_of(response)
        assert [b"Bearer a-key" in request for request in host.requests] == [True, False]


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


@pytest.mark.parametrize("location", ["http://[::1/a", "https://h:99999/a", "https://\u2603.example/a"])
def test_a_redirect_to_nowhere_is_a_kie_error_without_the_link(location: str) -> None:
    headers = [(b"Location", (location + SIGNED).encode())]
    client = client_with(settings_of(), lambda _: httpx.Response(302, headers=headers))
    assert "s3cret" not in str(refusal(client, "https://h/a"))


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
    with serve(wire(b"half", length=8)) as host:
        error = refusal(KieClient(settings_of()), host.url)
    assert isinstance(error, KieConnectionError)
    assert "the connection broke" in str(error)


def test_a_file_host_that_falls_silent_is_a_connection_error() -> None:
    with serve(None) as host:
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


class ClosingTransport(httpx.MockTransport):
    """Notes that it was closed."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True

    async def aclose(self) -> None:
        self.is_closed = True


async def test_a_client_closes_its_connections_at_the_end_of_its_block() -> None:
    transports = [ClosingTransport(lambda _: httpx.Response(200)) for _ in range(2)]
    with KieClient(settings_of(), transport=transports[0]):
        async with AsyncKieClient(settings_of(), transport=transports[1]):
            assert [transport.is_closed for transport in transports] == [False, False]
        assert [transport.is_closed for transport in transports] == [False, True]
    assert [transport.is_closed for transport in transports] == [True, True]


async def test_clients_share_one_ssl_context(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ssl.SSLContext] = []

    def make() -> ssl.SSLContext:
        made.append(ssl.create_default_context())
        return made[-1]

    monkeypatch.setattr(httpx, "create_ssl_context", make)
    environment.ssl_context.cache_clear()
    for _ in range(2):
        with KieClient(settings_of()):
            pass
        async with AsyncKieClient(settings_of()):
            pass
    environment.ssl_context.cache_clear()
    assert [context.verify_mode for context in made] == [ssl.CERT_REQUIRED]


def test_a_client_can_be_shared_between_threads(kie_simulator: KieSimulator) -> None:
    settings = settings_of(kie_simulator.api_url, api_key=kie_simulator.api_key)
    with KieClient(settings) as client, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: client.send(credits.get_credits()), range(40))) == [100.0] * 40


def test_many_calls_share_an_async_client(kie_simulator: KieSimulator) -> None:
    settings = settings_of(kie_simulator.api_url, api_key=kie_simulator.api_key)

    async def run() -> list[float]:
        async with AsyncKieClient(settings) as client:
            return await asyncio.gather(*(client.send(credits.get_credits()) for _ in range(40)))

    assert asyncio.run(run()) == [100.0] * 40


def test_the_key_for_loopback_does_not_go_through_a_proxy(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It is the only place where the key may travel without TLS.
    for name in ("NO_PROXY", "no_proxy", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serve(wire(CREDITS)) as host, serve(wire(CREDITS)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert send(settings_of(host.url), credits.get_credits(), None) == 5916.25
        assert proxy.requests == []
        assert len(host.requests) == 1


def test_the_key_is_in_no_repr_message_or_log(send: Send, log: pytest.LogCaptureFixture) -> None:
    key = secrets.token_hex()
    answer = wire(json.dumps({"code": 500, "msg": "Server exception"}).encode())
    with serve(answer, answer, answer) as host:
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
    with serve(wire(CREDITS), wire(b"bytes")) as host, KieClient(settings_of(host.url)) as client:
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
    with serve() as host, KieClient(settings_of(host.url)) as client:
        link = f"{host.url}/file?by={quoting}me&X-Amz-Signature=s3cret"
        host.answers += [wire(status="302 Found", Location=link), wire(b"bytes"), b""]
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


def test_the_client_needs_neither_airflow_nor_the_simulator() -> None:
    code = """
import sys
import airflow_provider_kie.client.client
import airflow_provider_kie.client.transfer.download
import airflow_provider_kie.client.transfer.upload
import airflow_provider_kie.decisions.credits
print([name for name in sys.modules if name.split(".")[0] == "airflow" or "simulator" in name])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
