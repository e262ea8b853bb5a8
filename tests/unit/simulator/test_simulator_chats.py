"""Chats with plain answers: what a model says."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from airflow_provider_kie.simulator import KieSimulator
from tests.unit.simulator.chats import MESSAGES, TEXT, ask


def message(answer: httpx.Response) -> dict[str, Any]:
    (choice,) = answer.json()["choices"]
    found: dict[str, Any] = choice["message"]
    return found


def test_an_answer_is_openais_with_the_credits_at_its_root(kie: KieSimulator, web: httpx.Client) -> None:
    answer = ask(kie, web)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain;charset=UTF-8")
    body = answer.json()
    assert body.pop("id").startswith("chatcmpl-")
    assert abs(body.pop("created") - time.time()) < 10
    assert body == {
        "object": "chat.completion",
        "model": "a-model",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10},
        "credits_consumed": 0.01,
    }


def test_the_model_is_that_of_the_path_and_may_have_slashes(kie: KieSimulator, web: httpx.Client) -> None:
    assert ask(kie, web, "a/long/model", model="another").json()["model"] == "a/long/model"
    assert [request.call for request in kie.requests] == ["chat"]


def test_on_the_legacy_path_the_model_is_that_of_the_body(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_chat_model("deepseek-chat", text="Hello")
    answer = web.post(
        f"{kie.api_url}/api/v1/chat/completions", json={"model": "deepseek-chat", "messages": MESSAGES}
    )
    assert (answer.json()["model"], message(answer)["content"]) == ("deepseek-chat", "Hello")
    assert kie.requests_to("chat")[0].path == "/api/v1/chat/completions"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/v1/chat/completions", 404), ("GET", "/a-model/v1/chat/completions", 405)],
)
def test_other_paths_and_methods_are_no_chat(
    kie: KieSimulator, web: httpx.Client, method: str, path: str, status: int
) -> None:
    answer = web.request(method, kie.api_url + path)
    assert (answer.status_code, answer.json()["code"]) == (status, status)


def test_other_hosts_do_not_chat(kie: KieSimulator, web: httpx.Client) -> None:
    web.post(f"{kie.upload_url}/a-model/v1/chat/completions", json={"messages": MESSAGES})
    assert [(request.call, request.status) for request in kie.requests] == [("unknown", 404)]


def test_a_model_answers_what_it_was_told(kie: KieSimulator, web: httpx.Client) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cached": 4}
    kie.add_chat_model("a-model", text="Füchse", finish_reason="length", credits=1.5, usage=usage)
    body = ask(kie, web).json()
    assert body["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": "Füchse"},
        "finish_reason": "length",
    }
    assert (body["usage"], body["credits_consumed"]) == (usage, 1.5)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", ""),
        (None, ""),
        (
            [{"type": "text", "text": "a "}, {"type": "image_url", "image_url": {}}, {"text": "fox"}, 5],
            "a fox",
        ),
    ],
)
def test_a_model_that_was_told_nothing_repeats_the_users_last_message(
    kie: KieSimulator, web: httpx.Client, content: object, said: str
) -> None:
    messages = [*MESSAGES, {"role": "user", "content": content}, {"role": "assistant", "content": "Well,"}]
    assert message(ask(kie, web, messages=messages))["content"] == said
    assert message(ask(kie, web, messages=MESSAGES[:1]))["content"] == "OK"


@pytest.mark.parametrize(("kind", "is_json"), [("json_object", 1), ("json_schema", 1), ("text", 0)])
def test_json_is_answered_where_json_is_asked_for(
    kie: KieSimulator, web: httpx.Client, kind: str, is_json: int
) -> None:
    content = message(ask(kie, web, response_format={"type": kind}))["content"]
    assert content == (json.dumps({"echo": TEXT}) if is_json else TEXT)
    kie.add_chat_model("a-model", text="no JSON")
    assert message(ask(kie, web, response_format={"type": kind}))["content"] == "no JSON"


def test_tools_are_called_until_a_result_is_the_last_message(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_chat_model("a-model", tool_calls=[("count", {"what": "Füchse"}), ("stop", "{no JSON")])
    answer = ask(kie, web)
    assert answer.json()["choices"][0]["finish_reason"] == "tool_calls"
    assert message(answer)["content"] is None
    first, second = message(answer)["tool_calls"]
    assert first["id"] != second["id"]
    assert (first["type"], first["function"]["name"]) == ("function", "count")
    assert json.loads(first["function"]["arguments"]) == {"what": "Füchse"}
    assert second["function"] == {"name": "stop", "arguments": "{no JSON"}
    result = {"role": "tool", "tool_call_id": first["id"], "content": "3"}
    last = ask(kie, web, messages=[*MESSAGES, message(answer), result])
    assert (message(last), last.json()["choices"][0]["finish_reason"]) == (
        {"role": "assistant", "content": TEXT},
        "stop",
    )


def test_an_answer_may_lack_its_parts(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_chat_model("a-model", without=["content"])
    assert ask(kie, web).json()["choices"] == []
    kie.add_chat_model("a-model", without=["finish_reason", "usage", "done"])
    body = ask(kie, web).json()
    assert body["choices"][0]["finish_reason"] is None
    assert not {"usage", "credits_consumed"} & set(body)
    assert kie.chats[1].charged == 0.01


def test_a_model_thinks_before_it_answers(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_chat_model("a-model", seconds=0.3)
    begin = time.monotonic()
    ask(kie, web)
    assert time.monotonic() - begin >= 0.29


def test_options_in_their_types_are_taken_as_they_are(kie: KieSimulator, web: httpx.Client) -> None:
    options: dict[str, Any] = {
        "temperature": 1,
        "top_p": 0.5,
        "max_tokens": 1,
        "tools": [],
        "stop": ["."],
        "response_format": None,
        "stream": None,
    }
    assert message(ask(kie, web, **options))["content"] == TEXT
    assert kie.chats[0].body == {"messages": MESSAGES, **options}


def test_reset_forgets_models_and_chats(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_chat_model("a-model", text="Hello")
    ask(kie, web)
    kie.reset()
    assert (kie.chats, kie.credits) == ([], 99.99)
    assert message(ask(kie, web))["content"] == TEXT


@pytest.mark.parametrize(
    ("told", "match"),
    [
        ({"credits": -1}, "credits and seconds"),
        ({"seconds": float("nan")}, "credits and seconds"),
        ({"fail_after": 1}, "fail_after"),
        ({"fail": 500, "fail_after": -1}, "fail_after"),
        ({"without": ["end"]}, "content, finish_reason, usage, done, not .'end'"),
        ({"text": "\ud800"}, "surrogates"),
        ({"tool_calls": [("count", "\ud800")]}, "surrogates"),
        ({"usage": {"total_tokens": float("inf")}}, "JSON"),
    ],
    ids=str,
)
def test_a_model_that_makes_no_sense_is_refused(kie: KieSimulator, told: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        kie.add_chat_model("a-model", **told)
