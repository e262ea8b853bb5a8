from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import random
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn

import airflow_provider_kie.simulator
from airflow_provider_kie.simulator import (
    KieSimulator,
    RecordedRequest,
    __main__,
    routes,
    serving,
    state,
    uploads,
)

AGENT = {"User-Agent": "tests"}


def free_ports() -> int:
    """Find a port that is free along with the two after it, below those that the system hands out itself."""
    while True:
        port = random.randrange(10_000, 30_000)
        with socket.socket() as first, socket.socket() as second, socket.socket() as third:
            try:
                for offset, one in enumerate((first, second, third)):
                    one.bind(("127.0.0.1", port + offset))
            except OSError:
                continue
            return port


def credit(kie: KieSimulator) -> httpx.Response:
    headers = {**AGENT, "Authorization": f"Bearer {kie.api_key}"}
    return httpx.get(f"{kie.api_url}/api/v1/chat/credit", headers=headers, trust_env=False, verify=False)


def test_the_three_hosts_have_urls_of_their_own_and_a_connection_that_names_them(kie: KieSimulator) -> None:
    urls = {kie.api_url, kie.upload_url, kie.files_url}
    assert len(urls) == 3
    for url in urls:
        assert (urlsplit(url).scheme, urlsplit(url).hostname, urlsplit(url).path) == ("http", "127.0.0.1", "")
    assert json.loads(kie.connection()) == {
        "conn_type": "kie",
        "password": kie.api_key,
        "host": kie.api_url,
        "extra": {"upload_base_url": kie.upload_url},
    }


def test_a_key_is_made_at_random_unless_given() -> None:
    assert KieSimulator().api_key != KieSimulator().api_key
    assert KieSimulator(api_key="mine").api_key == "mine"


def test_the_account_stands_in_the_path_of_uploads() -> None:
    with KieSimulator(account="42") as kie:
        answer = httpx.post(
            f"{kie.upload_url}/api/file-base64-upload",
            json={"base64Data": "aGk=", "uploadPath": "a", "fileName": "b"},
            headers={**AGENT, "Authorization": f"Bearer {kie.api_key}"},
            trust_env=False,
            verify=False,
        )
    assert answer.json()["data"]["filePath"] == "kieai/42/a/b"


def test_an_explicit_port_is_followed_by_the_others() -> None:
    port = free_ports()
    with KieSimulator(port=port) as kie:
        urls = [kie.api_url, kie.upload_url, kie.files_url]
        assert urls == [f"http://127.0.0.1:{port + offset}" for offset in range(3)]
        assert credit(kie).json()["data"] == 100


@pytest.mark.parametrize("offset", range(3))
def test_a_busy_port_is_named_and_the_others_are_given_back(offset: int) -> None:
    port = free_ports()
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", port + offset))
        busy.listen()
        kie = KieSimulator(port=port)
        with pytest.raises(OSError, match=f"port {port + offset}"):
            kie.start()
    with kie:
        assert credit(kie).status_code == 200


@pytest.mark.parametrize("port", [-1, 65534])
def test_a_port_without_room_for_the_others_is_refused(port: int) -> None:
    with pytest.raises(ValueError, match=str(port)):
        KieSimulator(port=port)


def test_start_and_stop_work_without_with_and_again() -> None:
    kie = KieSimulator(7)
    kie.start()
    with pytest.raises(RuntimeError, match="running already"):
        kie.start()
    assert credit(kie).json()["data"] == 7
    kie.stop()
    kie.stop()
    with pytest.raises(httpx.ConnectError):
        credit(kie)
    with kie:
        assert kie.uploads == {}
        assert credit(kie).json()["data"] == 7
    assert len(kie.requests) == 2


def test_nothing_can_be_asked_of_a_simulator_that_was_never_started() -> None:
    kie = KieSimulator()
    kie.stop()
    with pytest.raises(RuntimeError, match="before it is started"):
        kie.connection()


