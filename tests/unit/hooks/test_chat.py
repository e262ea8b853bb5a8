"""The hook's verbs for chat: what they send and log, and what they refuse before they look anything up."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_kie.client.api.chat import ChatAnswer
from airflow_provider_kie.client.errors import KieCancelledError, KieConnectionError, KieError
from airflow_provider_kie.hooks import _chat, _metrics
from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.simulator import KieSimulator

Connect = Callable[..., str]

SAID = "Which foxes are red?"
VERBS = ["chat", "stream_chat"]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    "bad",
    [
        {"messages": None},
        {"messages": ""},
        {"messages": [{"content": "a"}]},
        {"model": None},
        {"model": 5},
        {"model": ""},
        {"model": "../x"},
        {"model": "{model}"},
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": timedelta(0)},
        {"timeout": float("nan")},
        {"timeout": True},
        {"timeout": None},
        {"timeout": "soon"},
        {"options": {"stream": True}},
        {"options": {"tools": {1}}},
    ],
    ids=str,
)
def test_bad_arguments_are_refused_before_the_connection_is_even_looked_up(
    verb: str, bad: dict[str, Any]
) -> None:
    (name, value) = next(iter(bad.items()))
    more = value if name == "options" else {}
    arguments = {"messages": "Hello", "model": "a-model", **({} if more else bad), **more}
    with pytest.raises(ValueError, match=rf"^{name}\b") as caught:
        getattr(KieHook("kie_nowhere"), verb)(**arguments)
    assert not isinstance(caught.value, KieError)


@pytest.fixture
def hook(kie: KieSimulator, connect: Connect, caplog: pytest.LogCaptureFixture) -> KieHook:
    caplog.set_level(logging.INFO, _chat.__name__)
    connect(**json.loads(kie.connection()))
    return KieHook()


def ask(hook: KieHook, verb: str, messages: Any = SAID, **more: Any) -> ChatAnswer:
    if verb == "chat":
        return hook.chat(messages, **{"model": "a-model", **more})
    with hook.stream_chat(messages, **{"model": "a-model", **more}) as stream:
        assert "".join(stream) == stream.answer.text
        return stream.answer


@pytest.mark.parametrize("verb", VERBS)
def test_an_answer_has_its_text_its_tokens_and_its_price(verb: str, hook: KieHook, kie: KieSimulator) -> None:
    kie.add_chat_model("a-model", credits=2.5)
    answer = ask(hook, verb)
    assert (answer.text, answer.message["role"], answer.model) == (SAID, "assistant", "a-model")
    assert (answer.finish_reason, answer.credits) == ("stop", 2.5)
    assert answer.usage is not None
    assert answer.usage["total_tokens"] > 0
    assert json.loads(json.dumps(answer.to_dict(), allow_nan=False)) == answer.to_dict()
    assert kie.credits == 97.5


def test_both_verbs_give_the_same_but_for_ids_and_times(hook: KieHook, kie: KieSimulator) -> None:
    kie.add_chat_model("a-model", text="Well \N{FOX FACE}", tool_calls=[("f", {"a": 1}), ("g", {})])
    plain, streamed = (ask(hook, verb).to_dict() for verb in VERBS)
    for answer in (plain, streamed):
        answer["raw"] = {**answer["raw"], "id": "", "created": 0}
        for call in answer["message"]["tool_calls"]:
            call["id"] = ""
    assert plain == streamed


@pytest.mark.parametrize("verb", VERBS)
def test_options_reach_kie_ai_in_their_types(verb: str, hook: KieHook, kie: KieSimulator) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    options = {"temperature": 0.5, "top_p": 1, "max_tokens": 5, "tools": tools, "stop": None, "user": "5"}
    ask(hook, verb, **options)
    [chat] = kie.chats
    streaming = {"stream_options": {"include_usage": True}} if verb == "stream_chat" else {}
    told = [{"role": "user", "content": SAID}]
    expected = {"model": "a-model", "messages": told, "stream": verb == "stream_chat", **options, **streaming}
    assert repr(sorted(chat.body.items())) == repr(sorted(expected.items()))


@pytest.mark.parametrize("verb", VERBS)
def test_a_conversation_goes_on_with_the_message_that_was_given(
    verb: str, hook: KieHook, kie: KieSimulator
) -> None:
    kie.add_chat_model("a-model", tool_calls=[("look", {"where": "there"})])
    messages: list[dict[str, Any]] = [{"role": "user", "content": SAID}]
    first = ask(hook, verb, messages)
    assert (first.text, first.finish_reason) == ("", "tool_calls")
    [call] = first.message["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"where": "there"}
    result = {"role": "tool", "tool_call_id": call["id"], "content": "a fox"}
    assert ask(hook, verb, [*messages, first.message, result]).text == SAID
    assert kie.chats[1].messages[1] == first.message


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", ["a-model", "vendor/model:free", "a_b.c"])
def test_the_model_is_asked_under_its_own_path(
    verb: str, name: str, hook: KieHook, kie: KieSimulator
) -> None:
    ask(hook, verb, model=name)
    assert kie.requests[0].path == f"/{name}/v1/chat/completions"
    assert kie.chats[0].model == name


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("chat_path", "path"),
    [
        ("/api/v1/chat/completions", "/api/v1/chat/completions"),
        ("/{model}/v1/chat/completions", "/a-model/v1/chat/completions"),
        ("/v2/{model}/v1/chat/completions", "/v2/a-model/v1/chat/completions"),
    ],
)
def test_the_connection_may_name_another_path(
    verb: str, chat_path: str, path: str, hook: KieHook, kie: KieSimulator, connect: Connect
) -> None:
    fields = json.loads(kie.connection())
    connect(**{**fields, "extra": {**fields.get("extra", {}), "chat_path": chat_path}})
    assert ask(hook, verb).text == SAID
    assert kie.requests[0].path == path
    assert kie.chats[0].body["model"] == "a-model"


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("timeout", [3, "3", timedelta(seconds=3)], ids=str)
def test_an_answer_may_take_longer_than_the_connections_timeout(
    verb: str, timeout: Any, hook: KieHook, kie: KieSimulator, connect: Connect
) -> None:
    fields = json.loads(kie.connection())
    connect(**{**fields, "extra": {**fields.get("extra", {}), "timeout": 0.2}})
    kie.add_chat_model("a-model", seconds=0.5)
    assert ask(hook, verb, timeout=timeout).text == SAID
    with pytest.raises(KieConnectionError, match="may have been billed"):
        ask(hook, verb, timeout=0.2)
    assert len(kie.chats) == 2


@pytest.mark.parametrize("verb", VERBS)
def test_the_log_names_model_and_price_and_no_word_of_the_chat(
    verb: str, hook: KieHook, kie: KieSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ask(hook, verb)
    assert f"a-model has answered: 0.01 credits, {len(SAID)} characters" in caplog.messages
    assert SAID not in caplog.text
    assert "max_tokens" not in caplog.text


@pytest.mark.parametrize("verb", VERBS)
def test_the_log_says_when_the_price_is_unknown_and_the_answer_cut(
    verb: str, hook: KieHook, kie: KieSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    kie.add_chat_model("a-model", without=["usage"], finish_reason="length")
    ask(hook, verb)
    assert "a-model has answered: price unknown" in caplog.text
    [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "max_tokens" in warning.getMessage()


@pytest.mark.parametrize("verb", VERBS)
def test_metrics_are_told_of_answers_alone(
    verb: str, hook: KieHook, kie: KieSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[Any, ...]] = []
    stats = SimpleNamespace(
        incr=lambda name, count=1, *, tags: told.append((name, count, tags)),
        timing=lambda name, spent, *, tags: told.append((name, 0 < spent.total_seconds() < 10, tags)),
    )
    monkeypatch.setattr(_metrics, "get_stats", lambda: stats)
    ask(hook, verb)
    tags = {"model": "a-model", "conn_id": "kie_default"}
    whole = [
        ("kie.chat.answers", 1, tags),
        ("kie.credits.spent", 0.01, tags),
        ("kie.chat.seconds", True, tags),
    ]
    assert told == whole
    kie.fail_next("chat", code=422)
    kie.fail_next("chat", drop_after=50)
    for _ in range(2):
        with pytest.raises(KieError):
            ask(hook, verb)
    assert told == whole


def test_an_answer_may_be_long(hook: KieHook, kie: KieSimulator) -> None:
    kie.add_chat_model("a-model", text="x" * 2_000_000)
    assert len(ask(hook, "chat").text) == 2_000_000


def test_whoever_waits_is_called_at_least_ten_times_a_second_and_may_end_it(
    hook: KieHook, kie: KieSimulator
) -> None:
    kie.add_chat_model("a-model", seconds=20)
    calls: list[float] = []

    def end_soon() -> None:
        calls.append(time.monotonic())
        if calls[-1] > begin + 0.5:
            raise KieCancelledError("ended from outside")

    begin = time.monotonic()
    with pytest.raises(KieCancelledError, match=r"^ended from outside\. The answer may have been billed"):
        hook.ask(SAID, model="a-model", timeout=30, options=None, on_wait=end_soon)
    assert time.monotonic() - begin < 2
    assert len(calls) >= 5


def test_what_knows_nothing_of_bills_and_ends_it_leaves_a_word_in_the_log(
    hook: KieHook, kie: KieSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    kie.add_chat_model("a-model", seconds=20)

    def out_of_time() -> None:
        if kie.chats:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        hook.ask(SAID, model="a-model", timeout=30, options=None, on_wait=out_of_time)
    assert "chat with a-model: The answer may have been billed" in caplog.text


def test_the_key_stays_out_of_errors_and_log(
    hook: KieHook, kie: KieSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for verb in VERBS:
        kie.fail_next("chat", code=429, msg=f"no more for {kie.api_key}", times=9)
        with pytest.raises(KieError, match=r"no more for \*\*\*") as caught:
            ask(hook, verb)
        assert kie.api_key not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
        kie.reset()
    assert kie.api_key not in caplog.text


def test_streams_may_be_read_side_by_side(hook: KieHook, kie: KieSimulator) -> None:
    words = [" ".join(f"{name}{number}" for number in range(20)) for name in "ab"]
    with hook.stream_chat(words[0], model="m") as first, hook.stream_chat(words[1], model="n") as second:
        pairs = list(zip(first, second, strict=True))
        assert ["".join(texts) for texts in zip(*pairs, strict=True)] == words
        assert [list(first), list(second)] == [[], []]
        assert [first.answer.model, second.answer.model] == ["m", "n"]
