"""Which chats are refused, and which are billed."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from airflow_provider_kie.simulator import KieSimulator, SimulatedChat
from tests.unit.simulator.chats import MESSAGES, ask


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fail", "code", "msg"),
    [
        (500, 500, "Server exception, please try again later"),
        ((500, "Credits insufficient"), 500, "Credits insufficient"),
        ((433, "enough"), 433, "enough"),
    ],
)
def test_an_error_is_an_envelope_also_for_who_asked_for_a_stream(
    kie: KieSimulator, web: httpx.Client, stream: bool, fail: Any, code: int, msg: str
) -> None:
    kie.add_chat_model("a-model", fail=fail)
    answer = ask(kie, web, stream=stream)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json;charset=UTF-8")
    assert answer.json() == {"code": code, "msg": msg, "data": None}
    assert (kie.chats, kie.credits, kie.requests[0].code) == ([], 100, code)


@pytest.mark.parametrize("stream", [False, True])
def test_a_wrong_key_is_refused(kie: KieSimulator, plain: httpx.Client, stream: bool) -> None:
    answer = ask(kie, plain, stream=stream)
    assert (answer.status_code, answer.json()["code"], "data" in answer.json()) == (200, 401, False)
    assert kie.chats == []


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_that_the_balance_does_not_cover_is_refused(
    kie: KieSimulator, web: httpx.Client, stream: bool
) -> None:
    kie.credits = 0.005
    answer = ask(kie, web, stream=stream)
    assert (answer.status_code, answer.json()["code"]) == (200, 402)
    assert answer.json()["msg"].startswith("Credits insufficient")
    assert (kie.chats, kie.credits) == ([], 0.005)
    kie.credits = 0.01
    assert ask(kie, web, stream=stream).headers["content-type"].startswith("text/")
    assert kie.credits == 0


@pytest.mark.parametrize("stream", [{}, {"stream": True}])
@pytest.mark.parametrize(
    ("body", "msg"),
    [
        ("no json", "The request body is not valid JSON"),
        ('{"messages": NaN}', "The request body is not valid JSON"),
        ([], "messages: This field is required"),
        ({}, "messages: This field is required"),
        ({"messages": []}, "messages: This field is required"),
        ({"messages": "a fox"}, "messages is not within the range of allowed options"),
        ({"messages": {"role": "user"}}, "messages is not within the range of allowed options"),
        ({"messages": ["a fox"]}, "messages is not within the range of allowed options"),
        ({"messages": [{"content": "a fox"}]}, "role: This field is required"),
        ({"messages": [*MESSAGES, {"role": ""}]}, "role: This field is required"),
        ({"messages": [{"role": 5}]}, "role is not within the range of allowed options"),
        ({"messages": [{"role": "user", "content": 5}]}, "content is not within the range"),
        ({"messages": MESSAGES, "temperature": "0.5"}, "temperature is not within the range"),
        ({"messages": MESSAGES, "temperature": True}, "temperature is not within the range"),
        ({"messages": MESSAGES, "top_p": "1"}, "top_p is not within the range"),
        ({"messages": MESSAGES, "max_tokens": True}, "max_tokens is not within the range"),
        ({"messages": MESSAGES, "max_tokens": 5.0}, "max_tokens is not within the range"),
        ({"messages": MESSAGES, "stream": "true"}, "stream is not within the range"),
        ({"messages": MESSAGES, "stream": 1}, "stream is not within the range"),
        ({"messages": MESSAGES, "tools": {}}, "tools is not within the range"),
        ({"messages": MESSAGES, "response_format": "json"}, "response_format is not within the range"),
        ({"messages": MESSAGES, "model": 5}, "model is not within the range"),
    ],
    ids=str,
)
def test_what_is_refused_is_not_billed(
    kie: KieSimulator, web: httpx.Client, body: object, stream: dict[str, Any], msg: str
) -> None:
    whole = {**stream, **body} if isinstance(body, dict) else body
    content = whole if isinstance(whole, str) else json.dumps(whole)
    answer = web.post(f"{kie.api_url}/a-model/v1/chat/completions", content=content)
    assert (answer.status_code, answer.json()["code"], answer.json()["data"]) == (200, 422, None)
    assert answer.json()["msg"].startswith(msg)
    assert (kie.chats, kie.credits) == ([], 100)


@pytest.mark.parametrize("path", ["/api", "/"])
def test_without_a_name_in_its_place_a_model_is_missed(
    kie: KieSimulator, web: httpx.Client, path: str
) -> None:
    for body in ({}, {"model": ""}, {"model": None}):
        url = f"{kie.api_url}{path}/v1/chat/completions"
        answer = web.post(url, json={"messages": MESSAGES, **body})
        assert answer.json() == {"code": 422, "msg": "model: This field is required", "data": None}


def test_each_answered_chat_is_in_the_ledger(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_chat_model("dear", credits=2)
    ask(kie, web)
    ask(kie, web, "dear", stream=True)
    first, second = kie.chats
    assert abs(first.at - time.time()) < 10
    assert first == SimulatedChat("a-model", MESSAGES, {"messages": MESSAGES}, False, 0.01, first.at)
    body = {"messages": MESSAGES, "stream": True}
    assert second == SimulatedChat("dear", MESSAGES, body, True, 2, second.at)
    assert kie.credits == 97.99


def test_small_prices_add_up(kie: KieSimulator, web: httpx.Client) -> None:
    for _ in range(10):
        ask(kie, web)
    assert kie.credits == 99.9


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "billed"),
    [
        ({"drop_after": -1}, 0),
        ({"drop_after": -1, "accept": True}, 1),
        ({"status": 502}, 0),
        ({"status": 502, "accept": True}, 1),
        ({"html": True, "accept": True}, 1),
        ({"code": 429}, 0),
        ({"code": 500, "accept": True}, 1),
        ({"body": "data: nonsense\n\n", "accept": True}, 1),
        ({"drop_after": 0}, 1),
        ({"drop_after": 60}, 1),
    ],
    ids=str,
)
def test_a_lost_answer_is_billed_where_the_chat_was_accepted(
    kie: KieSimulator, web: httpx.Client, fault: dict[str, Any], billed: int, stream: bool
) -> None:
    kie.fail_next("chat", **fault)
    if "drop_after" in fault:
        with pytest.raises(httpx.TransportError):
            ask(kie, web, stream=stream)
    else:
        assert "choices" not in ask(kie, web, stream=stream).text
    assert (len(kie.chats), kie.credits) == (billed, 100 - 0.01 * billed)


def test_a_client_that_does_not_wait_has_paid(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_chat_model("a-model", seconds=1)
    web.timeout = httpx.Timeout(0.5)
    with pytest.raises(httpx.ReadTimeout):
        ask(kie, web)
    assert (len(kie.chats), kie.credits) == (1, 99.99)


def test_nothing_is_accepted_that_is_refused_anyway(kie: KieSimulator, web: httpx.Client) -> None:
    kie.fail_next("chat", drop_after=-1, accept=True)
    with pytest.raises(httpx.TransportError):
        ask(kie, web, messages=[])
    assert kie.chats == []


def test_chats_from_many_threads_are_each_paid_once(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_chat_model("a-model", credits=3)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: ask(kie, web, stream=number % 2 == 0), range(64)))
    assert sum("choices" in answer.text for answer in answers) == len(kie.chats) == 33
    assert kie.credits == 1


def test_a_chat_spends_what_a_job_has_given_back_meanwhile(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_model("a/model", seconds=0.05, fail=500, credits=100)
    web.post(f"{kie.api_url}/api/v1/jobs/createTask", json={"model": "a/model", "input": {"prompt": "a fox"}})
    time.sleep(0.1)
    assert "choices" in ask(kie, web).json()


def test_a_chat_spends_what_a_job_does_not_hold(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_model("a/model", seconds=60, credits=4, hold=99.995)
    web.post(f"{kie.api_url}/api/v1/jobs/createTask", json={"model": "a/model", "input": {"prompt": "a fox"}})
    assert ask(kie, web).json()["code"] == 402
    kie.finish_jobs()
    ask(kie, web)
    assert kie.credits == 95.99
