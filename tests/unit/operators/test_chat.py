"""The operator that chats: what it sends, what it gives, what it refuses to send."""

from __future__ import annotations

import inspect
import json
import re
import threading
from datetime import timedelta
from typing import Any, cast

import pytest
from airflow.sdk import DAG, task

from airflow_provider_kie import _rendering
from airflow_provider_kie._compat import AirflowFailException
from airflow_provider_kie.client.api.chat import TIMEOUT_SECONDS
from airflow_provider_kie.client.errors import KieCancelledError, KieError, KieResponseError
from airflow_provider_kie.operators.chat import KieChatOperator
from airflow_provider_kie.simulator import KieSimulator

SAID = "Which foxes are red?"
KEYS = ["text", "message", "model", "finish_reason", "usage", "credits", "raw", "parsed"]


@pytest.fixture(autouse=True)
def _connected(kie: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", kie.connection())


def operator(**arguments: Any) -> KieChatOperator:
    return KieChatOperator(task_id="t", **{"model": "m", **arguments})


def run(values: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    chat, context = operator(**arguments), cast("Any", values or {})
    chat.render_template_fields(context)
    return chat.execute({})


def messages_of(kie: KieSimulator) -> list[tuple[str, Any]]:
    [chat] = kie.chats
    return [(message["role"], message["content"]) for message in chat.messages]


# What it sends


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"prompt": SAID}, [("user", SAID)]),
        ({"messages": SAID}, [("user", SAID)]),
        ({"messages": [{"role": "user", "content": SAID}]}, [("user", SAID)]),
        ({"prompt": SAID, "system": "Be brief."}, [("system", "Be brief."), ("user", SAID)]),
    ],
    ids=str,
)
def test_the_model_is_told_what_was_given(given: dict[str, Any], sent: Any, kie: KieSimulator) -> None:
    assert run(**given)["text"] == SAID
    assert messages_of(kie) == sent


def test_no_value_changes_its_type_on_the_way(kie: KieSimulator) -> None:
    options = {"temperature": 0.5, "top_p": "0.5", "stop": [5, "5", None, True], "n": {"deep": [{"a": 1.0}]}}
    parts = [{"type": "text", "text": "5"}, {"type": "n", "n": 5, "none": None}]
    with pytest.raises(AirflowFailException, match="top_p"):
        run(messages=[{"role": "user", "content": parts}], options=options)
    sent = kie.requests_to("chat")[0].json
    assert repr({name: sent[name] for name in options}) == repr(options)
    assert repr(sent["messages"][0]["content"]) == repr(parts)


def test_templates_are_rendered_at_any_depth(kie: KieSimulator) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "a {{ animal }}"}]}]
    options = {"user": "{{ animal }}", "stop": ["{{ animal }}", {"deep": ["{{ animal }}"]}]}
    more = {"model": "{{ 'm' }}", "timeout": "{{ 60 }}", "output_type": "{{ 'text' }}"}
    assert run({"animal": "fox"}, messages=messages, options=options, **more)["text"] == "a fox"
    [chat] = kie.chats
    assert (chat.model, chat.body["user"], chat.body["stop"]) == ("m", "fox", ["fox", {"deep": ["fox"]}])


def test_prompt_system_and_connection_are_templates_too(kie: KieSimulator) -> None:
    run({"a": "x", "c": "kie_default"}, prompt="{{ a }}", system="{{ a }}", kie_conn_id="{{ c }}")
    assert messages_of(kie) == [("system", "x"), ("user", "x")]


def test_every_argument_but_airflows_own_is_a_template() -> None:
    arguments = set(inspect.signature(KieChatOperator.__init__).parameters) - {"self", "kwargs"}
    assert arguments == set(KieChatOperator.template_fields)
    assert KieChatOperator.template_fields_renderers.keys() <= arguments


def test_it_waits_as_long_as_the_hook_does() -> None:
    assert operator(prompt="a").timeout == TIMEOUT_SECONDS


def test_many_chats_are_one_mapped_task(kie: KieSimulator) -> None:
    with DAG("d"):
        mapped = KieChatOperator.partial(task_id="t", model="m", system="Be brief.").expand(prompt=["a", "b"])
    unmapped = mapped.unmap({"prompt": "b"})
    assert isinstance(unmapped, KieChatOperator)
    assert unmapped.execute({})["text"] == "b"
    assert messages_of(kie) == [("system", "Be brief."), ("user", "b")]


