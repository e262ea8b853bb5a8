"""Answers that are to be JSON."""

from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_provider_kie.client.api.chat import parse_chat, parse_json
from airflow_provider_kie.client.errors import KieResponseError
from tests.unit.client.api.completions import completion


def parsed(text: str | None, finish_reason: str = "stop") -> Any:
    answer = completion({"role": "assistant", "content": text})
    answer["choices"][0]["finish_reason"] = finish_reason
    return parse_json(parse_chat(answer))


def refusal(text: str | None, finish_reason: str = "stop") -> str:
    with pytest.raises(KieResponseError) as caught:
        parsed(text, finish_reason)
    # Another try may bring JSON.
    assert caught.value.transient
    said = str(caught.value)
    assert said.startswith("the answer is no JSON")
    assert said.isprintable()
    assert len(said) < 800
    return said


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 0.5, "1", true, null]}', {"a": [1, 0.5, "1", True, None]}),
        (' \n{"a": 1}\n ', {"a": 1}),
        ("[]", []),
        ("5", 5),
        ('"```"', "```"),
        ("null", None),
        ('{"a": "\\ud83e\\udd8a"}', {"a": "\N{FOX FACE}"}),
        ('{"a": "\\ud83e"}', {"a": "?"}),
        ('{"a": 1e999}', {"a": None}),
        (f'{{"a": {2**64}}}', {"a": str(2**64)}),
        ('{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_json_is_read_into_what_xcom_can_carry(text: str, value: Any) -> None:
    assert repr(parsed(text)) == repr(value)


@pytest.mark.parametrize(
    "text",
    [
        "```json\n{}\n```",
        "```\n{}\n```",
        "```JSON\r\n{}\r\n```\r\n",
        "\n\n  ```json  \n\n{}\n\n  ```  \n",
        "```json\n{}```",
        "```{}```",
        "```json {}```",
        "\ufeff{}",
        "```json5\n{}\n```",
    ],
    ids=ascii,
)
@pytest.mark.parametrize("value", ['{"a": 1}', '{\n  "a": "```"\n}', "[]"])
def test_a_fence_around_it_does_not_count(text: str, value: str) -> None:
    assert parsed(text.replace("{}", value)) == parsed(value)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Here it is: {}", "Here it is: {}"),
        ("{} I hope that it helps.", "{} I hope that it helps."),
        ("Sure!\n```json\n{}\n```", "Sure! ```json {} ```"),
        ("```json\n{}\n```\nThat is it.", "```json {} ``` That is it."),
        ("```json\n{}\n```\n```json\n{}\n```", "```json {} ``` ```json {} ```"),
        ("```", "```"),
        ("``````", "``````"),
        ("```json\n```", "```json ```"),
        ("```json\n{}", "```json {}"),
        ("{'a': 1}", "{'a': 1}"),
        ('{"a": 1,}', '{"a": 1,}'),
        ('{"a": NaN}', '(NaN is no JSON): {"a": NaN}'),
        ('{"a": -Infinity}', '(-Infinity is no JSON): {"a": -Infinity}'),
        ("see https://h.example/a?sig=s3cret", "see https://..."),
        ("x" * 10_000, "xxx..."),
        ("[" * 10_000, "[[[..."),
        ("9" * 5_000, "999..."),
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_what_is_no_json_is_quoted(text: str, quoted: str) -> None:
    said = refusal(text)
    assert said.endswith(quoted)
    assert "max_tokens" not in said
    assert "s3cret" not in said


@pytest.mark.parametrize("text", ["", None, " \n"])
def test_an_answer_without_text_is_quoted_as_nothing(text: str | None) -> None:
    assert refusal(text).endswith("): nothing")


def test_an_answer_that_was_cut_says_so() -> None:
    assert refusal('{"a": "b', "length").startswith(
        "the answer is no JSON, because it was cut at max_tokens ("
    )
    assert parsed("{}", "length") == {}


@pytest.mark.parametrize(
    "text",
    [
        "```json" + "\n" * 200_000,
        "```" + " \n" * 100_000 + "{",
        "\n" * 200_000,
        "```\n" * 50_000,
        "`" * 200_000,
    ],
    ids=["lines after a fence", "blank lines after a fence", "lines", "fences", "backticks"],
)
def test_a_model_that_does_not_stop_is_refused_at_once(text: str) -> None:
    begin = time.monotonic()
    refusal(text, "length")
    assert time.monotonic() - begin < 2
