"""Chats with streamed answers, and everything that can go wrong with a stream."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from airflow_provider_kie.simulator import KieSimulator
from tests.unit.simulator.chats import MESSAGES, TEXT, ask, ask_for_stream, chunks_of, deltas_of


def received(answer: httpx.Response) -> bytes:
    """Read until the connection breaks; give what came before."""
    data = bytearray()

    def read(pieces: Iterator[bytes]) -> None:
        for piece in pieces:
            data.extend(piece)

    with pytest.raises(httpx.RemoteProtocolError):
        read(answer.iter_raw())
    return bytes(data)


def test_a_stream_says_who_what_why_and_at_what_cost(kie: KieSimulator, web: httpx.Client) -> None:
    events = ask_for_stream(kie, web)
    assert events[-1] == "[DONE]"
    chunks = chunks_of(events)
    heads = {(chunk["id"], chunk["object"], chunk["created"], chunk["model"]) for chunk in chunks}
    ((name, kind, created, model),) = heads
    assert (name.startswith("chatcmpl-"), kind, model) == (True, "chat.completion.chunk", "a-model")
    assert abs(created - time.time()) < 10
    *spoken, end, costs = chunks
    assert [chunk["choices"] for chunk in spoken] == [
        [{"index": 0, "delta": delta, "finish_reason": None}]
        for delta in (
            {"role": "assistant", "content": ""},
            {"content": "Which"},
            {"content": " foxes"},
            {"content": " are"},
            {"content": " red?"},
        )
    ]
    assert end["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    usage = {"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10}
    assert (costs["choices"], costs["usage"], costs["credits_consumed"]) == ([], usage, 0.01)
    assert not any("usage" in chunk for chunk in chunks[:-1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Donaudampfschifffahrt",
        "  in front, and after \n",
        "\n\n",
        "data: [DONE]\n\n",
        "火狐 \N{FOX FACE}",
        "\u2028\x85",
    ],
)
def test_the_pieces_of_a_stream_are_the_text(kie: KieSimulator, web: httpx.Client, text: str) -> None:
    kie.add_chat_model("a-model", text=text)
    first, *pieces = (delta for delta in deltas_of(ask_for_stream(kie, web)) if delta)
    assert first == {"role": "assistant", "content": ""}
    assert "".join(piece["content"] for piece in pieces) == text
    assert all(piece["content"] for piece in pieces)


def test_a_long_word_comes_in_pieces(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_chat_model("a-model", text="a" * 20)
    assert [delta.get("content") for delta in deltas_of(ask_for_stream(kie, web))] == [
        *("", "a" * 8, "a" * 8, "a" * 4),
        None,
    ]


def test_tools_are_called_in_pieces(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_chat_model("a-model", text="Well,", tool_calls=[("count", {"what": "red foxes"}), ("stop", {})])
    events = ask_for_stream(kie, web)
    deltas = deltas_of(events)
    assert deltas[:2] == [{"role": "assistant", "content": ""}, {"content": "Well,"}]
    pieces = [call for delta in deltas for call in delta.get("tool_calls", ())]
    begun = [piece for piece in pieces if "id" in piece]
    assert [(piece["index"], piece["type"], piece["function"]) for piece in begun] == [
        (0, "function", {"name": "count", "arguments": ""}),
        (1, "function", {"name": "stop", "arguments": ""}),
    ]
    arguments = ["", ""]
    for piece in pieces:
        arguments[piece["index"]] += piece["function"]["arguments"]
    assert [json.loads(text) for text in arguments] == [{"what": "red foxes"}, {}]
    assert sum(piece["index"] == 0 for piece in pieces) > 2
    assert chunks_of(events)[-2]["choices"][0]["finish_reason"] == "tool_calls"


def test_tools_without_text_are_streamed_without_text(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_chat_model("a-model", tool_calls=[("stop", {})])
    deltas = deltas_of(ask_for_stream(kie, web))
    assert [delta["content"] for delta in deltas if "content" in delta] == [None]


def test_json_is_streamed_where_json_is_asked_for(kie: KieSimulator, web: httpx.Client) -> None:
    events = ask_for_stream(kie, web, response_format={"type": "json_object"})
    text = "".join(delta.get("content", "") for delta in deltas_of(events))
    assert json.loads(text) == {"echo": TEXT}


@pytest.mark.parametrize("after", [0, 1, 3, 99])
def test_an_error_can_come_inside_a_stream(kie: KieSimulator, web: httpx.Client, after: int) -> None:
    whole = len(chunks_of(ask_for_stream(kie, web)))
    kie.add_chat_model("a-model", fail=(433, "enough"), fail_after=after)
    *before, error = ask_for_stream(kie, web)
    assert json.loads(error) == {"code": 433, "msg": "enough"}
    assert len(before) == min(after, whole)
    assert all("choices" in event for event in before)
    assert (len(kie.chats), kie.credits) == (2, 99.98)
    assert kie.requests[1].code == 433


def test_a_model_whose_streams_fail_gives_a_plain_answer_as_an_envelope(
    kie: KieSimulator, web: httpx.Client
) -> None:
    kie.add_chat_model("a-model", fail=455, fail_after=2)
    message = "The service is under maintenance. Please try again later."
    assert ask(kie, web).json() == {"code": 455, "msg": message, "data": None}
    assert kie.chats == []
    assert json.loads(ask_for_stream(kie, web)[-1]) == {"code": 455, "msg": message}


def test_a_stream_can_end_without_its_mark(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_chat_model("a-model", without=["done"])
    events = ask_for_stream(kie, web)
    assert chunks_of(events)[-1]["credits_consumed"] == 0.01
    assert "[DONE]" not in events


def test_a_stream_can_end_without_a_reason(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_chat_model("a-model", without=["finish_reason"])
    events = ask_for_stream(kie, web)
    assert {choice["finish_reason"] for chunk in chunks_of(events) for choice in chunk["choices"]} == {None}
    assert events[-1] == "[DONE]"


def test_a_stream_can_break_off_although_http_is_complete(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_chat_model("a-model", without=["finish_reason", "usage", "done"])
    assert deltas_of(ask_for_stream(kie, web))[-1] == {"content": " red?"}


def test_a_stream_can_keep_its_costs_to_itself(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_chat_model("a-model", without=["usage"])
    events = ask_for_stream(kie, web)
    assert not any("usage" in chunk or "credits_consumed" in chunk for chunk in chunks_of(events))
    assert events[-1] == "[DONE]"
    assert kie.chats[0].charged == 0.01


def test_a_stream_can_be_empty_or_nothing_but_its_mark(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_chat_model("a-model", without=["content", "finish_reason", "usage"])
    assert ask_for_stream(kie, web) == ["[DONE]"]
    kie.add_chat_model("a-model", without=["content", "finish_reason", "usage", "done"])
    assert ask_for_stream(kie, web) == []
    assert len(kie.chats) == 2


@pytest.mark.parametrize("after", [0, 1, 300, 700])
def test_a_stream_can_be_cut_anywhere_and_is_billed(kie: KieSimulator, web: httpx.Client, after: int) -> None:
    kie.fail_next("chat", drop_after=after)
    url = f"{kie.api_url}/a-model/v1/chat/completions"
    with web.stream("POST", url, json={"messages": MESSAGES, "stream": True}) as answer:
        data = received(answer)
    assert len(data) == after
    assert data == b"data: {"[:after] or data.startswith(b'data: {"id":"chatcmpl-')
    assert (len(kie.chats), kie.credits) == (1, 99.99)


def test_a_stream_can_be_slow_and_each_event_comes_as_it_is_made(
    kie: KieSimulator, web: httpx.Client
) -> None:
    kie.fail_next("chat", chunk_delay=0.1)
    url = f"{kie.api_url}/a-model/v1/chat/completions"
    with web.stream("POST", url, json={"messages": MESSAGES, "stream": True}) as answer:
        begin = time.monotonic()
        pieces = answer.iter_raw()
        assert next(pieces).endswith(b"\n\n")
        first = time.monotonic() - begin
        assert b"".join(pieces).endswith(b"data: [DONE]\n\n")
        assert time.monotonic() - begin - first >= 0.5


def test_a_client_that_leaves_in_the_middle_has_paid_and_leaves_nothing_behind(
    kie: KieSimulator, web: httpx.Client, capfd: pytest.CaptureFixture[str]
) -> None:
    kie.fail_next("chat", chunk_delay=0.02)
    url = f"{kie.api_url}/a-model/v1/chat/completions"
    with web.stream("POST", url, json={"messages": MESSAGES, "stream": True}) as answer:
        next(answer.iter_raw())
    time.sleep(0.3)
    assert (len(kie.chats), kie.requests[0].error) == (1, None)
    assert ask(kie, web).status_code == 200
    assert capfd.readouterr().err == ""


def test_thinking_is_before_the_first_byte_of_a_stream(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_chat_model("a-model", seconds=0.3)
    url = f"{kie.api_url}/a-model/v1/chat/completions"
    begin = time.monotonic()
    with web.stream("POST", url, json={"messages": MESSAGES, "stream": True}):
        assert time.monotonic() - begin >= 0.29


def test_streams_and_plain_answers_do_not_wait_for_each_other(kie: KieSimulator, web: httpx.Client) -> None:
    kie.fail_next("chat", chunk_delay=0.2)
    url = f"{kie.api_url}/a-model/v1/chat/completions"
    with web.stream("POST", url, json={"messages": MESSAGES, "stream": True}) as slow:
        begin = time.monotonic()
        ask(kie, web)
        assert time.monotonic() - begin < 1
        assert slow.read().endswith(b"data: [DONE]\n\n")
