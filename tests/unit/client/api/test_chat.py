"""What a chat sends, and what it refuses to send."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Any

import pytest

from airflow_provider_kie.client.api.chat import ANSWER_LIMIT, TIMEOUT_SECONDS, complete_chat
from airflow_provider_kie.client.errors import KieError

HELLO = [{"role": "user", "content": "Hello"}]
LOOP: list[Any] = []
LOOP += [LOOP, LOOP]
SELF: dict[str, Any] = {"role": "user"}
SELF["content"] = [SELF]
HALF = "half of \ud83d"


class Lazy(Sequence[Any]):
    """A sequence that is no list, as what earlier mapped tasks returned is."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    def __getitem__(self, index: Any) -> Any:
        return self.values[index]

    def __len__(self) -> int:
        return len(self.values)


def body_of(messages: Any = "Hello", **more: Any) -> dict[str, Any]:
    call = complete_chat(messages, **{"model": "a-model", **more})
    assert call.json is not None
    # What goes over the wire.
    body: dict[str, Any] = json.loads(json.dumps(call.json, allow_nan=False))
    return body


# What is sent


def test_a_text_is_what_the_user_says() -> None:
    assert body_of("Hello") == {"model": "a-model", "messages": HELLO, "stream": False}


def test_the_call_may_take_its_time_and_be_sent_once() -> None:
    call = complete_chat(HELLO, model="a-model")
    assert (call.host, call.method, call.path) == ("api", "POST", "/a-model/v1/chat/completions")
    assert (call.repeatable, call.seconds, call.limit) == (False, TIMEOUT_SECONDS, ANSWER_LIMIT)
    assert complete_chat(HELLO, model="a-model", timeout=5).seconds == 5


@pytest.mark.parametrize(
    "name", ["gemini-2.5-flash", "a", "A_b.c:d-e", "vendor/model", "a/b/c", "..a", "a..b", "v1"]
)
def test_the_model_is_in_path_and_body_as_it_is(name: str) -> None:
    call = complete_chat(HELLO, model=name)
    assert call.path == f"/{name}/v1/chat/completions"
    assert call.json is not None
    assert call.json["model"] == name


TYPED: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": "0.5",
    "max_tokens": 5,
    "whole": 5.0,
    "seed": None,
    "logprobs": False,
    "stop": ["a", 1, None, True],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "n": [[[]]]}}}],
    "response_format": {"type": "json_object"},
    "\u6587": "\u2028\N{FOX FACE}",
}


def test_no_option_changes_its_type() -> None:
    sent = body_of(options=TYPED)
    assert repr({name: sent[name] for name in TYPED}) == repr(TYPED)


