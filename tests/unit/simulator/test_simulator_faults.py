from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_kie.simulator import KieSimulator, SimulatedJob
from airflow_provider_kie.simulator.jobs import Model

CALLS = [
    *("credit", "download-url", "createTask", "recordInfo", "chat"),
    *("file-stream-upload", "file-url-upload", "file-base64-upload", "file"),
]
CONTENT = bytes(range(256)) * 256
Ask = Callable[[str], httpx.Response]


@pytest.fixture
def ask(kie: KieSimulator, web: httpx.Client) -> Ask:
    """Make a good request of any call, with a body of some size where there is one."""
    url = kie.add_generated_file("a.bin", CONTENT)
    upload = {"uploadPath": "faults", "fileName": "a.bin"}
    job = SimulatedJob("a-job", "market", "a/model", {}, None, 0.0, time.time())
    kie._state.ledger.accept(job, Model(), lambda: ())
    json: dict[str, dict[str, Any]] = {
        "download-url": {"url": url},
        "createTask": {"model": "a/model", "input": {"prompt": "a fox"}},
        "chat": {"messages": [{"role": "user", "content": "a fox"}]},
        "file-url-upload": {"fileUrl": url, **upload},
        "file-base64-upload": {"base64Data": "aaaa" * 100_000, **upload},
    }

    def send(call: str) -> httpx.Response:
        if call == "credit":
            return web.get(f"{kie.api_url}/api/v1/chat/credit")
        if call == "file":
            return web.get(url)
        if call == "download-url":
            return web.post(f"{kie.api_url}/api/v1/common/download-url", json=json[call])
        if call == "createTask":
            return web.post(f"{kie.api_url}/api/v1/jobs/{call}", json=json[call])
        if call == "chat":
            return web.post(f"{kie.api_url}/a-model/v1/chat/completions", json=json[call])
        if call == "recordInfo":
            return web.get(f"{kie.api_url}/api/v1/jobs/{call}", params={"taskId": "a-job"})
        if call == "file-stream-upload":
            big = {"file": ("a.bin", bytes(3_000_000))}
            return web.post(f"{kie.upload_url}/api/{call}", data=upload, files=big)
        return web.post(f"{kie.upload_url}/api/{call}", json=json[call])

    return send


@pytest.mark.parametrize("call", CALLS)
def test_a_code_is_told_in_the_body_of_http_200_and_only_once(kie: KieSimulator, ask: Ask, call: str) -> None:
    kie.fail_next(call, code=455, msg="later")
    answer = ask(call)
    assert (answer.status_code, answer.json()["code"], answer.json()["msg"]) == (200, 455, "later")
    assert answer.json().get("success", "none") == (False if "upload" in call else "none")
    assert ("data" in answer.json()) == ("upload" not in call)
    assert ask(call).status_code == 200
    assert [request.status for request in kie.requests_to(call)] == [200, 200]
    assert [request.code for request in kie.requests_to(call)] == [
        455,
        None if call in ("file", "chat") else 200,
    ]


@pytest.mark.parametrize(
    ("call", "code", "msg"),
    [
        ("credit", 429, "Your call frequency is too high. Please try again later."),
        ("credit", 500, "Server exception, please try again later"),
        ("credit", 402, "Insufficient credits. Please recharge your account."),
        ("credit", 599, "Error 599"),
        ("download-url", 422, "url is wrong"),
        ("file-url-upload", 500, "Internal server error"),
        ("file-url-upload", 401, "Authentication failed: Invalid API Key"),
        ("file-url-upload", 404, "Not Found"),
        ("file-url-upload", 599, "Error 599"),
    ],
)
def test_a_code_has_the_message_that_kie_ai_gives_for_it(
    kie: KieSimulator, ask: Ask, call: str, code: int, msg: str
) -> None:
    kie.fail_next(call, code=code)
    assert ask(call).json()["msg"] == msg


