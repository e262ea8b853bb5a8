"""What becomes of a model's answer, however odd: an answer that XCom can carry, or an error that quotes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import Any

import pytest

from airflow_provider_kie.client.api.chat import parse_chat
from airflow_provider_kie.client.errors import KieError, KieResponseError
from tests.unit.client.api.completions import carried, completion, error_of, read


def test_an_answer_has_all_that_is_said() -> None:
    answer = completion()
    assert carried(read(answer)) == {
        "text": "Hi.",
        "message": {"role": "assistant", "content": "Hi."},
        "model": "a-model-0925",
        "finish_reason": "stop",
        "usage": {"total_tokens": 3},
        "credits": 0.01,
        "raw": answer,
    }


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", ""),
        (None, ""),
        (" \n", " \n"),
        ("\u2028\x85\N{FOX FACE}", "\u2028\x85\N{FOX FACE}"),
        ([], ""),
        ([{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}], "ab"),
        (["a", None, 5, {"text": None}, {"text": 5}, {"text": "b"}, [{"text": "c"}]], "b"),
        ("\ud83e\udd8a", "\N{FOX FACE}"),
        ("half \ud83e, other half \udd8a", "half ?, other half ?"),
        ("\ufeffa", "\ufeffa"),
        ("\x00", "?"),
    ],
    ids=ascii,
)
def test_the_text_is_what_the_message_says(content: Any, text: str) -> None:
    answer = read(completion({"role": "assistant", "content": content}))
    assert carried(answer)["text"] == text


def test_a_message_without_content_has_no_text() -> None:
    calls = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]
    answer = read(completion({"role": "assistant", "tool_calls": calls}))
    assert (answer.text, answer.message["tool_calls"]) == ("", calls)
    carried(answer)


@pytest.mark.parametrize("content", [5, 0, 0.5, True, False, {}, {"text": "a"}])
def test_content_that_is_no_text_is_an_error(content: Any) -> None:
    error = error_of(completion({"role": "assistant", "content": content}))
    assert isinstance(error, KieResponseError)
    assert f"the message's content is no text but {type(content).__name__}" in str(error)


@pytest.mark.parametrize(
    "choices",
    [
        *(None, [], {}, "", "a", 5, True, [None], [5], ["a"], [[]], [{}], {"0": {"message": {}}}),
        *([{"message": None}], [{"message": "Hi."}], [{"message": []}], [{"text": "Hi."}]),
        *([None, {"message": {"content": "second"}}],),
    ],
    ids=str,
)
def test_an_answer_without_a_message_is_an_error_that_quotes_it(choices: Any) -> None:
    error = error_of(completion(choices=choices))
    assert isinstance(error, KieResponseError)
    assert "the answer has no message: {'id': 'chatcmpl-1'" in str(error)
    assert not error.transient


@pytest.mark.parametrize("body", [{}, {"data": None}, {"choices": []}, {"code": None, "msg": "m"}], ids=str)
def test_an_answer_with_nothing_in_it_is_quoted(body: Any) -> None:
    assert f"the answer has no message: {body}" in str(error_of(body))


@pytest.mark.parametrize(
    ("said", "known"),
    [
        (0, 0.0),
        (12, 12.0),
        (0.01, 0.01),
        ("0.01", 0.01),
        (-1.5, -1.5),
        (None, None),
        ("", None),
        ("free", None),
        (True, None),
        (False, None),
        ([1], None),
        ({"amount": 1}, None),
        (float("nan"), None),
        ("nan", None),
        ("-inf", None),
        (float("inf"), None),
        (1e300, None),
        (10**400, None),
    ],
    ids=str,
)
def test_the_price_is_a_number_or_unknown(said: Any, known: float | None) -> None:
    answer = read(completion(credits_consumed=said))
    assert (answer.credits, type(answer.credits)) == (known, type(known))
    carried(answer)


def test_a_price_that_is_not_told_is_unknown() -> None:
    answer = completion()
    del answer["credits_consumed"], answer["usage"], answer["model"]
    known = carried(read(answer))
    assert (known["credits"], known["usage"], known["model"]) == (None, None, None)


@pytest.mark.parametrize("odd", [5, "", "a", [], [1], True, None], ids=str)
def test_what_is_odd_beside_the_message_is_left_in_raw(odd: Any) -> None:
    answer = completion(usage=odd, model=odd, id=odd)
    answer["choices"][0]["finish_reason"] = odd
    known = carried(read(answer))
    as_text = odd if isinstance(odd, str) else None
    assert (known["usage"], known["model"], known["finish_reason"]) == (None, as_text, as_text)
    assert known["raw"] == answer


def test_numbers_that_nobody_can_carry_are_made_fit() -> None:
    usage = {"big": 2**63, "less": -(2**63), "fits": 2**63 - 1, "no": float("nan"), "more": float("inf")}
    assert carried(read(completion(usage=usage)))["usage"] == {
        "big": str(2**63),
        "less": str(-(2**63)),
        "fits": 2**63 - 1,
        "no": None,
        "more": None,
    }


def test_half_characters_are_made_whole_in_keys_too() -> None:
    known = carried(read(completion(usage={"\ud83e": "\udd8a", "\ud83e\udd8a": 1})))
    assert known["usage"] == {"?": "?", "\N{FOX FACE}": 1}


# Python's own limit is in the last hundred.
@pytest.mark.parametrize("depths", [[50, 100, 400, 800], range(880, 1010, 3), [2000, 100_000]], ids=str)
@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}")], ids=["lists", "dicts"])
def test_an_abyss_is_cut_or_an_error(brackets: tuple[str, str], depths: Sequence[int]) -> None:
    whole = json.dumps(completion())
    for depth in depths:
        abyss = f"{brackets[0] * depth}5{brackets[1] * depth}"
        bodies = (
            f'{whole[:-1]},"x":{abyss}}}',
            f'{{"x":{abyss}}}',
            f'{{"choices":{abyss}}}',
            f'{{"error":{{"message":{abyss}}}}}',
            f'{{"code":500,"msg":{abyss}}}',
            f'{{"code":200,"data":{abyss}}}',
        )
        for body in bodies:
            with contextlib.suppress(KieError):
                carried(read(body.encode()))


def test_long_numbers_are_an_error_that_quotes() -> None:
    error = error_of(json.dumps(completion()).encode()[:-1] + b',"x":' + b"9" * 5000 + b"}")
    assert "an answer that is no JSON object" in str(error)


@pytest.mark.parametrize("data", [None, 5, "a", [], {}], ids=str)
def test_the_parser_by_itself_refuses_what_is_no_completion(data: Any) -> None:
    with pytest.raises(KieResponseError, match=r"^the answer has no message: "):
        parse_chat(data)
