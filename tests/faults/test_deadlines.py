"""Answers that never end, answers that bring more than was asked for, and clients that are stopped."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kie.client.api import credits
from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import KieCancelledError, KieConnectionError, KieError
from airflow_provider_kie.client.http import requests as sending
from airflow_provider_kie.client.transfer.upload import UploadMethod
from airflow_provider_kie.hooks.kie import KieHook
from tests.fake_host import SILENCE, Answer, Part, Request, chunked, drip, http, tunnel_to

from .server import BIG, FILE, Server
from .trial import Ending, Trial

BALANCE = b'{"code":200,"msg":"success","data":%g}'
answer = partial(http, Connection=None)
CHUNKED_HEAD = answer(Content_Length=None, Transfer_Encoding="chunked")
GOOD = answer(BALANCE % 5916.25)
GOOD_IN_CHUNKS = CHUNKED_HEAD + chunked(BALANCE % 5916.25)
STRAY = answer(BALANCE % 13)
# Much longer than any of these may take.
FOR_EVER = drip(b"x" * 160)
INTERIM: list[Part] = [b"HTTP/1.1 100 Continue\r\n\r\n", 0.05]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n"
CHUNKS: list[Part] = [CHUNKED_HEAD, *drip(b"1\r\n \r\n" * 160, size=6)]
TIMEOUT = 0.5
RATE = 5_000_000
HELD_BY_KERNEL = 5_000_000


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "GRACE", 0.05)


def keeping(trial: Trial, script: Sequence[Answer], tls: ssl.SSLContext | None = None) -> Server:
    return trial.host(script, trusted=True, keep=True, tls=tls)


def slowly_read(answer: bytes) -> Answer:
    """Read what the client's kernel does not hold by itself at a rate, then answer."""

    def read(request: Request) -> bytes:
        while (missing := request.missing) > HELD_BY_KERNEL:
            request.receive(len(request.body) + 1)
            time.sleep((missing - request.missing) / RATE)
        request.receive()
        return answer

    return read


def ask(hook: KieHook) -> float:
    return hook.get_credits()


def aask(hook: KieHook) -> float:
    return asyncio.run(hook.aget_credits())


def ask_twice(hook: KieHook) -> list[float]:
    with hook.get_conn() as client:
        return [client.send(credits.get_credits()) for _ in range(2)]


ENDLESS: dict[str, list[Part]] = {
    "the status line drips": [b"HTTP/1.1 200 ", *FOR_EVER],
    "the headers drip": [b"HTTP/1.1 200 OK\r\nX-Pad: ", *FOR_EVER],
    "interim answers drip": INTERIM * 160,
    "the body drips": [HEAD + b"\r\n", *FOR_EVER],
    "the chunks drip": CHUNKS,
    "the trailer drips": [CHUNKED_HEAD + chunked(BALANCE % 1)[:-2] + b"X-Pad: ", *FOR_EVER],
    "a body without an end drips": [b"HTTP/1.1 200 OK\r\n\r\n", *FOR_EVER],
}


def judge_endless(trial: Trial, host: Server, way: Callable[[KieHook], float]) -> None:
    trial.connect(host.url, host.url, timeout=TIMEOUT, max_retries=0)
    _, error = trial.play(way)
    trial.judge_ending(error, KieConnectionError, within=4 * TIMEOUT)
    if "no complete answer came within" not in str(error):
        trial.lose("other ending than promised", str(error))
    trial.judge_requests(host, 1)
    trial.judge_secrets()
    trial.close()


@pytest.mark.parametrize("way", [ask, aask], ids=["plain", "async"])
@pytest.mark.parametrize("case", ENDLESS, ids=[case.replace(" ", "-") for case in ENDLESS])
def test_a_call_ends_though_each_byte_comes_in_time(
    case: str, way: Callable[[KieHook], float], trial: Trial
) -> None:
    judge_endless(trial, keeping(trial, [ENDLESS[case]]), way)


@pytest.mark.parametrize("tls", ["https"], indirect=True)
@pytest.mark.parametrize("way", [ask, aask], ids=["plain", "async"])
@pytest.mark.parametrize("case", ["the headers drip", "the body drips"])
def test_a_call_over_tls_ends_so_too(
    case: str, way: Callable[[KieHook], float], tls: Any, trial: Trial
) -> None:
    judge_endless(trial, keeping(trial, [ENDLESS[case]], tls), way)


