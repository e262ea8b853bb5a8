"""Calls sent by both clients: what is repeated, what is an error; clients opened, shared and closed."""

from __future__ import annotations

import asyncio
import gzip
import json
import secrets
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from airflow_provider_kie import __version__
from airflow_provider_kie.client.api import credits, files
from airflow_provider_kie.client.api.credits import parse_credits
from airflow_provider_kie.client.call import ANSWER_LIMIT, Call
from airflow_provider_kie.client.client import LARGE_ANSWER, AsyncKieClient, KieClient
from airflow_provider_kie.client.errors import (
    KieConnectionError,
    KieError,
    KieInsufficientCreditsError,
    KieRateLimitError,
    KieResponseError,
    KieUnavailableError,
    KieValidationError,
)
from airflow_provider_kie.client.http import environment
from airflow_provider_kie.client.settings import KieSettings
from airflow_provider_kie.simulator import KieSimulator
from tests.fake_host import SILENCE, Answer, FakeHost, chunked, http
from tests.unit.client.sending import (
    CREDITS,
    SIGNED,
    Send,
    client_with,
    send_sync,
    settings_of,
)

PAID: Call[float] = Call("paid", "api", "POST", "/api/v1/paid", parse_credits, json={}, repeatable=False)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


# One for each rule; which error a code is, is in test_errors.
POLICIES = [
    (422, "url is wrong", KieValidationError, False, False),
    (429, "Your call frequency is too high.", KieRateLimitError, True, True),
    (455, "Service is under maintenance", KieUnavailableError, True, True),
    (500, "Server exception, please try again later", KieUnavailableError, True, False),
    (500, "Credits insufficient : please top up", KieInsufficientCreditsError, False, False),
]


@pytest.mark.parametrize(("code", "msg", "kind", "reading", "creating"), POLICIES)
@pytest.mark.parametrize("as_status", [False, True], ids=["in-the-body", "as-http-status"])
def test_an_error_is_sent_again_where_that_helps_and_costs_nothing(
    send: Send, as_status: bool, code: int, msg: str, kind: type[KieError], reading: bool, creating: bool
) -> None:
    for call, repeated in [(credits.get_credits(), reading), (PAID, creating)]:
        asked: list[str] = []

        def handler(request: httpx.Request, asked: list[str] = asked) -> httpx.Response:
            asked.append(request.url.path)
            # With a real HTTP status, a body of kie.ai's without a code of its own.
            body = {"msg": msg} if as_status else {"code": code, "msg": msg, "data": None}
            return httpx.Response(code if as_status else 200, json=body)

        with pytest.raises(KieError) as caught:
            send(settings_of(max_retries=2), call, handler)
        assert (type(caught.value), caught.value.code) == (kind, code)
        assert msg in str(caught.value)
        assert asked == [call.path] * (3 if repeated else 1)


def test_what_passes_is_got_over(send: Send) -> None:
    answers = [{"code": 500, "msg": "later"}, {"code": 200, "msg": "success", "data": 7}]
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
    [[SILENCE], b"", b"no http\r\n\r\n", http(CREDITS, Content_Length="500"), b"HTTP/1.1 200 OK\r\n"],
    ids=["silence", "hung-up", "no-http", "cut-body", "cut-head"],
)
@pytest.mark.parametrize(
    ("call", "asked"), [(credits.get_credits(), 2), (PAID, 1)], ids=["reading", "creating"]
)
def test_after_a_broken_answer_only_what_costs_nothing_is_sent_again(
    send: Send, answer: Answer, call: Call[float], asked: int
) -> None:
    with FakeHost([answer, http(CREDITS)]) as host:
        settings = settings_of(host.url, timeout=0.2)
        if asked == 2:
            assert send(settings, call, None) == 5916.25
        else:
            with pytest.raises(KieConnectionError) as caught:
                send(settings, call, None)
            assert not caught.value.never_sent
        assert len(host.requests) == asked


def test_a_chunked_answer_that_is_cut_is_no_answer(send: Send) -> None:
    cut = http(chunked(CREDITS, end=False), Content_Length=None, Transfer_Encoding="chunked")
    with FakeHost([cut]) as host, pytest.raises(KieConnectionError, match="broke"):
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
    answer = http(body, Content_Encoding=", ".join(["gzip"] * layers))
    with FakeHost([answer]) as host, pytest.raises(KieResponseError, match=r"larger than|encod"):
        send(settings_of(host.url, max_retries=0), credits.get_credits(), None)


def test_broken_compression_is_a_kie_error(send: Send) -> None:
    with FakeHost([http(b"no gzip", Content_Encoding="gzip")]) as host, pytest.raises(KieError):
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


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirected_call_is_an_error_and_takes_the_key_nowhere(send: Send, status: int) -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(status, headers={"Location": f"https://other.example{SIGNED}"})

    with pytest.raises(KieError) as caught:
        send(settings_of(), credits.get_credits(), handler)
    assert asked == ["api.kie.ai"]
    assert "s3cret" not in str(caught.value)


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


async def test_a_given_transport_asks_nothing_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "no proxy at all")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    environment.ssl_context.cache_clear()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=CREDITS))
    with KieClient(settings_of(), transport=transport) as client:
        assert client.send(credits.get_credits()) == 5916.25
    async with AsyncKieClient(settings_of(), transport=transport) as aclient:
        assert await aclient.send(credits.get_credits()) == 5916.25


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


def test_a_rate_limit_slows_all_threads_of_a_client(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[float] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(time.monotonic())
        limited = httpx.Response(200, json={"code": 429, "msg": "slow"}, headers={"Retry-After": "0.3"})
        return limited if len(asked) == 1 else httpx.Response(200, content=CREDITS)

    with client_with(settings_of(), handler) as client, ThreadPoolExecutor(1) as pool:
        refused = pool.submit(client.send, credits.get_credits())
        while "retry 1" not in caplog.text:
            time.sleep(0.005)
        client.send(credits.get_credits())
        refused.result()
    first, *others = asked
    assert len(others) == 2
    assert min(others) - first >= 0.3


def test_many_calls_share_an_async_client(kie_simulator: KieSimulator) -> None:
    settings = settings_of(kie_simulator.api_url, api_key=kie_simulator.api_key)

    async def run() -> list[float]:
        async with AsyncKieClient(settings) as client:
            return await asyncio.gather(*(client.send(credits.get_credits()) for _ in range(40)))

    assert asyncio.run(run()) == [100.0] * 40


@pytest.mark.parametrize(("size", "is_large"), [(0, False), (LARGE_ANSWER, True)])
async def test_a_large_answer_is_read_while_the_event_loop_goes_on(size: int, is_large: bool) -> None:
    """Whether it is a result or an error."""
    threads: list[threading.Thread] = []

    def parse(data: str) -> str:
        threads.append(threading.current_thread())
        if data.startswith("x"):
            return data
        raise KieResponseError("no x")

    call = Call("a call", "api", "GET", "/", parse)
    texts = iter(["x" * (size + 1), "y" * (size + 1)])
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"code": 200, "data": next(texts)}))
    async with AsyncKieClient(settings_of(), transport=transport) as client:
        assert await client.send_once(call) == "x" * (size + 1)
        with pytest.raises(KieResponseError, match="a call: no x"):
            await client.send_once(call)
    assert [thread is not threading.current_thread() for thread in threads] == [is_large] * 2


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