def test_a_code_can_come_with_an_http_status(kie: KieSimulator, ask: Ask) -> None:
    kie.fail_next("credit", code=429, status=503)
    answer = ask("credit")
    assert (answer.status_code, answer.json()["code"]) == (503, 429)


def test_success_can_come_without_the_data(kie: KieSimulator, ask: Ask) -> None:
    kie.fail_next("credit", code=200)
    assert ask("credit").json() == {"code": 200, "msg": "success", "data": None}
    kie.fail_next("file-url-upload", code=200)
    body = {"success": True, "code": 200, "msg": "File uploaded successfully", "data": None}
    assert ask("file-url-upload").json() == body


@pytest.mark.parametrize(("value", "header"), [(3, "3"), (0.5, "0.5"), ("soon", "soon")])
def test_retry_after_is_a_header(kie: KieSimulator, ask: Ask, value: float | str, header: str) -> None:
    kie.fail_next("credit", code=429, retry_after=value)
    assert ask("credit").headers["retry-after"] == header


@pytest.mark.parametrize("call", CALLS)
def test_a_status_alone_is_an_http_error(kie: KieSimulator, ask: Ask, call: str) -> None:
    kie.fail_next(call, status=503)
    answer = ask(call)
    assert answer.status_code == 503
    if call == "file":
        assert (answer.text, answer.headers["content-type"]) == ("Error 503", "text/plain; charset=utf-8")
    else:
        assert answer.json()["code"] == 503


@pytest.mark.parametrize(("status", "expected"), [(None, 502), (504, 504)])
@pytest.mark.parametrize("call", CALLS)
def test_html_is_the_page_of_a_gateway(
    kie: KieSimulator, ask: Ask, call: str, status: int | None, expected: int
) -> None:
    kie.fail_next(call, html=True, status=status)
    answer = ask(call)
    assert (answer.status_code, answer.headers["content-type"]) == (expected, "text/html; charset=utf-8")
    assert answer.text.startswith("<!DOCTYPE html>")
    assert str(expected) in answer.text


@pytest.mark.parametrize("body", ['{"code":200,"ms', b'{"code":200,"ms'])
def test_a_body_is_sent_as_it_is(kie: KieSimulator, ask: Ask, body: bytes | str) -> None:
    kie.fail_next("credit", body=body)
    kie.fail_next("credit", body=body, status=500)
    first, second = ask("credit"), ask("credit")
    assert first.text == second.text == '{"code":200,"ms'
    assert (first.status_code, second.status_code) == (200, 500)
    assert first.headers["content-type"] == "application/json"


def test_headers_replace_and_remove_those_of_the_right_answer(kie: KieSimulator, ask: Ask) -> None:
    kie.fail_next("file", headers={"Content-Type": "text/plain", "X-New": "1", "Content-Length": None})
    answer = ask("file")
    assert answer.content == CONTENT
    assert (answer.headers["content-type"], answer.headers["x-new"]) == ("text/plain", "1")
    assert "content-length" not in answer.headers
    kie.fail_next("credit", headers={"content-type": None})
    answer = ask("credit")
    assert ("content-type" in answer.headers, answer.json()["data"]) == (False, 100)


def test_headers_come_with_another_fault_too(kie: KieSimulator, ask: Ask) -> None:
    kie.fail_next("credit", status=500, headers={"CF-Ray": "1"})
    assert ask("credit").headers["cf-ray"] == "1"


def test_a_delay_makes_the_right_answer_late(kie: KieSimulator, ask: Ask) -> None:
    kie.fail_next("credit", delay=0.3)
    begin = time.monotonic()
    assert ask("credit").json()["data"] == 100
    assert time.monotonic() - begin >= 0.29


def test_a_client_that_does_not_wait_is_recorded_without_a_status(
    kie: KieSimulator, web: httpx.Client
) -> None:
    kie.fail_next("credit", delay=0.5)
    with pytest.raises(httpx.ReadTimeout):
        web.get(f"{kie.api_url}/api/v1/chat/credit", timeout=0.1)
    assert [(request.call, request.status) for request in kie.requests] == [("credit", None)]


