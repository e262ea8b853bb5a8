"""What the simulator posts to the URL of whoever submitted a job."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_kie.simulator import Callback, KieSimulator, callbacks
from tests.fake_host import FakeHost

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.fixture
def receiver() -> Iterator[FakeHost]:
    with FakeHost([OK] * 10) as host:
        yield host


def submitted(kie: KieSimulator, web: httpx.Client, url: str, path: str = "jobs/createTask") -> str:
    body = {"model": "a/model", "input": {"prompt": "a fox"}, "callBackUrl": url}
    return str(web.post(f"{kie.api_url}/api/v1/{path}", json=body).json()["data"]["taskId"])


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def bodies(receiver: FakeHost) -> list[Any]:
    return [json.loads(bytes(request.body)) for request in receiver.requests]


def test_the_end_of_a_job_is_posted(kie: KieSimulator, web: httpx.Client, receiver: FakeHost) -> None:
    kie.add_model("a/model", seconds=60)
    job_id = submitted(kie, web, f"{receiver.url}/hook")
    time.sleep(0.2)
    assert (kie.callbacks, receiver.requests) == ([], [])
    kie.finish_jobs()
    until(lambda: kie.callbacks)
    (request,) = receiver.requests
    assert request.line == "POST /hook HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert "x-webhook-signature" not in request.headers
    (body,) = bodies(receiver)
    assert (body["code"], body["data"]["taskId"], body["data"]["state"]) == (200, job_id, "success")
    assert json.loads(body["data"]["resultJson"]) == {"resultUrls": list(kie.jobs[0].urls)}
    assert kie.callbacks == [Callback(f"{receiver.url}/hook", body, {}, 200)]


def test_a_failure_is_posted(kie: KieSimulator, web: httpx.Client, receiver: FakeHost) -> None:
    kie.add_model("a/model", seconds=0, fail=(422, "a dead URL"))
    job_id = submitted(kie, web, receiver.url)
    until(lambda: kie.callbacks)
    (body,) = bodies(receiver)
    assert (body["code"], body["msg"], body["data"]["taskId"]) == (501, "a dead URL", job_id)


def test_it_is_signed_by_the_documented_formula(
    kie: KieSimulator, web: httpx.Client, receiver: FakeHost
) -> None:
    kie.add_model("a/model", seconds=0)
    kie.webhook_key = "a-webhook-key"
    job_id = submitted(kie, web, receiver.url)
    until(lambda: kie.callbacks)
    headers = receiver.requests[0].headers
    stamp = headers["x-webhook-timestamp"]
    assert abs(int(stamp) - time.time()) < 60
    digest = hmac.new(b"a-webhook-key", f"{job_id}.{stamp}".encode(), hashlib.sha256).digest()
    assert headers["x-webhook-signature"] == base64.b64encode(digest).decode()
    kie.reset()
    assert (kie.webhook_key is None, kie.callbacks) == (True, [])


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("runway/generate", ("data", "task_id")),
        ("aleph/generate", ("taskId",)),
        ("generate", ("data", "task_id")),
        ("lyrics", ("data", "task_id")),
        ("midi/generate", ("task_id",)),
        ("suno/cover/generate", ("data", "taskId")),
        ("veo/generate", ("data", "taskId")),
        ("gpt4o-image/generate", ("data", "taskId")),
        ("flux/kontext/generate", ("data", "taskId")),
    ],
)
@pytest.mark.parametrize("fail", [None, 500])
def test_each_family_has_the_id_where_its_documents_say(
    kie: KieSimulator,
    web: httpx.Client,
    receiver: FakeHost,
    path: str,
    where: tuple[str, ...],
    fail: int | None,
) -> None:
    for api in ("runway", "aleph", "suno", "suno-lyrics", "suno-midi", "suno-cover", "veo", "4o-image"):
        kie.add_model(api, seconds=0, fail=fail)
    kie.add_model("flux-kontext", seconds=0, fail=fail)
    job_id = submitted(kie, web, receiver.url, path)
    until(lambda: len(kie.callbacks) == (3 if path == "generate" and not fail else 1))
    body = bodies(receiver)[-1]
    assert body["code"] == (501 if fail else 200)
    assert (body["data"] is None) == (fail is not None and len(where) == 1)
    for key in where:
        body = body[key]
    assert body == job_id


def test_suno_posts_text_then_the_first_song_then_the_end(
    kie: KieSimulator, web: httpx.Client, receiver: FakeHost
) -> None:
    kie.add_model("suno", seconds=0.5)
    submitted(kie, web, receiver.url, "generate")
    until(lambda: len(kie.callbacks) == 2)
    assert kie.jobs[0].state == "running"
    until(lambda: len(kie.callbacks) == 3)
    assert [body["data"]["callbackType"] for body in bodies(receiver)] == ["text", "first", "complete"]
    kie.add_model("suno", seconds=0, fail=500)
    submitted(kie, web, receiver.url, "generate")
    until(lambda: len(kie.callbacks) == 4)
    assert bodies(receiver)[-1]["data"]["callbackType"] == "error"


def test_it_is_tried_four_times_until_somebody_takes_it(
    kie: KieSimulator, web: httpx.Client, receiver: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "PAUSE_SECONDS", 0.01)
    receiver.script = [BUSY, b"", OK]
    kie.add_model("a/model", seconds=0)
    submitted(kie, web, receiver.url)
    until(lambda: len(kie.callbacks) == 3)
    assert [callback.status for callback in kie.callbacks] == [503, None, 200]
    receiver.script = [BUSY] * 10
    submitted(kie, web, receiver.url)
    until(lambda: len(kie.callbacks) == 7)
    time.sleep(0.2)
    assert [callback.status for callback in kie.callbacks[3:]] == [503] * 4


def test_a_receiver_that_does_not_answer_in_time_gets_it_again(
    kie: KieSimulator, web: httpx.Client, receiver: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(callbacks, "ANSWER_SECONDS", 1.0)
    receiver.script = [[5.0, OK], OK]
    kie.add_model("a/model", seconds=0)
    submitted(kie, web, receiver.url)
    until(lambda: len(kie.callbacks) == 2)
    assert [callback.status for callback in kie.callbacks] == [None, 200]


def test_https_on_this_machine_needs_no_known_certificate(
    kie: KieSimulator, web: httpx.Client, server_tls: ssl.SSLContext
) -> None:
    kie.add_model("a/model", seconds=0)
    with FakeHost([OK], tls=server_tls) as receiver:
        submitted(kie, web, receiver.url.replace("127.0.0.1", "localhost"))
        until(lambda: kie.callbacks)
    assert kie.callbacks[0].status == 200


@pytest.mark.parametrize(
    "url", ["https://example.com/hook", "http://192.0.2.1/", "ftp://127.0.0.1/", "nonsense", "http://["]
)
def test_no_other_machine_is_called(kie: KieSimulator, web: httpx.Client, url: str) -> None:
    kie.add_model("a/model", seconds=0)
    submitted(kie, web, url)
    assert kie.callbacks == [Callback(url, None, {}, None)]


def test_reset_stops_the_callbacks_of_forgotten_jobs(
    kie: KieSimulator, web: httpx.Client, receiver: FakeHost
) -> None:
    kie.add_model("a/model", seconds=0.2)
    submitted(kie, web, receiver.url)
    kie.reset()
    time.sleep(0.4)
    assert (kie.callbacks, receiver.requests) == ([], [])


def test_stopping_does_not_wait_for_callbacks() -> None:
    with FakeHost([[10.0]]) as receiver, KieSimulator() as kie:
        headers = {"Authorization": f"Bearer {kie.api_key}", "User-Agent": "tests"}
        with httpx.Client(headers=headers, trust_env=False, verify=False) as web:
            kie.add_model("slow", seconds=60)
            kie.add_model("a/model", seconds=0)
            submitted(kie, web, receiver.url)
            until(lambda: receiver.requests)
        began = time.monotonic()
        kie.stop()
        assert time.monotonic() - began < 1