def test_stopping_removes_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with KieSimulator() as kie:
        kie.add_generated_file("a.bin", b"a")
        assert [path.read_bytes() for path in tmp_path.glob("*/*")] == [b"a"]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RuntimeError, match="not running"):
        kie.add_generated_file("a.bin", b"a")


def test_a_simulator_that_does_not_come_up_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def late(*_: object, **__: object) -> None:
        await asyncio.sleep(0.3)

    monkeypatch.setattr(uvicorn.Server, "startup", late)
    monkeypatch.setattr(serving, "START_SECONDS", 0.01)
    kie = KieSimulator()
    with pytest.raises(RuntimeError, match="did not come up"):
        kie.start()
    assert kie._serving is None


@pytest.mark.parametrize("balance", [float("nan"), float("inf")])
def test_a_balance_is_a_number_that_json_can_tell(kie: KieSimulator, balance: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        kie.credits = balance
    with pytest.raises(ValueError, match="finite"):
        KieSimulator(balance)
    assert credit(kie).json()["data"] == 100


def test_the_header_date_goes_with_the_time(kie: KieSimulator) -> None:
    first = credit(kie).headers["date"]
    deadline = time.monotonic() + 10
    while credit(kie).headers["date"] == first:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_only_the_latest_requests_and_bodies_are_remembered(
    web: httpx.Client, monkeypatch: pytest.MonkeyPatch, kie: KieSimulator
) -> None:
    monkeypatch.setattr(state, "MAX_REQUESTS", 4)
    monkeypatch.setattr(state, "MAX_BODIES", 100)
    for number in range(6):
        web.post(f"{kie.api_url}/api/v1/common/download-url", json={"url": str(number) * 30})
    bodies = [request.json for request in kie.requests]
    assert bodies == [None, None, {"url": "4" * 30}, {"url": "5" * 30}]
    web.post(f"{kie.api_url}/api/v1/common/download-url", json={"url": "6" * 200})
    assert [request.json for request in kie.requests] == [None] * 4
    web.post(f"{kie.api_url}/api/v1/common/download-url", json={"url": "7"})
    assert [request.json for request in kie.requests] == [None, None, None, {"url": "7"}]


def test_the_documented_bounds_are_the_real_ones() -> None:
    assert (state.MAX_REQUESTS, state.MAX_BODIES) == (20_000, 64_000_000)


def raiser(*_: object, **__: object) -> Any:
    raise LookupError("broken on purpose")


def test_a_route_that_breaks_says_so_in_kie_ais_words_and_is_noted(
    kie: KieSimulator,
    web: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = kie.uploads
    monkeypatch.setattr(routes, "api_success", raiser)
    monkeypatch.setattr(uploads, "recorded_shape", raiser)
    monkeypatch.setattr(routes, "serve", raiser)
    body = {"base64Data": "aGk=", "uploadPath": "broken", "fileName": "a"}
    origin = {"Origin": "https://example.com"}
    api = web.get(f"{kie.api_url}/api/v1/chat/credit")
    upload = web.post(f"{kie.upload_url}/api/file-base64-upload", json=body, headers=origin)
    file = web.get(kie.add_generated_file("a.png", b"a"))
    message = "Server exception, please try again later"
    assert (api.status_code, api.json()) == (500, {"code": 500, "msg": message, "data": None})
    expected = {"success": False, "code": 500, "msg": "Internal server error"}
    assert (upload.status_code, upload.json()) == (500, expected)
    assert upload.headers["access-control-allow-origin"] == "*"
    assert (file.status_code, file.text) == (500, message)
    assert [(request.status, request.error) for request in kie.requests] == [
        (500, "LookupError('broken on purpose')")
    ] * 3
    assert sum("broken on purpose" in str(record.exc_info) for record in caplog.records) == 3
    assert "uvicorn" not in {record.name.partition(".")[0] for record in caplog.records}
    monkeypatch.undo()
    assert set(kie.uploads) - set(before) <= {"kieai/1000001/broken/a"}
    assert credit(kie).status_code == 200


def wait_for_requests(kie: KieSimulator, number: int) -> None:
    deadline = time.monotonic() + 10
    while len(kie.requests) < number:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_stop_does_not_wait_for_slow_answers_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    errors: list[str] = []

    def fetch(url: str) -> None:
        try:
            httpx.get(url, headers=AGENT, timeout=60, trust_env=False, verify=False)
        except httpx.TransportError as error:
            errors.append(type(error).__name__)

    with KieSimulator() as kie:
        url = kie.add_generated_file("a.bin", bytes(10_000_000))
        kie.fail_next("file", chunk_delay=0.05)
        kie.fail_next("file", delay=60)
        kie.fail_next("file", delay=60, drop_after=-1)
        threads = [threading.Thread(target=fetch, args=(url,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        wait_for_requests(kie, 3)
        begin = time.monotonic()
    assert time.monotonic() - begin < 5
    for thread in threads:
        thread.join()
    assert len(errors) == 3
    assert capfd.readouterr().err == ""


def test_a_connection_that_arrives_while_it_stops_does_not_leak(recwarn: pytest.WarningsRecorder) -> None:
    warnings.simplefilter("always")
    for _ in range(10):
        with KieSimulator() as kie, ThreadPoolExecutor() as pool:
            opened = pool.submit(open_until_refused, kie.api_url)
            time.sleep(0.01)
            kie.stop()
        for client in opened.result():
            client.close()
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []


def open_until_refused(url: str) -> list[socket.socket]:
    opened: list[socket.socket] = []
    with contextlib.suppress(OSError):
        while len(opened) < 1000:
            opened.append(socket.create_connection(("127.0.0.1", urlsplit(url).port or 0)))
    return opened


def test_stop_does_not_wait_for_an_upload_that_never_ends(capfd: pytest.CaptureFixture[str]) -> None:
    with KieSimulator() as kie, socket.socket() as client:
        address = urlsplit(kie.upload_url)
        client.connect((address.hostname, address.port))
        head = (
            "POST /api/file-stream-upload HTTP/1.1\r\nHost: simulator\r\nUser-Agent: tests\r\n"
            f"Authorization: Bearer {kie.api_key}\r\nContent-Length: 1000\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        )
        client.sendall(head.encode())
        wait_for_requests(kie, 1)
        begin = time.monotonic()
        kie.stop()
        assert time.monotonic() - begin < 5
    assert capfd.readouterr().err == ""


def test_a_client_that_leaves_in_the_middle_of_an_upload_leaves_nothing(
    kie: KieSimulator, capfd: pytest.CaptureFixture[str]
) -> None:
    before = kie.uploads

    def half() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc'
        raise InterruptedError

    headers = {
        **AGENT,
        "Authorization": f"Bearer {kie.api_key}",
        "Content-Type": "multipart/form-data; boundary=x",
    }
    with pytest.raises(InterruptedError):
        httpx.post(
            f"{kie.upload_url}/api/file-stream-upload",
            content=half(),
            headers=headers,
            trust_env=False,
            verify=False,
        )
    assert credit(kie).status_code == 200
    assert kie.uploads == before
    assert [request.status for request in kie.requests] == [None, 200]
    assert capfd.readouterr().err == ""


def test_nonsense_on_the_wire_prints_nothing(kie: KieSimulator, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(kie.api_url).port or 0)) as client:
        client.sendall(b"nonsense\r\n\r\n")
        assert b"400" in client.recv(1000)
    assert capfd.readouterr().err == ""


def test_requests_are_recorded_in_order_with_all_there_is_to_know(
    kie: KieSimulator, web: httpx.Client
) -> None:
    url = kie.add_generated_file("ü.png", b"a")
    body = json.dumps({"url": url}).encode()
    web.post(
        f"{kie.api_url}/api/v1/common/download-url",
        content=body,
        headers={"X-One": "1", "Content-Type": "application/json"},
    )
    web.get(f"{url}?a=1&b=%20")
    first, second = kie.requests
    assert isinstance(first, RecordedRequest)
    assert (first.call, first.method, first.path) == ("download-url", "POST", "/api/v1/common/download-url")
    assert first.host == kie.api_url.removeprefix("http://")
    assert (first.headers["x-one"], first.headers["authorization"]) == ("1", f"Bearer {kie.api_key}")
    assert (first.status, first.json, first.bytes_in) == (200, {"url": url}, len(body))
    assert (second.call, second.query, second.json, second.bytes_in) == ("file", "a=1&b=%20", None, 0)
    assert second.path.endswith("/ü.png")
    assert kie.requests_to("file") == [second]
    assert kie.requests_to("credit") == []


def test_the_fixture_serves_the_default_connection(kie_simulator: KieSimulator) -> None:
    assert os.environ["AIRFLOW_CONN_KIE_DEFAULT"] == kie_simulator.connection()
    assert credit(kie_simulator).json()["data"] == 100


def test_an_unknown_name_is_no_attribute_of_the_package() -> None:
    with pytest.raises(AttributeError, match="Nothing"):
        _ = airflow_provider_kie.simulator.Nothing


def python(code: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_simulator_shares_nothing_with_airflow_and_the_client() -> None:
    loaded = python(
        "import airflow_provider_kie.simulator.server, airflow_provider_kie.simulator.__main__, sys\n"
        "print(*sys.modules)"
    ).split()
    roots = {name.partition(".")[0] for name in loaded}
    assert "airflow" not in roots
    ours = {name for name in loaded if name.startswith("airflow_provider_kie.")}
    assert all(name.startswith("airflow_provider_kie.simulator") for name in ours)


def test_the_plugin_costs_a_pytest_session_nothing() -> None:
    code = (
        "import sys, pytest\nbefore = set(sys.modules)\n"
        "import airflow_provider_kie.testing.pytest_plugin\nprint(*set(sys.modules) - before)"
    )
    assert set(python(code).split()) == {
        "airflow_provider_kie",
        "airflow_provider_kie.testing",
        "airflow_provider_kie.testing.pytest_plugin",
    }


def test_the_command_serves_until_it_is_told_to_end() -> None:
    port = free_ports()
    command = [sys.executable, "-W", "error", "-m", "airflow_provider_kie.simulator"]
    options = ["--port", str(port), "--credits", "12.5", "--api-key", "it's mine"]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline() for _ in range(3)]
        name, _, value = shlex.split(lines[2])[1].partition("=")
        connection = json.loads(value)
        headers = {**AGENT, "Authorization": f"Bearer {connection['password']}"}
        url = f"{connection['host']}/api/v1/chat/credit"
        answer = httpx.get(url, headers=headers, trust_env=False, verify=False)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stdout.read() + process.stderr.read() == ""
    assert [line[0] for line in lines[:2]] == ["#", "#"]
    assert name == "AIRFLOW_CONN_KIE_DEFAULT"
    assert (connection["host"], connection["password"]) == (f"http://127.0.0.1:{port}", "it's mine")
    assert answer.json()["data"] == 12.5


@pytest.fixture
def handlers() -> Iterator[None]:
    """Put the signal handlers back that the command replaces."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_what_a_shell_can_evaluate(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            os.kill(os.getpid(), number)
            return super().wait(10)

    monkeypatch.setattr(__main__, "threading", type("threading", (), {"Event": Interrupted}))
    __main__.main(["--credits", "3"])
    lines = capsys.readouterr().out.splitlines()
    assert "3 credits" in lines[0]
    assert lines[2].startswith("export AIRFLOW_CONN_KIE_DEFAULT='{")


@pytest.mark.usefixtures("handlers")
def test_the_command_names_a_busy_port(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(SystemExit, match="2"):
            __main__.main(["--port", str(port)])
    assert f"port {port}" in capsys.readouterr().err