@pytest.mark.parametrize("after", [0, 1, 20_000, len(CONTENT) - 1])
def test_a_download_can_be_cut_after_some_bytes(
    kie: KieSimulator, ask: Ask, web: httpx.Client, after: int
) -> None:
    kie.fail_next("file", drop_after=after)
    url = kie.add_generated_file("a.bin", CONTENT)
    received = bytearray()

    def read(pieces: Iterator[bytes]) -> None:
        for piece in pieces:
            received.extend(piece)

    with web.stream("GET", url) as answer:
        assert answer.headers["content-length"] == str(len(CONTENT))
        with pytest.raises(httpx.RemoteProtocolError):
            read(answer.iter_raw())
    assert received == CONTENT[:after]
    assert ask("file").content == CONTENT


@pytest.mark.parametrize("call", [call for call in CALLS if call != "file"])
def test_an_answer_can_be_lost_after_the_work_is_done(kie: KieSimulator, ask: Ask, call: str) -> None:
    kie.expire_uploads()
    kie.fail_next(call, drop_after=5)
    with pytest.raises(httpx.RemoteProtocolError):
        ask(call)
    assert len(kie.uploads) == ("upload" in call)
    assert kie.requests_to(call)[0].status == 200


def test_nothing_is_cut_from_a_shorter_answer(kie: KieSimulator, ask: Ask) -> None:
    kie.fail_next("credit", drop_after=10_000)
    assert ask("credit").json()["data"] == 100


@pytest.mark.parametrize("call", CALLS)
def test_a_connection_can_be_dropped_without_an_answer_and_nothing_done(
    kie: KieSimulator, ask: Ask, call: str
) -> None:
    kie.expire_uploads()
    kie.fail_next(call, drop_after=-1)
    with pytest.raises(httpx.TransportError):
        ask(call)
    assert kie.uploads == {}
    assert [request.status for request in kie.requests_to(call)] == [None]
    assert ask(call).status_code == 200


def test_a_connection_is_dropped_whatever_address_its_client_claims(
    kie: KieSimulator, web: httpx.Client
) -> None:
    kie.fail_next("credit", drop_after=-1)
    with pytest.raises((httpx.RemoteProtocolError, httpx.NetworkError)):
        web.get(f"{kie.api_url}/api/v1/chat/credit", headers={"X-Forwarded-For": "192.0.2.1"}, timeout=3)


def test_dropping_a_connection_spares_the_others(kie: KieSimulator, ask: Ask, plain: httpx.Client) -> None:
    url = kie.add_generated_file("a.bin", CONTENT)
    kie.fail_next("file", chunk_delay=0.05)
    with plain.stream("GET", url) as slow:
        kie.fail_next("credit", drop_after=-1)
        with pytest.raises(httpx.TransportError):
            ask("credit")
        assert slow.read() == CONTENT


def test_a_chunk_delay_makes_the_body_slow(kie: KieSimulator, ask: Ask) -> None:
    kie.fail_next("file", chunk_delay=0.1)
    begin = time.monotonic()
    assert ask("file").content == CONTENT
    assert time.monotonic() - begin >= 0.29


def test_a_slow_body_can_be_cut_too(kie: KieSimulator, ask: Ask) -> None:
    kie.fail_next("file", chunk_delay=0.01, drop_after=40_000)
    with pytest.raises(httpx.RemoteProtocolError):
        ask("file")


def test_a_wrong_answer_can_be_cut_too(kie: KieSimulator, ask: Ask) -> None:
    kie.fail_next("credit", html=True, drop_after=30)
    with pytest.raises(httpx.RemoteProtocolError):
        ask("credit")


def test_a_large_file_is_cut_in_the_middle_of_its_pieces(kie: KieSimulator, web: httpx.Client) -> None:
    url = kie.add_generated_file("a.bin", CONTENT * 50)
    kie.fail_next("file", drop_after=1_000_000)
    with web.stream("GET", url) as answer, pytest.raises(httpx.RemoteProtocolError):
        assert len(answer.read()) < 1_000_000


