"""Completions as models give them, and what is made of them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from airflow_provider_kie.client.answers import read_answer
from airflow_provider_kie.client.api.chat import ChatAnswer, complete_chat
from airflow_provider_kie.client.errors import KieError

CALL = complete_chat("Hello", model="a-model")


def completion(message: Any = None, **more: Any) -> dict[str, Any]:
    told = {"role": "assistant", "content": "Hi."} if message is None else message
    choice = {"index": 0, "message": told, "finish_reason": "stop"}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "a-model-0925",
        "choices": [choice],
        "usage": {"total_tokens": 3},
        "credits_consumed": 0.01,
        **more,
    }


def read(body: Any, status: int = 200) -> ChatAnswer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_answer(CALL, status, {}, content)


def carried(answer: ChatAnswer) -> dict[str, Any]:
    """Give an answer as it arrives through JSON, and see that UTF-8 and msgpack carry it too."""
    given = answer.to_dict()
    text = json.dumps(given, allow_nan=False, ensure_ascii=False)
    text.encode()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(given)) == given
    carried: dict[str, Any] = json.loads(text)
    assert carried == given
    return carried


def error_of(body: Any, status: int = 200) -> KieError:
    with pytest.raises(KieError) as caught:
        read(body, status)
    said = str(caught.value)
    assert said.removeprefix(f"{caught.value.remedy} ").startswith("chat with a-model: ")
    assert len(said) < 700
    assert said.isprintable()
    return caught.value
