"""A stream's texts and the answer that they add up to, however it is written and cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_kie.client.api.chunks import Completion
from airflow_provider_kie.client.errors import KieResponseError, KieUnavailableError
from tests.unit.client.streaming import (
    COSTS,
    DONE,
    chunk,
    event,
    fails,
    read,
    said,
    stream_of,
    told,
    trouble_with,
)

TEXTS = ["Once", " upon\u2028", "\x85 a \n\r", "\N{FOX FACE}", " time: data: [DONE]", '{"code": 500}']
EVENTS = said(*TEXTS)
STORY = b"".join(EVENTS)
# As kie.ai's simulator writes it: the characters themselves.
PLAIN = b"".join(
    b"data: " + json.dumps(json.loads(one[6:]), ensure_ascii=False).encode() + b"\n\n" for one in EVENTS[:-1]
)


def written(field: bytes, end: bytes = b"\n\n") -> bytes:
    """Write the story with other words around each event's content."""
    return b"".join(field + one[6:-2] + end for one in EVENTS)


WRITTEN = {
    "as usual": STORY,
    "plain characters": PLAIN + DONE,
    "CRLF": STORY.replace(b"\n", b"\r\n"),
    "CR": STORY.replace(b"\n", b"\r"),
    "comments": b": hello\n\n" + STORY.replace(b"\n\n", b"\n\n: keep-alive\n:\n\n"),
    "comments that look like data": STORY.replace(b"\n\n", b"\n\n:data: no\n: {no}\n\n"),
    "names of events": written(b"event: message\ndata: "),
    "ids and retries": written(b"id: 7\nretry: 3000\ndata: "),
    "unknown fields": written(b"other: {}\nother\n data: x\ndata: "),
    "empty data": written(b"data:\n\ndata: \n\ndata\n\ndata: "),
    "no blank lines": STORY.replace(b"\n\n", b"\n"),
    "many blank lines": b"\n \n" + STORY.replace(b"\n\n", b"\n\n\n \n\n"),
    "no space": written(b"data:"),
    "more space": written(b"data:  ", b" \n\n"),
    "a byte order mark": b"\xef\xbb\xbf" + STORY,
    "no end mark": STORY.removesuffix(DONE),
    "no last line end": STORY.removesuffix(b"\n\n"),
    "no end mark and no last line end": STORY.removesuffix(DONE).removesuffix(b"\n\n"),
    "more after its end": STORY + b"data: nonsense\n\n<html>" + DONE,
}


@pytest.mark.parametrize("how", WRITTEN)
def test_a_stream_is_read_however_it_is_written(how: str) -> None:
    body = WRITTEN[how]
    for pieces in ([body], [body[place : place + 1] for place in range(len(body))]):
        texts, answer = read(pieces)
        assert texts == TEXTS
        assert answer.to_dict() == {
            "text": "".join(TEXTS),
            "message": {"role": "assistant", "content": "".join(TEXTS)},
            "model": "a-model-0925",
            "finish_reason": "stop",
            "usage": {"total_tokens": 9},
            "credits": 0.01,
            "raw": answer.raw,
        }


@pytest.mark.parametrize("how", ["plain characters", "CRLF", "a byte order mark"])
def test_it_does_not_matter_where_the_pieces_are_cut(how: str) -> None:
    body = WRITTEN[how]
    for place in range(len(body)):
        assert read([body[:place], b"", body[place:]])[0] == TEXTS


def test_raw_is_the_completion_that_the_chunks_add_up_to() -> None:
    message = {"role": "assistant", "content": "Hi."}
    assert read(said("H", "i."))[1].raw == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "a-model-0925",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        **COSTS,
    }


FOX = "\N{FOX FACE}"
HALVES = ("\ud83e", "\udd8a")


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (HALVES, FOX),
        (("a" + HALVES[0], HALVES[1] + "b"), f"a{FOX}b"),
        ((HALVES[0], "", None, HALVES[1]), FOX),
        ((HALVES[0], HALVES[1] + HALVES[0], HALVES[1]), FOX * 2),
        ((HALVES[0], "a"), "?a"),
        (("a", HALVES[1]), "a?"),
        ((HALVES[0], HALVES[0], HALVES[1]), f"?{FOX}"),
        (("a", HALVES[0]), "a?"),
    ],
    ids=ascii,
)
def test_a_character_may_come_in_two_halves(parts: Any, text: str) -> None:
    assert read(said(*parts))[1].text == text