def test_faults_come_in_order_times_and_per_call(kie: KieSimulator, ask: Ask) -> None:
    kie.fail_next("credit", code=500, times=2)
    kie.fail_next("credit", code=429)
    kie.fail_next("download-url", code=455)
    assert [ask("credit").json()["code"] for _ in range(4)] == [500, 500, 429, 200]
    assert [ask("download-url").json()["code"] for _ in range(2)] == [455, 200]


def test_each_of_many_requests_at_once_takes_one_fault(kie: KieSimulator, ask: Ask) -> None:
    kie.fail_next("credit", code=500, times=5)
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(ask("credit").json()["code"])) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200] * 5 + [500] * 5


def test_faults_apply_to_signed_links_and_uploaded_files(
    kie: KieSimulator, ask: Ask, plain: httpx.Client
) -> None:
    link = ask("download-url").json()["data"]
    uploaded = ask("file-base64-upload").json()["data"]["downloadUrl"]
    kie.fail_next("file", status=500, times=2)
    assert [plain.get(link).status_code, plain.get(uploaded).status_code] == [500, 500]
    assert [plain.get(link).status_code, plain.get(uploaded).status_code] == [200, 200]


def test_reset_forgets_faults_and_requests(kie: KieSimulator, ask: Ask) -> None:
    ask("credit")
    kie.fail_next("credit", code=500)
    kie.reset()
    assert kie.requests == []
    assert ask("credit").json()["code"] == 200


def test_a_request_under_way_survives_a_reset(kie: KieSimulator, ask: Ask) -> None:
    kie.fail_next("credit", delay=0.5)
    thread = threading.Thread(target=ask, args=("credit",))
    thread.start()
    while not kie.requests:
        time.sleep(0.01)
    kie.reset()
    thread.join()
    assert kie.requests == []


def test_an_unknown_call_is_refused_with_the_names(kie: KieSimulator) -> None:
    with pytest.raises(ValueError, match=", ".join(CALLS)):
        kie.fail_next("credits", code=500)
    with pytest.raises(ValueError, match=", ".join(CALLS)):
        kie.requests_to("credits")


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"code": 1, "html": True},
        {"html": True, "body": b""},
        {"drop_after": -2},
        {"code": 1, "times": 0},
        {"status": 99},
        {"status": 101},
        {"status": 600},
        {"delay": -1.0},
        {"delay": float("nan")},
        {"chunk_delay": float("inf")},
        {"retry_after": "\N{EURO SIGN}"},
        {"code": 1, "headers": {"no name": "x"}},
        {"code": 1, "headers": {"": "x"}},
        {"code": 1, "headers": {"X-Two": "lines\r\nX-Lines: two"}},
        {"code": 1, "headers": {"X-Space": " x"}},
        {"code": 1, "msg": "\ud800"},
        {"body": "\udfff"},
    ],
    ids=str,
)
def test_a_fault_that_makes_no_sense_is_refused(kie: KieSimulator, fault: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        kie.fail_next("credit", **fault)


@pytest.mark.parametrize("status", [204, 205, 304])
@pytest.mark.parametrize("call", CALLS)
def test_a_status_without_a_body_comes_without_a_body(
    kie: KieSimulator, ask: Ask, call: str, status: int
) -> None:
    kie.fail_next(call, status=status)
    answer = ask(call)
    assert (answer.status_code, answer.content) == (status, b"")
    assert ask(call).status_code == 200


def test_a_fault_that_http_cannot_carry_is_noted_and_closes_the_connection(
    kie: KieSimulator, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    kie.fail_next("credit", headers={"Content-Length": "1000"})
    with pytest.raises(httpx.RemoteProtocolError):
        ask("credit")
    assert ask("credit").status_code == 200
    assert "Content-Length" in str(kie.requests[0].error)
    assert kie.requests[1].error is None
    assert [record.getMessage() for record in caplog.records if record.exc_info] == [
        "The simulator broke on GET /api/v1/chat/credit"
    ]
