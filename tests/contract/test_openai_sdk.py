"""OpenAI's own SDK understands what the simulator says in a chat, at once or streamed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

from airflow_provider_kie.simulator import KieSimulator

from . import openai_page
from .openai_page import MODEL

Ask = Callable[..., ChatCompletion]
ARGUMENTS = {"city": "Zürich", "days": 3}
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


class Forecast(BaseModel):
    city: str
    days: int


@pytest.fixture
def sdk(kie_simulator: KieSimulator) -> Iterator[openai.OpenAI]:
    url = f"{kie_simulator.api_url}/{MODEL}/v1"
    with openai.OpenAI(base_url=url, api_key=kie_simulator.api_key, max_retries=0) as client:
        yield client


@pytest.fixture(params=["at once", "streamed"])
def ask(sdk: openai.OpenAI, request: pytest.FixtureRequest) -> Ask:
    """Ask with OpenAI's SDK; a stream is put together by its own helper."""

    def at_once(*messages: Any, **options: Any) -> ChatCompletion:
        said = sdk.chat.completions.create(model=MODEL, messages=messages, **options)
        assert isinstance(said, ChatCompletion)
        return said

    def streamed(*messages: Any, **options: Any) -> ChatCompletion:
        options["stream_options"] = {"include_usage": True}
        with sdk.chat.completions.stream(model=MODEL, messages=messages, **options) as stream:
            assert len([event for event in stream if event.type == "chunk"]) > 2
            return stream.get_final_completion()

    return at_once if request.param == "at once" else streamed


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def test_an_answer_with_its_usage(ask: Ask, kie_simulator: KieSimulator) -> None:
    kie_simulator.add_chat_model(MODEL, text="One, two, three", usage=USAGE)
    answer = ask(user("Count"), temperature=0.5, max_tokens=9)
    [choice] = answer.choices
    assert (choice.message.role, choice.message.content) == ("assistant", "One, two, three")
    assert choice.finish_reason == "stop"
    assert (answer.model, answer.object) == (MODEL, "chat.completion")
    assert answer.usage
    assert answer.usage.model_dump(exclude_none=True) == USAGE
    assert kie_simulator.chats[0].body.items() >= {"temperature": 0.5, "max_tokens": 9}.items()


def test_tools_are_called_and_their_results_answered(ask: Ask, kie_simulator: KieSimulator) -> None:
    kie_simulator.add_chat_model(MODEL, text="It rains", tool_calls=[("weather", ARGUMENTS), ("now", "{}")])
    [choice] = ask(user("Rain?"), tools=[WEATHER]).choices
    calls = choice.message.to_dict()["tool_calls"]
    assert isinstance(calls, list)
    functions: list[Any] = [call["function"] for call in calls]
    assert choice.finish_reason == "tool_calls"
    assert [function["name"] for function in functions] == ["weather", "now"]
    assert [json.loads(function["arguments"]) for function in functions] == [ARGUMENTS, {}]

    results = [{"role": "tool", "tool_call_id": call["id"], "content": "rain"} for call in calls]
    [choice] = ask(user("Rain?"), choice.message, *results, tools=[WEATHER]).choices
    assert (choice.message.content, choice.finish_reason) == ("It rains", "stop")


def test_json_when_it_is_asked_for(ask: Ask) -> None:
    [choice] = ask(user("Hello"), response_format={"type": "json_object"}).choices
    assert json.loads(choice.message.content or "") == {"echo": "Hello"}


def test_an_answer_by_a_schema(sdk: openai.OpenAI, kie_simulator: KieSimulator) -> None:
    kie_simulator.add_chat_model(MODEL, text=json.dumps(ARGUMENTS))
    answer = sdk.chat.completions.parse(
        model=MODEL, messages=[{"role": "user", "content": "Rain?"}], response_format=Forecast
    )
    assert answer.choices[0].message.parsed == Forecast(city="Zürich", days=3)
    assert kie_simulator.chats[0].body["response_format"]["type"] == "json_schema"


def test_the_legacy_path_has_no_model_in_it(kie_simulator: KieSimulator) -> None:
    url = f"{kie_simulator.api_url}/api/v1"
    with openai.OpenAI(base_url=url, api_key=kie_simulator.api_key, max_retries=0) as client:
        answer = client.chat.completions.create(
            model="deepseek-chat", messages=[{"role": "user", "content": "Hello"}]
        )
    assert (answer.model, answer.choices[0].message.content) == ("deepseek-chat", "Hello")


@pytest.fixture
def _key(kie_simulator: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIE_API_KEY", kie_simulator.api_key)


@pytest.mark.usefixtures("_key")
def test_the_code_on_the_page_prints_answer_and_price(
    kie_simulator: KieSimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    kie_simulator.add_chat_model(MODEL, text="Zürich", credits=0.25)
    openai_page.run("OpenAI(", kie_simulator)["client"].close()
    assert capsys.readouterr().out == "Zürich 0.25\n"


@pytest.mark.usefixtures("_key")
def test_the_code_on_the_page_pays_a_lost_answer_once(kie_simulator: KieSimulator) -> None:
    kie_simulator.fail_next("chat", accept=True, times=9, drop_after=-1)
    with pytest.raises(openai.APIConnectionError):
        openai_page.run("OpenAI(", kie_simulator)
    assert len(kie_simulator.chats) == 1


@pytest.mark.usefixtures("_key")
def test_the_code_on_the_page_says_why_kie_refuses(kie_simulator: KieSimulator) -> None:
    kie_simulator.add_chat_model(MODEL, fail=402)
    with pytest.raises(RuntimeError, match=r"402.*Insufficient credits"):
        openai_page.run("OpenAI(", kie_simulator)
