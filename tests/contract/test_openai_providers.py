"""
Airflow's own AI providers talk to kie.ai through the connections that the page shows.

They are not among the pins of the other tests: put ``requirements/ai-providers.txt`` beside them.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any
from unittest.mock import Mock

import pytest

from airflow_provider_kie.simulator import KieSimulator

from . import openai_page
from .openai_page import MODEL

openai_hook = pytest.importorskip("airflow.providers.openai.hooks.openai")
pydantic_ai = pytest.importorskip("airflow.providers.common.ai.hooks.pydantic_ai")

# pydantic-ai leaves its connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

VERSIONS = {
    name: version(f"apache-airflow-providers-{name.replace('.', '-')}") for name in ("common.ai", "openai")
}
ZURICH = {"name": "Zürich", "country": "Switzerland"}


@pytest.fixture
def kie(kie_simulator: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[KieSimulator]:
    """Give a simulator to which both of the page's connections lead."""
    for name in ("AIRFLOW_CONN_KIE_GEMINI", "AIRFLOW_CONN_KIE_GEMINI_AI"):
        monkeypatch.setenv(name, openai_page.connection(name, kie_simulator))
    yield kie_simulator
    gc.collect()


@pytest.fixture
def ask(kie: KieSimulator) -> Callable[[str], str]:
    """Give the function of the page's task."""
    function: Callable[[str], str] = openai_page.run("OpenAIHook", kie)["ask"].function
    return function


@pytest.fixture
def operator(kie: KieSimulator) -> Any:
    """Give the page's operator."""
    return openai_page.run("LLMOperator", kie)["city"]


@pytest.fixture
def agent(kie: KieSimulator) -> Any:
    """Give the page's agent."""
    return openai_page.run("AgentOperator", kie)["forecast"]


@pytest.fixture
def context() -> dict[str, Any]:
    """Give what an agent writes into: XCom, and a state store with nothing in it."""
    return {"task_instance": Mock(), "task_state_store": Mock(get=Mock(return_value=None))}


def test_the_openai_hook_gives_the_answer(ask: Callable[[str], str], kie: KieSimulator) -> None:
    assert ask("Hello") == "Hello"
    assert kie.chats[0].model == kie.chats[0].body["model"] == MODEL


def test_the_openai_hook_gives_none_for_a_refusal_and_the_code_on_the_page_an_error(
    ask: Callable[[str], str], kie: KieSimulator
) -> None:
    kie.add_chat_model(MODEL, fail=402)
    hook = openai_hook.OpenAIHook("kie_gemini")
    assert hook.create_chat_completion([{"role": "user", "content": "Hello"}], model=MODEL) is None
    with pytest.raises(RuntimeError, match="refused"):
        ask("Hello")


def test_the_openai_hook_pays_a_lost_answer_once(ask: Callable[[str], str], kie: KieSimulator) -> None:
    kie.fail_next("chat", accept=True, times=9, drop_after=-1)
    with pytest.raises(Exception, match="Connection error"):
        ask("Hello")
    assert len(kie.chats) == 1


def test_the_openai_hook_cannot_test_its_connection(kie: KieSimulator) -> None:
    assert openai_hook.OpenAIHook("kie_gemini").test_connection() == (False, "Error code: 404")


def test_an_llm_operator_gives_text(kie: KieSimulator, operator: Any) -> None:
    operator.output_type = str
    assert operator.execute({}) == "Name a city"
    assert kie.chats[0].model == kie.chats[0].body["model"] == MODEL


def test_an_llm_operator_gives_what_the_tool_of_its_schema_was_called_with(
    kie: KieSimulator, operator: Any
) -> None:
    kie.add_chat_model(MODEL, tool_calls=[("final_result", ZURICH)])
    assert operator.execute({}) == ZURICH
    [tool] = kie.chats[0].body["tools"]
    assert set(tool["function"]["parameters"]["properties"]) == set(ZURICH)


def test_an_llm_operator_pays_a_lost_answer_once_with_the_settings_on_the_page(
    kie: KieSimulator, operator: Any
) -> None:
    kie.fail_next("chat", accept=True, times=9, drop_after=-1)
    with pytest.raises(Exception, match="Connection error"):
        operator.execute({})
    assert len(kie.chats) == 1