def test_what_another_task_gives_may_stand_anywhere() -> None:
    with DAG("d"):

        @task
        def look() -> str:
            return "https://a.example/a.png"

        parts = [{"type": "image_url", "image_url": {"url": look()}}]
        chat = operator(messages=[{"role": "user", "content": parts}])
    assert [each.task_id for each in chat.upstream_list] == ["look"]


@pytest.mark.parametrize("timeout", [3, 3.5, "3", timedelta(seconds=3)], ids=str)
def test_the_timeout_is_longer_than_the_connections_where_it_says_so(
    timeout: Any, kie: KieSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = json.loads(kie.connection())
    extra = {**connection.get("extra", {}), "timeout": 0.2}
    monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", json.dumps({**connection, "extra": extra}))
    kie.add_chat_model("m", seconds=0.5)
    assert run(prompt=SAID, timeout=timeout)["text"] == SAID


# What it gives


def test_it_gives_the_whole_answer_json_safe(kie: KieSimulator) -> None:
    result = run(prompt=SAID)
    assert list(result) == KEYS
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    raw = result.pop("raw")
    assert result == {
        "text": SAID,
        "message": {"role": "assistant", "content": SAID},
        "model": "m",
        "finish_reason": "stop",
        "usage": raw["usage"],
        "credits": 0.01,
        "parsed": None,
    }


@pytest.mark.parametrize("given", [{}, {"multiple_outputs": True}, {"multiple_outputs": False}], ids=str)
def test_each_key_is_an_xcom_of_its_own_unless_that_is_turned_off(given: dict[str, bool]) -> None:
    assert operator(prompt="a", **given).multiple_outputs is given.get("multiple_outputs", True)


def test_the_text_of_one_chat_goes_into_the_next() -> None:
    with DAG("d"):
        first = KieChatOperator(task_id="first", model="m", prompt="a")
        second = KieChatOperator(task_id="second", model="m", prompt=first.output["text"])  # type: ignore[index]
    assert [each.task_id for each in second.upstream_list] == ["first"]


def test_tools_that_are_called_are_in_the_message(kie: KieSimulator) -> None:
    kie.add_chat_model("m", tool_calls=[("look", {"where": "there"})])
    result = run(prompt=SAID)
    assert (result["text"], result["finish_reason"]) == ("", "tool_calls")
    assert json.loads(result["message"]["tool_calls"][0]["function"]["arguments"]) == {"where": "there"}


# JSON


@pytest.mark.parametrize("text", ['{"a": [1, "1"]}', '```json\n{"a": [1, "1"]}\n```', ' {"a":[1,"1"]}\n'])
def test_json_is_given_beside_its_text(text: str, kie: KieSimulator) -> None:
    kie.add_chat_model("m", text=text)
    result = run(prompt=SAID, output_type="json")
    assert (result["parsed"], result["text"]) == ({"a": [1, "1"]}, text)
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_json_may_be_asked_for_in_the_options(kie: KieSimulator) -> None:
    asked = {"response_format": {"type": "json_object"}}
    assert run(prompt=SAID, output_type="json", options=asked)["parsed"] == {"echo": SAID}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"text": "Here: {}"}, r"no JSON \(.*\): Here: {}"),
        ({"text": '{"a": NaN}'}, r'no JSON \(NaN is no JSON\): {"a": NaN}'),
        ({"text": '{"a": "b', "finish_reason": "length"}, r"no JSON, because it was cut at max_tokens"),
        ({"text": ""}, r"no JSON \(.*\): nothing"),
        ({"tool_calls": [("look", {})]}, r"no JSON \(.*\): nothing"),
    ],
    ids=str,
)
def test_what_is_no_json_is_quoted_and_may_be_asked_again(
    told: dict[str, Any], said: str, kie: KieSimulator
) -> None:
    kie.add_chat_model("m", **told)
    with pytest.raises(KieResponseError, match=said):
        run(prompt=SAID, output_type="json")
    assert len(kie.chats) == 1
    assert run(prompt=SAID)["parsed"] is None


# What it refuses to send

