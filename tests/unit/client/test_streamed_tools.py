"""Tools that are called in a stream: each call whole, however its pieces are numbered and mixed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.client.streaming import DONE, chunk, read


def piece(arguments: Any = None, *, name: str | None = None, **more: Any) -> dict[str, Any]:
    """Write a piece of a call; the first has its name."""
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return {**({"type": "function"} if name else {}), **more, "function": function}


def first(name: str, arguments: Any = "", **more: Any) -> dict[str, Any]:
    return piece(arguments, name=name, **{"id": f"call_{name}", **more})


def calls_of(*pieces: Any, text: str | None = None) -> list[tuple[str, str, str]]:
    """Read a stream of these pieces: id, name and arguments of each call."""
    deltas = [{"role": "assistant", "content": text}, *({"tool_calls": [one]} for one in pieces)]
    texts, answer = read([*map(chunk, deltas), chunk(end="tool_calls"), DONE])
    assert ("".join(texts), answer.finish_reason) == (text or "", "tool_calls")
    calls = answer.message["tool_calls"]
    assert all(set(call) == {"id", "type", "function"} and call["type"] == "function" for call in calls)
    return [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls]


A, B = ("call_a", "a", '{"x": 1}'), ("call_b", "b", "{}")


def test_a_call_comes_in_pieces() -> None:
    pieces = [first("a", index=0), piece('{"x"', index=0), piece(": 1}", index=0), piece("", index=0)]
    assert calls_of(*pieces) == [A]
    assert calls_of(*pieces, text="Well.") == [A]


def test_several_calls_come_one_after_the_other() -> None:
    pieces = [first("a", '{"x"', index=0), piece(": 1}", index=0), first("b", index=1), piece("{}", index=1)]
    assert calls_of(*pieces) == [A, B]


def test_the_pieces_of_several_calls_may_be_mixed() -> None:
    pieces = [
        *(first("a", index=0), first("b", index=1), piece('{"x"', index=0), piece("{", index=1)),
        *(piece(": 1}", index=0), piece("}", index=1)),
    ]
    assert calls_of(*pieces) == [A, B]


def test_several_pieces_may_share_a_chunk() -> None:
    both = {"tool_calls": [first("a", A[2], index=0), first("b", "{}", index=1)]}
    message = read([chunk(both), chunk(end="tool_calls")])[1].message
    assert [call["function"]["arguments"] for call in message["tool_calls"]] == [A[2], "{}"]


@pytest.mark.parametrize("number", [{}, {"index": None}, {"index": 0}, {"index": 7}, {"index": "0"}], ids=str)
def test_calls_may_all_have_the_same_number_or_none(number: dict[str, Any]) -> None:
    assert calls_of(first("a", A[2], **number), first("b", "{}", **number)) == [A, B]
    pieces = [
        *(first("a", **number), piece('{"x"', **number), piece(": 1}", **number)),
        *(first("b", **number), piece("{}", **number)),
    ]
    assert calls_of(*pieces) == [A, B]


@pytest.mark.parametrize("known", [{"id": "call_a"}, {"id": ""}, {"id": None}, {"id": "call_z"}], ids=str)
def test_an_id_with_every_piece_begins_no_other_call(known: dict[str, Any]) -> None:
    [(_, name, arguments)] = calls_of(first("a", '{"x"', index=0), piece(": 1}", index=0, **known))
    assert (name, arguments) == A[1:]


def test_a_name_with_every_piece_is_one_name() -> None:
    assert calls_of(first("a", '{"x"', index=0), first("a", ": 1}", index=0)) == [A]


def test_numbers_may_begin_anywhere_and_in_any_order() -> None:
    pieces = [first("b", index=4), first("a", index=1), piece("{}", index=4), piece(A[2], index=1)]
    assert calls_of(*pieces) == [B, A]


def test_what_is_no_piece_of_a_call_is_passed_over() -> None:
    assert calls_of(None, 5, "a", [], first("a", A[2], index=0), None) == [A]


@pytest.mark.parametrize("nothing", [None, [], "", {}, 0], ids=str)
def test_where_no_tool_is_called_the_message_has_no_calls(nothing: Any) -> None:
    message = read([chunk({"content": "a", "tool_calls": nothing}), chunk(end="stop")])[1].message
    assert message == {"content": "a"}


def test_a_function_is_called_in_the_old_form_too() -> None:
    deltas = [{"function_call": {"name": "a", "arguments": ""}}, {"function_call": {"arguments": A[2]}}]
    message = read([*map(chunk, deltas), chunk(end="function_call")])[1].message
    assert message["function_call"] == {"name": "a", "arguments": A[2]}