def test_no_part_of_a_message_changes_its_type() -> None:
    told = [
        {"role": "system", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": "5"}, {"type": "n", "n": 5}], "name": None},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "\n"},
    ]
    assert repr(body_of(told)["messages"]) == repr(told)


@pytest.mark.parametrize("messages", [tuple(HELLO), Lazy(*HELLO), [MappingProxyType(HELLO[0])]], ids=type)
def test_any_sequence_of_messages_is_taken(messages: Any) -> None:
    assert body_of(messages)["messages"] == HELLO


def test_any_sequence_is_taken_inside_too() -> None:
    parts = Lazy({"type": "text", "text": "a"})
    sent = body_of([{"role": "user", "content": parts}], options={"stop": ("a", "b")})
    assert sent["messages"][0]["content"] == [{"type": "text", "text": "a"}]
    assert sent["stop"] == ["a", "b"]


def test_what_was_given_stays_as_it_is() -> None:
    options: dict[str, Any] = {"stop": ["a"]}
    complete_chat(HELLO, model="a-model", options=options, stream=True)
    assert options == {"stop": ["a"]}
    assert HELLO == [{"role": "user", "content": "Hello"}]


def test_a_stream_asks_for_its_usage_unless_told_otherwise() -> None:
    assert body_of(stream=True)["stream_options"] == {"include_usage": True}
    assert body_of(stream=True, options={"stream_options": {"a": 1}})["stream_options"] == {"a": 1}
    assert body_of(stream=True, options={"stream_options": None})["stream_options"] is None
    assert "stream_options" not in body_of()


# What is refused


def refusal(messages: Any = "Hello", **more: Any) -> str:
    with pytest.raises(ValueError, match=r"\w") as caught:
        complete_chat(messages, **{"model": "a-model", **more})
    assert not isinstance(caught.value, KieError)
    said = str(caught.value)
    assert len(said) < 600
    said.encode()
    return said


NO_MESSAGES: dict[str, tuple[Any, str]] = {
    "None": (None, "messages must be a list, not NoneType"),
    "a number": (5, "messages must be a list, not int"),
    "bytes": (b"Hello", "messages must be a list, not bytes"),
    "a bytearray": (bytearray(b"Hello"), "messages must be a list, not bytearray"),
    "one message": (HELLO[0], "messages must be a list, not dict"),
    "a set": ({"Hello"}, "messages must be a list, not set"),
    "a generator": (iter(HELLO), "messages must be a list, not list_iterator"),
    "an empty text": ("", "messages must say something"),
    "blanks": (" \n", "messages must say something"),
    "an empty list": ([], "messages must say something"),
    "an empty sequence": (Lazy(), "messages must say something"),
    "texts": (["Hello"], r"messages\[0\] must be a message such as .* not 'Hello'"),
    "None inside": ([*HELLO, None], r"messages\[1\] must be a message"),
    "a list inside": ([HELLO], r"messages\[0\] must be a message"),
    "no role": ([*HELLO, {"content": "a"}], r"messages\[1\] must be a message"),
    "a role of None": ([{"role": None, "content": "a"}], r"messages\[0\] must be a message"),
    "an empty role": ([{"role": "", "content": "a"}], r"messages\[0\] must be a message"),
    "a number for a role": ([{"role": 1, "content": "a"}], r"messages\[0\] must be a message"),
    "half a character": (HALF, "messages"),
    "half a character inside": ([{"role": "user", "content": HALF}], r"messages\[0\]\['content'\]"),
    "half a character for a role": ([{"role": HALF}], r"messages\[0\]\['role'\]"),
    "half a character for a key": ([{"role": "user", HALF: 1}], r"messages\[0\]"),
    "a key that is no text": ([{"role": "user", 5: 1}], r"messages\[0\] has the key 5, a int"),
    "bytes inside": ([{"role": "user", "content": b"a"}], r"messages\[0\]\['content'\] is a bytes"),
    "an object inside": ([{"role": "user", "content": object()}], r"\['content'\] is a object"),
    "NaN": ([{"role": "user", "n": math.nan}], r"messages\[0\]\['n'\] is a number"),
    "an infinite number": ([{"role": "user", "n": [-math.inf]}], r"messages\[0\]\['n'\]\[0\] is a number"),
    "a huge number": ([{"role": "user", "n": 10**400}], r"messages\[0\]\['n'\] is a number"),
    "itself": ([SELF], "nested too deeply, or contains itself"),
    "itself twice": ([{"role": "user", "content": LOOP}], "nested too deeply, or contains itself"),
    "a long text for a message": (["x" * 100_000], r"messages\[0\] must be a message"),
}


@pytest.mark.parametrize("name", NO_MESSAGES)
def test_what_are_no_messages_is_refused_with_its_place(name: str) -> None:
    messages, said = NO_MESSAGES[name]
    assert re.search(said, refusal(messages))


NO_OPTIONS: dict[str, tuple[Any, str]] = {
    "a list": ([("temperature", 1)], "options must be a dict, not list"),
    "a text": ('{"temperature": 1}', "options must be a dict, not str"),
    "empty text": ("", "options must be a dict, not str"),
    "a number": (0, "options must be a dict, not int"),
    "a key that is no text": ({1: 1}, "options has the key 1, a int"),
    "NaN": ({"temperature": math.nan}, r"options\['temperature'\] is a number"),
    "a set": ({"tools": [{1}]}, r"options\['tools'\]\[0\] is a set"),
    "half a character": ({"stop": HALF}, r"options\['stop'\]"),
    "itself": ({"tools": LOOP}, "nested too deeply, or contains itself"),
    "stream": ({"stream": True}, "'stream'"),
    "stream, though of no effect": ({"stream": None}, "'stream'"),
    "model": ({"model": "another"}, "'model'"),
    "messages": ({"messages": HELLO}, "'messages'"),
}


@pytest.mark.parametrize("name", NO_OPTIONS)
def test_what_are_no_options_is_refused_with_its_place(name: str) -> None:
    options, said = NO_OPTIONS[name]
    assert re.search(said, refusal(options=options))


@pytest.mark.parametrize(
    "model",
    [
        *(
            None,
            5,
            b"a",
            ["a"],
            "",
            " ",
            "a b",
            " a",
            "a\n",
            "a\x00",
            "a?b",
            "a#b",
            "a%2fb",
            "%2e%2e",
            "a\\b",
        ),
        *("/a", "a/", "a//b", ".", "..", "../x", "a/..", "a/../b", "a/./b", "./a", "//h/a", "https://h/a"),
        *("a@b", "a;b", "{model}", "a&b", "a'b", "\u0430", "\uff0e\uff0e/a", HALF, "x" * 201),
    ],
    ids=ascii,
)
def test_a_model_that_leads_elsewhere_is_refused(model: Any) -> None:
    assert refusal(model=model).startswith("model must be a model's name")


def all_bad() -> Iterator[tuple[Any, dict[str, Any]]]:
    yield from ((messages, {}) for messages, _ in NO_MESSAGES.values())
    yield from (("Hello", {"options": options}) for options, _ in NO_OPTIONS.values())


def test_a_stream_refuses_the_same() -> None:
    for messages, more in all_bad():
        assert refusal(messages, stream=True, **more) == refusal(messages, **more)
