"""Any stream, cut anywhere: the same texts, and they add up to the answer; cut short, it is an error."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_kie.client.api.chunks import Completion, events
from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.client.portable import whole_characters
from tests.unit.client.streaming import DONE, chunk, event, read, said, stream_of, trouble_with

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
# Halves of characters among them.
texts = st.text(
    st.characters(exclude_categories=[]) | st.sampled_from("\ud83e\udd8a\u2028\r\n:{"), max_size=8
)
function = st.fixed_dictionaries({}, optional={"name": texts | anything, "arguments": texts | anything})
call = st.fixed_dictionaries(
    {},
    optional={"index": st.integers(0, 2) | anything, "id": texts | anything, "function": function | anything},
)
delta = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant") | anything,
        "content": texts | anything,
        "reasoning_content": texts,
        "tool_calls": st.lists(call | anything, max_size=3) | anything,
    },
)
choice = st.fixed_dictionaries(
    {"delta": delta | anything},
    optional={
        "index": st.integers(0, 2) | anything,
        "finish_reason": st.sampled_from([None, "stop"]) | anything,
    },
)
chunks = st.fixed_dictionaries(
    {"choices": st.lists(choice, max_size=2) | anything},
    optional={"usage": anything, "credits_consumed": anything, "model": anything, "id": anything},
)
ends = st.sampled_from([b"\n\n", b"\n", b"\r\n\r\n", b"\r", b"\n: comment\n\n"])


@given(spoken=st.lists(texts, max_size=6), end=ends, cuts=st.lists(st.integers(0, 2000), max_size=8))
@example(spoken=["\ud83e", "\udd8a"], end=b"\r\n\r\n", cuts=list(range(2000)))
def test_where_a_stream_is_cut_into_pieces_does_not_matter(
    spoken: list[str], end: bytes, cuts: list[int]
) -> None:
    body = b"".join(one.removesuffix(b"\n\n") + end for one in said(*spoken))
    places = [0, *sorted(cut for cut in cuts if cut < len(body)), len(body)]
    pieces = [body[start:stop] for start, stop in pairwise(places)]
    whole, cut = read([body]), read(pieces)
    assert cut == whole
    assert whole[1].text == whole_characters("".join(spoken))


@given(pieces=st.lists(st.binary(max_size=30)))
def test_any_bytes_are_split_into_the_same_events_in_any_pieces(pieces: list[bytes]) -> None:
    assert list(events(pieces)) == list(events([b"".join(pieces)]))


@given(given=st.lists(chunks, max_size=5), at=st.integers(0, 5))
def test_any_chunks_are_an_answer_or_a_kie_error(given: list[dict[str, Any]], at: int) -> None:
    told = said("a", "b")
    error = trouble_with([*told[:at], *map(event, given), *told[at:]])
    assert error is None or "billed" in str(error)


@given(given=st.lists(chunks, max_size=4))
def test_any_chunks_add_up_to_something(given: list[dict[str, Any]]) -> None:
    completion = Completion()
    for one in json.loads(json.dumps(given)):
        try:
            completion.add(one)
        except KieError:
            return
    assert completion.to_dict()["object"] == "chat.completion"


@given(body=st.binary(max_size=60) | texts.map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_in_a_stream_give_no_short_answer(body: bytes) -> None:
    for pieces in ([body], [body, *said("a")[:2]], [*said("a")[:2], b"\n", body]):
        with pytest.raises(KieError):
            read([*pieces, b"\n", DONE])


@given(spoken=st.lists(texts.filter(bool), min_size=1, max_size=4), share=st.floats(0, 1))
def test_what_is_cut_before_its_end_is_never_an_answer(spoken: list[str], share: float) -> None:
    body = b"".join(said(*spoken))
    end = body.index(chunk(end="stop")) + len(chunk(end="stop").rstrip())
    with pytest.raises(KieError):
        list(stream_of([body[: int(share * (end - 1))]]))


@given(
    status=st.integers(200, 599), body=st.binary(max_size=30) | anything.map(lambda v: json.dumps(v).encode())
)
def test_any_answer_in_place_of_a_stream_is_a_kie_error(status: int, body: bytes) -> None:
    with pytest.raises(KieError):
        list(stream_of(lambda _: httpx.Response(status, content=body)))
