"""The commands in a shell that are about chats."""

from __future__ import annotations

import json

import httpx
import pytest

from airflow_provider_kie.simulator import KieSimulator
from tests.unit.simulator.chats import MESSAGES, ask, ask_for_stream
from tests.unit.simulator.conftest import Run


def test_chats_are_shown_with_what_they_cost(kie: KieSimulator, web: httpx.Client, run: Run) -> None:
    assert run("chats") == "No chats yet.\n"
    kie.add_chat_model("dear", credits=2)
    ask(kie, web)
    ask(kie, web, "dear", stream=True, messages=[{"role": "user", "content": "ü" * 200}])
    first, second = run("chats").splitlines()
    question = '{"role": "user", "content": "Which foxes are red?"}'
    assert first == f"0.01 charged  plain   a-model  {question}"
    assert second.startswith('2 charged  stream  dear  {"role": "user", "content": "üüü')
    assert (second.endswith("üüü ..."), len(second) < 200) == (True, True)


def test_all_that_is_known_of_the_chats_is_json(kie: KieSimulator, web: httpx.Client, run: Run) -> None:
    ask(kie, web, temperature=0.5)
    (line,) = run("chats", "--json").splitlines()
    chat = json.loads(line)
    assert chat.pop("at") == kie.chats[0].at
    assert chat == {
        "model": "a-model",
        "messages": MESSAGES,
        "body": {"messages": MESSAGES, "temperature": 0.5},
        "stream": False,
        "charged": 0.01,
    }


def test_what_a_model_answers_is_told(kie: KieSimulator, web: httpx.Client, run: Run) -> None:
    told = run("add-chat-model", "a-model", "--text", "Füchse", "--credits", "2", "--seconds", "0")
    assert told == "That is what a-model answers from now on.\n"
    body = ask(kie, web).json()
    assert (body["choices"][0]["message"]["content"], body["credits_consumed"]) == ("Füchse", 2)
    run("add-chat-model", "a-model", "--without", "usage", "--without", "done")
    assert '"finish_reason":"stop"' in ask_for_stream(kie, web)[-1]
    run("add-chat-model", "a-model", "--fail", "433", "--fail-after", "1")
    assert json.loads(ask_for_stream(kie, web)[-1])["code"] == 433
    with pytest.raises(SystemExit, match="fail_after counts"):
        run("add-chat-model", "a-model", "--fail-after", "1")


def test_a_chat_can_be_billed_and_its_answer_lost(kie: KieSimulator, web: httpx.Client, run: Run) -> None:
    run("fail", "chat", "--accept", "--drop-after", "-1")
    with pytest.raises(httpx.TransportError):
        ask(kie, web)
    assert len(run("chats").splitlines()) == 1
    assert run("requests").startswith('  -  POST    /a-model/v1/chat/completions  {"messages": [')
    run("fail", "chat", "--code", "429")
    ask(kie, web)
    assert run("requests", "--call", "chat").splitlines()[1].startswith("429  POST")