def test_an_llm_operator_pays_a_lost_answer_three_times_without_them(
    kie: KieSimulator, operator: Any
) -> None:
    operator.model_settings = None
    kie.fail_next("chat", accept=True, times=9, drop_after=-1)
    with pytest.raises(Exception, match="Connection error"):
        operator.execute({})
    assert len(kie.chats) == 3


@pytest.mark.parametrize(("output_retries", "paid"), [(0, 1), (None, 2)])
def test_what_does_not_fit_the_schema_is_asked_for_again_unless_the_operator_says_otherwise(
    output_retries: int | None, paid: int, kie: KieSimulator, operator: Any
) -> None:
    kie.add_chat_model(MODEL, tool_calls=[("final_result", {"name": "Zürich"})])
    operator.output_retries = output_retries
    with pytest.raises(Exception, match="Exceeded maximum output retries"):
        operator.execute({})
    assert len(kie.chats) == paid


@pytest.mark.parametrize("code", [401, 402, 429])
def test_an_llm_operator_fails_on_a_refusal_and_neither_says_why_nor_falls_back(
    code: int, kie: KieSimulator, operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kie.add_chat_model(MODEL, fail=code)
    other = openai_page.connection("AIRFLOW_CONN_KIE_GEMINI_AI", kie).replace(MODEL, "gemini-other")
    monkeypatch.setenv("AIRFLOW_CONN_KIE_GEMINI_OTHER", other)
    operator.fallback_conn_ids = ["kie_gemini_other"]
    with pytest.raises(Exception, match="Invalid response") as failure:
        operator.execute({})
    assert type(failure.value).__name__ == "UnexpectedModelBehavior"
    assert str(code) not in str(failure.value)
    assert len(kie.requests) == 1


def test_an_agent_runs_tools_and_pays_each_step(agent: Any, context: Any, kie: KieSimulator) -> None:
    kie.add_chat_model(MODEL, text="It rains", tool_calls=[("weather", {"city": "Zürich"})])
    assert agent.execute(context) == "It rains"
    assert kie.chats[-1].messages[-1]["content"] == "rain in Zürich"
    assert len(kie.chats) == 2


def test_an_agent_stops_at_its_limit(agent: Any, context: Any, kie: KieSimulator) -> None:
    kie.add_chat_model(MODEL, text="It rains", tool_calls=[("weather", {"city": "Zürich"})])
    agent.usage_limits = {"request_limit": 1}
    with pytest.raises(Exception, match="request_limit of 1"):
        agent.execute(context)
    assert len(kie.chats) == 1


@pytest.mark.parametrize("as_on_the_page", [True, False])
def test_an_agent_pays_a_lost_answer_once_with_the_settings_on_the_page_only(
    as_on_the_page: bool, agent: Any, context: Any, kie: KieSimulator
) -> None:
    kie.fail_next("chat", accept=True, times=9, drop_after=-1)
    if not as_on_the_page:
        agent.agent_params = {}
    with pytest.raises(Exception, match="Connection error"):
        agent.execute(context)
    assert len(kie.chats) == (1 if as_on_the_page else 3)


def test_the_prefix_without_chat_asks_for_what_kie_does_not_have(kie: KieSimulator) -> None:
    hook = pydantic_ai.PydanticAIHook("kie_gemini_ai", model_id=f"openai:{MODEL}")
    with pytest.raises(Exception, match="404"):
        hook.create_agent(instructions="").run_sync("Hello")
    assert kie.requests[0].path == f"/{MODEL}/v1/responses"


def test_testing_the_connection_of_common_ai_does_not_ask_kie(kie: KieSimulator) -> None:
    succeeded, _ = pydantic_ai.PydanticAIHook("kie_gemini_ai").test_connection()
    assert succeeded
    assert kie.requests == []


def test_the_page_names_the_versions_that_are_tested() -> None:
    assert all(f"{number} of ``{name}``" in openai_page.PAGE for name, number in VERSIONS.items())
