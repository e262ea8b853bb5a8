"""The page's table of what OpenAI's SDK does not notice and KieHook does, line by line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest

from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.simulator import KieSimulator

from . import openai_page
from .openai_page import MODEL

Set = Callable[[KieSimulator], None]
BILLED = {0: "", 1: "billed once", 3: "billed 3 times"}


def model(**answer: Any) -> Set:
    return lambda kie: kie.add_chat_model(MODEL, text="One two three", **answer)


def lost(**fault: Any) -> Set:
    return lambda kie: kie.fail_next("chat", accept=True, times=9, **fault)


PLAIN: dict[str, Set] = {
    "401 in HTTP 200": model(fail=401),
    "402 in HTTP 200": model(fail=402),
    "429 in HTTP 200": model(fail=429),
    "455 in HTTP 200": model(fail=455),
    "an answer without a choice": model(without=["content"]),
    "an answer that is cut off": lost(drop_after=100),
    "an answer that is lost": lost(drop_after=-1),
    "a gateway's page, HTTP 502": lost(html=True),
}
STREAMED: dict[str, Set] = {
    "402 in place of a stream": model(fail=402),
    "500 in the middle of a stream": model(fail=500, fail_after=3),
    "a stream that ends early": model(without=["finish_reason", "usage", "done"]),
    "a stream that is cut off": lost(drop_after=400),
}
ALL = PLAIN | STREAMED


def by_sdk(kie: KieSimulator, *, stream: bool, max_retries: int = openai.DEFAULT_MAX_RETRIES) -> str:
    """Ask with OpenAI's SDK, and word what it says as the page does."""
    url = f"{kie.api_url}/{MODEL}/v1"
    with openai.OpenAI(base_url=url, api_key=kie.api_key, max_retries=max_retries) as client:
        asked = {"model": MODEL, "messages": [{"role": "user", "content": "Count"}]}
        create: Any = client.chat.completions.create
        try:
            if not stream:
                choices = create(**asked).choices
                return "" if choices else f"no error: ``choices`` is ``{choices}``"
            chunks = list(create(**asked, stream=True))
        except Exception as error:
            return f"``{type(error).__name__}``"
    if not chunks:
        return "no error: no chunk"
    if chunks[-1].choices is None:
        return "no error: the last chunk's ``choices`` is ``None``"
    whole = any(choice.finish_reason for chunk in chunks for choice in chunk.choices)
    return "" if whole else "no error: no ``finish_reason``"


def by_hook(*, stream: bool) -> str:
    """Ask with KieHook, and word what it says as the page does."""
    try:
        if stream:
            list(KieHook().stream_chat("Count", model=MODEL))
        else:
            KieHook().chat("Count", model=MODEL)
    except KieError as error:
        return f"``{type(error).__name__}``"
    return ""


def test_the_page_has_a_line_for_each_fault() -> None:
    assert set(openai_page.faults()) == set(ALL)


@pytest.mark.parametrize("fault", ALL)
def test_what_the_sdk_makes_of_a_fault(fault: str, kie_simulator: KieSimulator) -> None:
    said, _ = openai_page.faults()[fault]
    ALL[fault](kie_simulator)
    told = by_sdk(kie_simulator, stream=fault in STREAMED)
    billed = len(kie_simulator.chats)
    assert told
    assert told in said
    assert BILLED[billed] in said
    assert ("billed" in said) == (billed > 0)
    assert ("with ``max_retries=0`` billed once" in said) == (billed > 1)


@pytest.mark.parametrize("fault", PLAIN)
def test_without_repetitions_the_sdk_pays_once_at_most(fault: str, kie_simulator: KieSimulator) -> None:
    said, _ = openai_page.faults()[fault]
    PLAIN[fault](kie_simulator)
    assert by_sdk(kie_simulator, stream=False, max_retries=0) in said
    assert len(kie_simulator.requests_to("chat")) == 1
    assert len(kie_simulator.chats) == ("billed" in said)


@pytest.mark.parametrize("fault", ALL)
def test_what_the_hook_makes_of_a_fault(fault: str, kie_simulator: KieSimulator) -> None:
    _, said = openai_page.faults()[fault]
    ALL[fault](kie_simulator)
    told = by_hook(stream=fault in STREAMED)
    assert told
    assert told in said
    assert len(kie_simulator.chats) == ("billed once" in said)
    assert len(kie_simulator.requests_to("chat")) == (5 if "refused five times" in said else 1)


def test_a_whole_answer_is_none_of_these(kie_simulator: KieSimulator) -> None:
    asked = [by_sdk(kie_simulator, stream=stream) + by_hook(stream=stream) for stream in (False, True)]
    assert asked == ["", ""]