def test_a_kept_connection_has_the_same_end(tls: Any, trial: Trial) -> None:
    host = keeping(trial, [[GOOD], [b"HTTP/1.1 200 OK\r\nX-Pad: ", *FOR_EVER], [GOOD]], tls)
    trial.connect(host.url, host.url, timeout=TIMEOUT, max_retries=1)
    result, error = trial.play(ask_twice)
    trial.judge_ending(error, None, within=3.0)
    if error is None and result != [5916.25, 5916.25]:
        trial.lose("wrong byte", repr(result))
    # The third request is not sent after what drips.
    if host.connections != 2:
        trial.lose("other ending than promised", f"{host.connections} connections")
    trial.judge_requests(host, 3)
    trial.close()


@pytest.mark.parametrize("way", [ask, aask], ids=["plain", "async"])
@pytest.mark.parametrize(
    "parts",
    [
        drip(GOOD, 0.005),
        [0.2, GOOD],
        drip(GOOD_IN_CHUNKS, 0.004),
        [b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.1, GOOD],
    ],
    ids=["dripping", "late", "chunks-dripping", "after-early-hints"],
)
def test_an_answer_that_is_slow_but_in_time_is_taken(
    parts: list[Part], way: Callable[[KieHook], float], tls: Any, trial: Trial
) -> None:
    host = keeping(trial, [parts], tls)
    trial.connect(host.url, host.url, timeout=2.0, max_retries=0)
    result, error = trial.play(way)
    trial.judge_ending(error, None)
    if error is None and result != 5916.25:
        trial.lose("wrong byte", repr(result))
    trial.close()


def upload(method: UploadMethod, path: Path) -> Callable[[KieHook], Any]:
    return lambda hook: hook.upload_file(path, "faults", method=method)


def stored(size: int) -> bytes:
    return answer(
        '{"code":200,"data":{"success":true,"fileName":"a.bin","filePath":"kieai/1/faults/a.bin","downloadUrl":'
        f'"https://files.example/a.bin","fileSize":{size},"mimeType":"application/octet-stream",'
        '"uploadedAt":"2026-04-16T07:19:10.400Z"}}'
    )