def test_content_may_come_in_parts_and_anything_else_beside_it() -> None:
    events = [
        chunk({"role": "assistant", "content": None, "reasoning_content": "Let me "}),
        chunk({"content": [{"type": "text", "text": "a"}, {"type": "x"}], "reasoning_content": "think."}),
        chunk({"content": "b", "refusal": None, "role": "assistant"}),
        chunk({"audio": {"id": "audio_1", "data": "AA"}}),
        chunk({"audio": {"id": "audio_1", "data": "BB"}}),
        chunk(end="stop"),
    ]
    texts, answer = read(events)
    assert texts == ["a", "b"]
    assert answer.message == {
        "role": "assistant",
        "content": "ab",
        "reasoning_content": "Let me think.",
        "refusal": None,
        "audio": {"id": "audio_1", "data": "AABB"},
    }


def test_of_several_choices_the_one_that_begins_is_the_answer_and_all_are_in_raw() -> None:
    for first, second in ((0, 1), (1, 0)):
        events = [
            chunk({"role": "assistant", "content": "a"}, index=first),
            chunk({"role": "assistant", "content": "x"}, index=second),
            chunk({"content": "b"}, index=first),
            chunk({"content": "y"}, index=second),
            chunk(end="length", index=second),
            chunk(end="stop", index=first),
            DONE,
        ]
        texts, answer = read(events)
        assert (texts, answer.text, answer.finish_reason) == (["a", "b"], "ab", "stop")
        assert {choice["index"]: choice["message"]["content"] for choice in answer.raw["choices"]} == {
            first: "ab",
            second: "xy",
        }


def test_several_choices_may_share_a_chunk() -> None:
    both = [{"index": n, "delta": {"content": text}, "finish_reason": "stop"} for n, text in enumerate("ab")]
    texts, answer = read([event({"choices": both})])
    assert (texts, len(answer.raw["choices"])) == (["a"], 2)


def test_a_stream_with_a_choice_that_has_not_ended_is_cut() -> None:
    texts, error = fails(chunk({"content": "a"}), chunk({"content": "x"}, index=1), chunk(end="stop"), DONE)
    assert (texts, "the stream ended before the answer did" in str(error)) == (["a"], True)


def test_an_answer_may_come_whole_although_a_stream_was_asked_for() -> None:
    whole = {
        "choices": [{"message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
        **COSTS,
    }
    for body in (
        json.dumps(whole).encode(),
        b"\xef\xbb\xbf \n" + json.dumps({"code": 200, "data": whole}).encode(),
    ):
        for pieces in ([body], [body[:5], body[5:]], [body[place : place + 1] for place in range(len(body))]):
            texts, answer = read(pieces)
            assert (texts, answer.raw) == (["Hi."], whole)


def test_an_answer_may_have_no_text() -> None:
    assert read(said())[0] == []
    assert read([json.dumps({"choices": [{"message": {"content": None}}]}).encode()])[0] == []


# What is no chat


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n \n",
        b"\xef\xbb\xbf",
        DONE,
        b": keep-alive\n\n" * 3,
        event({**COSTS, "choices": []}),
        event({"choices": []}) + DONE,
        event({"object": "chat.completion.chunk"}) + DONE,
        b"[1, 2]",
        b"error code: 1010",
        b"data\n\n",
    ],
)
def test_a_stream_with_nothing_in_it_is_an_error(body: bytes) -> None:
    texts, error = fails(body)
    assert (texts, isinstance(error, KieResponseError)) == ([], True)
    assert "may have been billed" in str(error)


def test_what_comes_in_place_of_a_stream_is_quoted() -> None:
    _, error = fails(b"error code: 1010")
    assert "error code: 1010" in str(error)


ODD: list[Any] = [5, "a", True, [], {}, [5], ["a"], [None], [[]], {"a": 1}, 0.5]


