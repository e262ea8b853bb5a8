"""The simulator says what the real service was recorded to say: the same keys, the same kinds of values."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_kie.simulator import KieSimulator

from . import recorded


@pytest.fixture
def web(kie_simulator: KieSimulator) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {kie_simulator.api_key}", "User-Agent": "tests"}
    with httpx.Client(headers=headers, trust_env=False) as client:
        yield client


def shape(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {key: shape(value) for key, value in answer.items()}
    return type(answer).__name__


def same(response: httpx.Response, body: bytes, status: int = 200) -> None:
    expected = json.loads(body)
    answer = response.json()
    assert response.status_code == status
    assert shape(answer) == shape(expected)
    assert (answer["code"], answer["msg"]) == (expected["code"], expected["msg"])


def test_credits(web: httpx.Client, kie_simulator: KieSimulator) -> None:
    same(web.get(f"{kie_simulator.api_url}/api/v1/chat/credit"), recorded.CREDITS)


def test_links(web: httpx.Client, kie_simulator: KieSimulator) -> None:
    url = f"{kie_simulator.api_url}/api/v1/common/download-url"
    generated = kie_simulator.add_generated_file("a.png", b"a")
    same(web.post(url, json={"url": generated}), recorded.LINK)
    same(web.post(url, json={"url": "https://example.com/a.png"}), recorded.NOT_GENERATED)


def test_a_wrong_key(web: httpx.Client, kie_simulator: KieSimulator) -> None:
    web.headers["Authorization"] = "Bearer another-key"
    same(web.get(f"{kie_simulator.api_url}/api/v1/chat/credit"), recorded.UNAUTHORIZED)
    same(web.post(f"{kie_simulator.upload_url}/api/file-url-upload", json={}), recorded.UPLOAD_UNAUTHORIZED)


def test_uploads(web: httpx.Client, kie_simulator: KieSimulator) -> None:
    url = f"{kie_simulator.upload_url}/api/file-base64-upload"
    body = {"base64Data": base64.b64encode(b"hello world").decode(), "uploadPath": "documents"}
    same(web.post(url, json=body | {"fileName": "test.txt"}), recorded.UPLOAD)
    same(web.post(url, json={"base64Data": body["base64Data"]}), recorded.MISSING_PARAMETER, 400)
    same(web.post(url, json=body | {"base64Data": "?"}), recorded.BAD_BASE64, 400)
    kie_simulator.upload_shape = "quickstart"
    same(web.post(url, json=body | {"fileName": "test.txt"}), recorded.UPLOAD_OF_THE_QUICKSTART)


def test_chat(web: httpx.Client, kie_simulator: KieSimulator) -> None:
    body = {"messages": [{"role": "user", "content": "Hello"}]}
    answer = web.post(f"{kie_simulator.api_url}/a-model/v1/chat/completions", json=body)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/plain")
    assert answer.json()["credits_consumed"] == 0.01
    assert {"id", "object", "created", "model", "choices", "usage"} < set(answer.json())


@pytest.mark.parametrize("stream", [False, True])
def test_errors_of_chat(web: httpx.Client, kie_simulator: KieSimulator, stream: bool) -> None:
    url = f"{kie_simulator.api_url}/a-model/v1/chat/completions"
    body = {"messages": [{"role": "user", "content": "Hello"}], "stream": stream}
    for code, expected in ((500, recorded.NO_CREDITS_AS_500), (429, recorded.NO_CREDITS_AS_429)):
        kie_simulator.add_chat_model("a-model", fail=(code, json.loads(expected)["msg"]))
        same(web.post(url, json=body), expected)
    web.headers["Authorization"] = "Bearer another-key"
    same(web.post(url, json=body), recorded.UNAUTHORIZED)


def test_errors_on_demand(web: httpx.Client, kie_simulator: KieSimulator) -> None:
    for code, body in ((500, recorded.SERVER_EXCEPTION), (429, recorded.TOO_OFTEN)):
        kie_simulator.fail_next("credit", code=code)
        same(web.get(f"{kie_simulator.api_url}/api/v1/chat/credit"), body)