def test_a_file_has_all_the_time_it_takes_and_its_answer_has_not(
    tls: Any, trial: Trial, tmp_path: Path
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(BIG)
    drips: list[Part] = [b"HTTP/1.1 200 OK\r\nX-Pad: ", *FOR_EVER]
    host = keeping(trial, [slowly_read(stored(len(BIG))), drips], tls)
    trial.connect(host.url, host.url, timeout=1.0, max_retries=0)
    _, error = trial.play(upload("stream", path))
    trial.judge_ending(error, None)
    if trial.seconds < 1.2:
        trial.lose("other ending than promised", f"sent in {trial.seconds:.1f} s: too soon to show anything")
    _, error = trial.play(upload("stream", path))
    trial.judge_ending(error, KieConnectionError)
    trial.judge_requests(host, 2)
    trial.close()


@pytest.mark.parametrize(
    ("slow_line", "ends"), [(1_000_000_000, KieConnectionError), (4_000_000, None)], ids=["fast", "slow"]
)
def test_a_body_without_a_file_has_the_time_that_its_size_gives_it(
    slow_line: int, ends: Ending, tls: Any, trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SLOW_LINE", slow_line)
    path = tmp_path / "a.bin"
    path.write_bytes(BIG[:9_000_000])
    host = keeping(trial, [slowly_read(stored(9_000_000))], tls)
    trial.connect(host.url, host.url, timeout=1.0, max_retries=0)
    _, error = trial.play(upload("base64", path))
    trial.judge_ending(error, ends)
    trial.judge_requests(host, 1, or_fewer=True)
    trial.close()


def download(hook: KieHook, trial: Trial, host: Server) -> Any:
    return hook.download_file(f"{host.url}/a.bin", trial.target, sign="never")


@pytest.mark.parametrize(
    "parts",
    [
        [b"HTTP/1.1 200 OK\r\nX-Pad: ", *FOR_EVER],
        [b"HTTP/1.1 302 Found\r\nLocation: /b\r\nX-Pad: ", *FOR_EVER],
    ],
    ids=["of-the-file", "of-a-redirect"],
)
def test_the_head_of_a_file_has_an_end_too(parts: list[Part], tls: Any, trial: Trial) -> None:
    host = keeping(trial, [parts], tls)
    trial.connect(host.url, host.url, timeout=TIMEOUT, max_retries=0)
    result, error = trial.play(lambda hook: download(hook, trial, host))
    trial.judge_ending(error, KieConnectionError, within=3.0)
    trial.judge_file(result, FILE)
    trial.judge_leftovers()
    trial.close()


def test_the_bytes_of_a_file_have_all_the_time_they_take(tls: Any, trial: Trial) -> None:
    pieces = [part for start in range(0, len(FILE), 20_000) for part in (FILE[start : start + 20_000], 0.08)]
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(FILE)}\r\n\r\n".encode()
    host = keeping(trial, [[GOOD], [head, *pieces]], tls)
    trial.connect(host.url, host.url, timeout=TIMEOUT, max_retries=0)
    # On the connection that a call has used.
    with KieHook().get_conn() as client:
        client.send(credits.get_credits())
        with client.open_file(f"{host.url}/a.bin") as response:
            received = b"".join(response.pieces(len(FILE)))
    if received != FILE or host.connections != 1:
        trial.lose("wrong byte", f"{len(received)} bytes over {host.connections} connections")
    trial.close()


SURPLUS: dict[str, tuple[list[Part], int]] = {
    "a second answer in the same segment": ([GOOD + STRAY], 2),
    "a second answer in chunks": (
        [GOOD_IN_CHUNKS + CHUNKED_HEAD + chunked(BALANCE % 13)],
        2,
    ),
    "a second answer a little later": ([GOOD, 0.02, STRAY], 2),
    "half a second answer": ([GOOD + STRAY[:-5]], 2),
    "the beginning of a head": ([GOOD + b"HTTP/1.1 200 OK\r\nX-Pad: "], 2),
    "an empty line": ([GOOD + b"\r\n"], 2),
    "a body longer than announced": ([answer(BALANCE % 5916.25).replace(b"}", b"}" + b" " * 99)], 2),
    "an answer in two segments and a second one": ([GOOD[:50], 0.02, GOOD[50:] + STRAY], 2),
    "nothing": ([GOOD], 1),
    "nothing, in chunks": ([GOOD_IN_CHUNKS], 1),
    "nothing, byte by byte": (drip(GOOD, 0.001), 1),
    "nothing, after early hints": ([b"HTTP/1.1 103 Early Hints\r\n\r\n" + GOOD], 1),
}


@pytest.mark.parametrize("case", SURPLUS, ids=[case.replace(" ", "-") for case in SURPLUS])
def test_what_comes_with_an_answer_is_not_the_next_one(case: str, tls: Any, trial: Trial) -> None:
    parts, connections = SURPLUS[case]
    host = keeping(trial, [parts, [GOOD]], tls)
    trial.connect(host.url, host.url, max_retries=0)

    def ask_twice_slowly(hook: KieHook) -> list[float]:
        with hook.get_conn() as client:
            first = client.send(credits.get_credits())
            time.sleep(0.1)
            return [first, client.send(credits.get_credits())]

    result, error = trial.play(ask_twice_slowly)
    trial.judge_ending(error, None)
    if error is None and result != [5916.25, 5916.25]:
        trial.lose("wrong byte", repr(result))
    if host.connections != connections:
        trial.lose("other ending than promised", f"{host.connections} connections, not {connections}")
    trial.close()


def test_what_comes_with_a_file_is_not_the_next_one(tls: Any, trial: Trial) -> None:
    file = answer(FILE, ETag='"v1"')
    host = keeping(trial, [[file + answer(b"another file")], [file]], tls)
    trial.connect(host.url, host.url, max_retries=0)
    results, error = trial.play(
        lambda hook: hook.download_files(
            [f"{host.url}/a.bin", f"{host.url}/b.bin"], trial.folder, sign="never", max_concurrency=1
        )
    )
    trial.judge_ending(error, None)
    for result in results or []:
        if Path(result.path).read_bytes() != FILE:
            trial.lose("wrong byte", f"{result.size} bytes of another file")
    trial.judge_requests(host, 2)
    trial.close()


# Stopping.


def stopped_while(
    client: KieClient, work: Callable[[], Any], is_time: Callable[[], bool]
) -> Exception | None:
    """Stop a client while another thread works with it; give that thread's error."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        deadline = time.monotonic() + 5
        while not is_time() and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.02)
        client.stop()
        began = time.monotonic()
        error = future.exception(timeout=20)
        assert time.monotonic() - began < 2
    assert error is None or isinstance(error, Exception)
    return error


def judge_stopped(trial: Trial, error: Exception | None, caplog: pytest.LogCaptureFixture) -> None:
    trial.judge_ending(error, KieCancelledError)
    if "retry" in caplog.text:
        trial.lose("other ending than promised", "a retry was told of")


@pytest.mark.parametrize(
    "parts",
    [[], [HEAD + b"\r\n"], [HEAD + b"\r\n", *FOR_EVER], [HEAD, *FOR_EVER]],
    ids=["before-the-answer", "within-the-body", "while-the-body-drips", "while-the-head-drips"],
)
@pytest.mark.parametrize("what", ["call", "file"])
def test_what_a_stopped_client_does_is_cancelled(
    what: str, parts: list[Part], tls: Any, trial: Trial, caplog: pytest.LogCaptureFixture
) -> None:
    host = keeping(trial, [[*parts, SILENCE]] * 9, tls)
    trial.connect(host.url, host.url, timeout=5.0, max_retries=4)
    with KieHook().get_conn() as client:

        def work() -> None:
            if what == "call":
                client.send(credits.get_credits())
            else:
                with client.open_file(f"{host.url}/a.bin") as response:
                    list(response.pieces(None))

        error = stopped_while(client, work, lambda: bool(host.requests))
        judge_stopped(trial, error, caplog)
        trial.judge_requests(host, 1)
        # Nothing begins afterwards.
        for begin in (work, lambda: client.send_once(credits.get_credits())):
            with pytest.raises(KieCancelledError):
                begin()
    trial.judge_requests(host, 1)
    trial.close()


def test_a_client_is_stopped_through_a_proxy_too(
    trial: Trial,
    trusted_tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    host = keeping(trial, [[SILENCE]] * 9, trusted_tls)
    monkeypatch.setenv("HTTPS_PROXY", trial.host([tunnel_to(host.port)] * 9).url)
    trial.connect("https://kie.example", "https://kie.example", timeout=5.0)
    with KieHook().get_conn() as client:
        error = stopped_while(client, lambda: client.send(credits.get_credits()), lambda: bool(host.requests))
    judge_stopped(trial, error, caplog)
    trial.close()


def test_a_client_is_stopped_while_it_waits_for_a_retry(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_kie.client.retries._backoff", lambda state: 30.0)
    host = keeping(trial, [[answer('{"code":500,"msg":"later"}')]] * 9)
    trial.connect(host.url, host.url)
    with KieHook().get_conn() as client:
        error = stopped_while(client, lambda: client.send(credits.get_credits()), lambda: bool(host.requests))
    trial.judge_ending(error, KieCancelledError)
    trial.judge_requests(host, 1)
    trial.close()


def test_a_client_can_be_stopped_while_threads_connect(trial: Trial) -> None:
    """The set of connections changes all the time; none of them outlives the stop."""
    rounds, threads = 10, 8
    host = keeping(trial, [[http(BALANCE % 1)]] * 100_000)
    trial.connect(host.url, host.url, timeout=5.0, max_retries=0)
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    for _ in range(rounds):
        with KieHook().get_conn() as client, ThreadPoolExecutor(threads) as pool:

            def work(client: KieClient = client) -> None:
                while True:
                    client.send(credits.get_credits())

            futures = [pool.submit(work) for _ in range(threads)]
            time.sleep(0.02)
            client.stop()
            for future in futures:
                error = future.exception(timeout=5)
                if not isinstance(error, KieCancelledError):
                    trial.lose("other ending than promised", repr(error))
    trial.close(rounds=rounds)


def test_a_connection_that_comes_about_after_the_stop_sends_nothing(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = keeping(trial, [[GOOD]] * 9)
    trial.connect(host.url, host.url, timeout=5.0)
    arrived, go_on = threading.Event(), threading.Event()
    with KieHook().get_conn() as client:
        trace = client._session._connections.trace

        def late(event: str, info: dict[str, Any]) -> None:
            if event == "connection.connect_tcp.complete":
                arrived.set()
                go_on.wait(5)
            trace(event, info)

        monkeypatch.setattr(client._session._connections, "trace", late)
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(client.send, credits.get_credits())
            arrived.wait(5)
            client.stop()
            go_on.set()
            error = future.exception(timeout=5)
    assert isinstance(error, KieError)
    trial.judge_ending(error, KieCancelledError)
    trial.judge_requests(host, 0)
    trial.close()