HELLO = [{"role": "user", "content": "Hello"}]
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "either messages or prompt"),
    "both": ({"messages": HELLO, "prompt": "a"}, "either messages or prompt"),
    "system with messages": ({"messages": HELLO, "system": "a"}, "system goes with prompt"),
    "no messages": ({"messages": []}, "messages"),
    "empty messages": ({"messages": ""}, "messages"),
    "no role": ({"messages": [{"content": "a"}]}, r"messages\[0\]"),
    "one message": ({"messages": HELLO[0]}, "messages must be a list, not dict"),
    "an empty prompt": ({"prompt": ""}, "prompt"),
    "a blank prompt": ({"prompt": " \n"}, "prompt"),
    "a number for a prompt": ({"prompt": 5}, "prompt"),
    "parts for a prompt": ({"prompt": [{"type": "text", "text": "a"}]}, "prompt"),
    "half a character": ({"prompt": "\ud83e"}, "prompt"),
    "a number for the system": ({"prompt": "a", "system": 5}, "system"),
    "half a character for the system": ({"prompt": "a", "system": "\ud83e"}, "system"),
    "no model": ({"prompt": "a", "model": None}, "model"),
    "a path for a model": ({"prompt": "a", "model": "../m"}, "model"),
    "options as text": ({"prompt": "a", "options": "{'temperature': 1}"}, "options must be a dict, not str"),
    "options of ours": ({"prompt": "a", "options": {"stream": True}}, "'stream'"),
    "a set in the options": ({"prompt": "a", "options": {"stop": {"a"}}}, r"options\['stop'\]"),
    "unknown output_type": ({"prompt": "a", "output_type": "xml"}, "output_type must be one of text, json"),
    "no timeout": ({"prompt": "a", "timeout": 0}, "timeout"),
    "timeout of None": ({"prompt": "a", "timeout": None}, "timeout"),
    "a word for a timeout": ({"prompt": "a", "timeout": "soon"}, "timeout"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_a_value_error_and_nothing_is_sent(name: str, kie: KieSimulator) -> None:
    arguments, named = BAD[name]
    with pytest.raises(ValueError, match=r"\w") as caught:
        operator(**arguments).execute({})
    assert not isinstance(caught.value, KieError)
    assert re.search(named, str(caught.value)), caught.value
    assert kie.requests == []


def test_a_template_that_renders_to_nothing_is_refused(kie: KieSimulator) -> None:
    with pytest.raises(ValueError, match="prompt"):
        run({"text": ""}, prompt="{{ text }}")
    assert kie.requests == []


# What it shows

SIGNED = "https://cdn.example/a.png?X-Signature=0123456789"
PLACES: dict[str, dict[str, Any]] = {
    "in a part": {"messages": [{"role": "user", "content": [{"image_url": {"url": SIGNED}}]}]},
    "amid a text": {"messages": f"what is on {SIGNED}, and why?"},
    "in the prompt": {"prompt": f"what is on {SIGNED}?"},
    "in the system": {"prompt": "a", "system": f"you have drawn {SIGNED}."},
    "beside a long prompt": {"prompt": "x" * 10_000, "system": SIGNED},
    "in the options": {"prompt": "a", "options": {"image": [{"url": SIGNED}]}},
}


@pytest.mark.parametrize("place", PLACES)
def test_a_signature_is_masked_wherever_it_stands(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    masked: list[str] = []
    monkeypatch.setattr(_rendering, "mask_secret", masked.append)
    operator(**PLACES[place]).render_template_fields({})
    assert any("0123456789" in query and query in SIGNED for query in masked)


def test_a_signature_in_a_mapped_task_is_masked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    masked: list[str] = []
    monkeypatch.setattr(_rendering, "mask_secret", masked.append)
    with DAG("d"):
        mapped = KieChatOperator.partial(task_id="t", model="m").expand(prompt=[SIGNED])
    mapped.unmap({"prompt": SIGNED}).render_template_fields({})
    assert masked == ["X-Signature=0123456789"]


def test_a_task_that_is_ended_before_it_sends_sends_nothing(kie: KieSimulator) -> None:
    chat = operator(prompt=SAID)
    chat.on_kill()
    with pytest.raises(KieCancelledError) as caught:
        chat.execute({})
    assert "billed" not in str(caught.value)
    assert kie.requests == []


def test_a_task_that_is_ended_says_that_the_answer_may_have_been_billed(kie: KieSimulator) -> None:
    kie.add_chat_model("m", seconds=20)
    chat = operator(prompt=SAID)
    threading.Timer(0.3, chat.on_kill).start()
    with pytest.raises(KieCancelledError, match="may have been billed"):
        chat.execute({})
    assert len(kie.chats) == 1