@pytest.mark.parametrize("odd", ODD, ids=str)
@pytest.mark.parametrize(
    "place", ["choices", "delta", "content", "tool_calls", "function", "index", "usage", "id"]
)
def test_what_is_odd_in_a_chunk_is_passed_over_or_an_error(place: str, odd: Any) -> None:
    chunks = {
        "choices": event({"choices": odd}),
        "delta": event({"choices": [{"index": 0, "delta": odd}]}),
        "content": chunk({"content": odd}),
        "tool_calls": chunk({"tool_calls": odd}),
        "function": chunk({"tool_calls": [{"index": 0, "function": odd}]}),
        "index": chunk({"tool_calls": [{"index": odd, "id": odd, "function": {"arguments": "{}"}}]}),
        "usage": event({"choices": [], "usage": odd, "credits_consumed": odd, "model": odd}),
        "id": chunk({"content": "?"}, index=odd, end=odd, id=odd),
    }
    for events in ([chunks[place], *said("a", "b")], [*said("a", "b")[:-2], chunks[place], *said()[-2:]]):
        if error := trouble_with(events):
            assert isinstance(error, KieResponseError)
            assert "may have been billed" in str(error)


@pytest.mark.parametrize(
    "junk",
    [
        b"data: nonsense\n\n",
        b"data: {\n\n",
        b"data: null\n\n",
        b"data: []\n\n",
        b'data: "[DONE]"\n\n',
        b"data: \xff\xfe\n\n",
        b"data: " + b'{"a":' * 5000 + b"\n\n",
        b"data: " + b"[" * 5000 + b"\n\n",
        b'{"half": \n\n',
        b"data: <html>busy</html>\n\n",
    ],
    ids=lambda junk: ascii(junk)[:30],
)
def test_an_event_that_nobody_can_read_is_an_error_after_the_texts_before_it(junk: bytes) -> None:
    texts, error = fails(*said("a", "b")[:3], junk, *said("a", "b")[3:])
    assert (texts, isinstance(error, KieResponseError)) == (["a", "b"], True)
    assert "may have been billed" in str(error)


def test_a_page_in_the_middle_is_a_cut_stream() -> None:
    page = b"<html>\n<body>502: https://h.example/?sig=s3cret</body>\n</html>\n"
    texts, error = fails(*said("a")[:2], page)
    assert (texts, "the stream ended before the answer did" in str(error)) == (["a"], True)


@pytest.mark.parametrize("end", [None, "", False, 0])
def test_a_stream_that_does_not_say_why_it_ended_is_cut_end_mark_or_not(end: Any) -> None:
    for last in (DONE, b""):
        texts, error = fails(*said("a")[:2], chunk(end=end), last)
        assert (texts, "the stream ended before the answer did" in str(error)) == (["a"], True)
        assert error.transient
        assert "may have been billed" in str(error)


def test_an_abyss_in_a_chunk_is_cut_or_an_error() -> None:
    # Python's own limit is in the last hundred but one.
    for depth in (50, 200, *range(850, 1010, 5), 5000):
        for opening, closing in (b'{"a":', b"}"), (b"[", b"]"):
            abyss = opening * depth + b"1" + closing * depth
            deep = b'data: {"choices": [{"delta": {"x": %b}}]}\n\n' % abyss
            error = trouble_with([deep, deep, *said("a")])
            assert error is None or isinstance(error, KieResponseError)


def test_a_whole_answer_amid_a_stream_is_nothing_that_anybody_can_read() -> None:
    whole = event({"choices": [{"message": {"role": "assistant", "content": "Hi."}}]})
    texts, error = fails(*said("a")[:2], whole, *said("a")[2:])
    assert (texts, "an event in it that nobody can read" in str(error)) == (["a"], True)


def test_a_stream_is_asked_for_once_and_with_its_usage() -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, content=iter(said("a")))

    told(stream_of(answer))
    [request] = requests
    sent = json.loads(request.content)
    assert (sent["stream"], sent["stream_options"]) == (True, {"include_usage": True})


def test_the_error_of_a_models_vendor_counts_beside_kie_ais_success() -> None:
    body = event({"code": 200, "error": {"code": 503, "message": "overloaded"}})
    _, error = fails(b"".join(said("Hi")[:2]) + body)
    assert isinstance(error, KieUnavailableError)
    assert (error.code, "overloaded" in str(error)) == (503, True)


def test_a_long_answer_in_small_pieces_is_put_together_once() -> None:
    completion = Completion()
    for _ in range(100_000):
        completion.add({"choices": [{"index": 0, "delta": {"content": "word ", "reasoning_content": "hm "}}]})
    message = completion.to_dict()["choices"][0]["message"]
    assert message == {"content": "word " * 100_000, "reasoning_content": "hm " * 100_000}


def test_what_ends_the_reading_leaves_word_that_the_answer_may_be_billed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def ended() -> Iterator[bytes]:
        yield b"".join(said("Hi")[:2])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(stream_of(ended()))
    assert "may have been billed" in caplog.text
