"""The commands in a shell, and the routes that they ask."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from airflow_provider_kie.simulator import KieSimulator
from tests.unit.simulator.conftest import Run


def refused(run: Run, *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert isinstance(caught.value.code, str)
    return caught.value.code


def credit(kie: KieSimulator, web: httpx.Client) -> httpx.Response:
    return web.get(f"{kie.api_url}/api/v1/chat/credit")


def test_the_balance_is_shown_and_set(kie: KieSimulator, web: httpx.Client, run: Run) -> None:
    assert run("credits") == "100 credits\n"
    assert run("credits", "512.5") == "512.5 credits\n"
    assert credit(kie, web).json()["data"] == kie.credits == 512.5


def test_the_next_requests_are_made_to_fail(kie: KieSimulator, web: httpx.Client, run: Run) -> None:
    options = ("--code", "429", "--times", "2", "--retry-after", "7", "--msg", "slower, please")
    assert run("fail", "credit", *options) == "The next 2 requests of credit will go wrong.\n"
    assert run("fail", "credit", "--html", "--status", "503") == "The next request of credit will go wrong.\n"
    run("fail", "credit", "--body", '{"code":200,"ms')
    run("fail", "credit", "--drop-after", "-1")
    run("fail", "credit", "--delay", "0.01", "--chunk-delay", "0.01")
    for _ in range(2):
        answer = credit(kie, web)
        assert (answer.json()["code"], answer.json()["msg"]) == (429, "slower, please")
        assert answer.headers["retry-after"] == "7"
    answer = credit(kie, web)
    assert (answer.status_code, "<html>" in answer.text) == (503, True)
    assert credit(kie, web).text == '{"code":200,"ms'
    with pytest.raises(httpx.TransportError):
        credit(kie, web)
    assert credit(kie, web).json()["data"] == 100


def test_a_generated_file_is_added(kie: KieSimulator, plain: httpx.Client, run: Run, tmp_path: Path) -> None:
    data = hashlib.shake_128(b"seed").digest(3_000_000)
    (tmp_path / "local.bin").write_bytes(data)
    url = run("add", "a film ü.mp4", str(tmp_path / "local.bin")).removesuffix("\n")
    assert url.startswith(f"{kie.files_url}/")
    answer = plain.get(url)
    assert (answer.content, answer.headers["content-type"]) == (data, "video/mp4")


def test_what_was_asked_is_shown(kie: KieSimulator, web: httpx.Client, plain: httpx.Client, run: Run) -> None:
    assert run("requests") == "No requests yet.\n"
    url = kie.add_generated_file("ü.png", b"picture")
    link = web.post(f"{kie.api_url}/api/v1/common/download-url", json={"url": url}).json()["data"]
    plain.get(link)
    web.post(f"{kie.upload_url}/api/file-base64-upload", json={"base64Data": "a" * 5000})
    kie.fail_next("credit", drop_after=-1)
    with pytest.raises(httpx.TransportError):
        credit(kie, web)
    kie.fail_next("credit", code=429)
    credit(kie, web)
    lines = run("requests").splitlines()
    assert lines[0] == f'200  POST    /api/v1/common/download-url  {{"url": "{url}"}}'
    assert lines[1].startswith("200  GET     /signed/")
    assert lines[1].endswith("/ü.png")
    assert lines[2].startswith('400  POST    /api/file-base64-upload  {"base64Data": "aaa')
    assert (lines[2].endswith("aaa ..."), len(lines[2]) < 200) == (True, True)
    assert lines[3:] == ["  -  GET     /api/v1/chat/credit", "429  GET     /api/v1/chat/credit"]
    assert run("requests", "--call", "credit").splitlines() == lines[3:]
    assert len(kie.requests) == 5


def test_all_that_is_known_of_the_requests_is_json_without_the_key(
    kie: KieSimulator, web: httpx.Client, run: Run
) -> None:
    credit(kie, web)
    web.post(f"{kie.api_url}/api/v1/common/download-url", json={"url": "ü"})
    text = run("requests", "--json")
    first, second = (json.loads(line) for line in text.splitlines())
    assert (first["call"], first["status"], first["headers"]["user-agent"]) == ("credit", 200, "tests")
    assert second["json"] == {"url": "ü"}
    assert kie.api_key not in text


def test_the_url_may_be_given(kie: KieSimulator, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with KieSimulator(7) as other:
        assert run("credits", "--url", other.api_url + "/") == "7 credits\n"
        monkeypatch.delenv("AIRFLOW_CONN_KIE_DEFAULT")
        assert run("credits", "--url", other.api_url.replace("127.0.0.1", "localhost")) == "7 credits\n"
        gone = other.api_url
    message = refused(run, "credits", "--url", gone)
    assert f"No simulator answers on {gone}" in message
    assert "python -m airflow_provider_kie.simulator" in message


@pytest.mark.parametrize(
    ("connection", "message"),
    [
        (None, "Where does the simulator run? Give --url"),
        ("kie://:key@", "Where does the simulator run? Give --url"),
        ("[]", "Where does the simulator run? Give --url"),
        ('{"conn_type": "kie", "password": "a-key"}', "leads to https://api.kie.ai: that is no simulator"),
        ('{"host": "https://gateway.example"}', "leads to https://gateway.example: that is no simulator"),
    ],
)
def test_commands_go_nowhere_but_to_this_machine(
    run: Run, monkeypatch: pytest.MonkeyPatch, connection: str | None, message: str
) -> None:
    if connection is None:
        monkeypatch.delenv("AIRFLOW_CONN_KIE_DEFAULT")
    else:
        monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", connection)
    told = refused(run, "credits", "5")
    assert message in told
    assert "a-key" not in told
    assert "--url leads to" in refused(run, "credits", "--url", "http://192.0.2.1:8765")


def test_something_else_on_the_port_is_not_taken_for_a_simulator(kie: KieSimulator, run: Run) -> None:
    # Its upload host knows none of these routes, and its host of files answers with text.
    for url in (kie.upload_url, kie.files_url):
        assert "is no such simulator: HTTP 404" in refused(run, "credits", "--url", url)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fail", "credit"], "Say what goes wrong"),
        (["fail", "credit", "--code", "1", "--html"], "Only one of code, html and body"),
        (["fail", "credit", "--status", "99"], "status must be between 200 and 599"),
        (["fail", "credit", "--code", "1", "--times", "0"], "times must be 1 or more"),
        (["add", "a.bin", "/nothing/here"], "Cannot add /nothing/here: .*No such file"),
        (["add", "\udcff.bin", __file__], "Cannot add .*can't encode"),
    ],
)
def test_a_command_that_cannot_be_done_says_why(run: Run, arguments: list[str], message: str) -> None:
    assert re.search(message, refused(run, *arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fail", "credits", "--code", "1"], "invalid choice"),
        (["credits", "nan"], "finite"),
        (["credits", "many"], "invalid float value"),
        (["fail", "credit", "--msg", "\udcff"], "surrogates"),
        (["nothing"], "invalid choice"),
    ],
)
def test_wrong_arguments_are_told(
    run: Run, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(*arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Host": "rebound.example"}, 403),
        ({"Host": ""}, 403),
        ({"User-Agent": "", "Authorization": "Bearer wrong"}, 200),
    ],
)
def test_a_page_in_a_browser_cannot_steer_it(
    kie: KieSimulator, plain: httpx.Client, headers: dict[str, str], status: int
) -> None:
    answer = plain.put(f"{kie.api_url}/simulator/credits", json={"credits": 5}, headers=headers)
    assert answer.status_code == status
    assert kie.credits == (5 if status == 200 else 100)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "credits", '{"credits": "many"}', 400),
        ("PUT", "credits", '{"credits": NaN}', 400),
        ("PUT", "credits", "{", 400),
        ("POST", "faults?call=credit", '{"code": "x"}', 400),
        ("POST", "faults?call=nothing", '{"code": 1}', 400),
        ("PUT", "chat-models?name=a", '{"without": ["end"]}', 400),
        ("GET", "requests?call=nothing", "", 400),
        ("POST", "files", "bytes", 400),
        ("GET", "nothing", "", 404),
        ("DELETE", "credits", "", 405),
    ],
)
def test_the_routes_say_what_is_wrong(
    kie: KieSimulator, plain: httpx.Client, method: str, path: str, body: str, status: int
) -> None:
    url = f"{kie.api_url}/simulator/{path}"
    answer = plain.request(method, url, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, bool(answer.json()["error"])) == (status, True)
    assert (kie.credits, kie.requests) == (100, [])


def test_a_file_that_stops_coming_leaves_nothing(plain: httpx.Client) -> None:
    def half() -> object:
        yield b"abc"
        raise InterruptedError

    # One of its own: a request that an earlier test gave up may still be on its way to the common one.
    with KieSimulator() as kie:
        files = Path(kie._state.files._opened().name)
        with pytest.raises(InterruptedError):
            plain.post(f"{kie.api_url}/simulator/files", params={"name": "a"}, content=half())  # type: ignore[arg-type]
        # It takes the simulator a moment to notice.
        deadline = time.monotonic() + 5
        while any(files.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert list(files.iterdir()) == []


def test_a_command_in_a_shell(kie: KieSimulator) -> None:
    command = [sys.executable, "-W", "error", "-m", "airflow_provider_kie.simulator", "credits", "500"]
    environment = {
        **os.environ,
        "AIRFLOW_CONN_KIE_DEFAULT": kie.connection(),
        "HTTP_PROXY": "http://127.0.0.1:1",
    }
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "500 credits\n", "")
    assert kie.credits == 500
    wrong = subprocess.run([*command, "--url", "nothing"], capture_output=True, text=True, env=environment)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "--url leads to nothing" in wrong.stderr
