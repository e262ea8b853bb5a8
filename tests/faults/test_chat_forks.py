"""Processes that fork and chat, as ``multiprocessing`` does in a task: each has its own answer, paid once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable

import pytest

from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.simulator import KieSimulator

from .test_forks import PATIENCE, Child

Ask = Callable[[str], str]

# From Python 3.12 on a fork beside threads brings a warning; here it is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture(autouse=True)
def _connected(kie: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", kie.connection())


def chat(text: str) -> str:
    return KieHook().chat(text, model="m").text


def stream(text: str) -> str:
    with KieHook().stream_chat(text, model="m") as stream:
        return "".join(stream)


@pytest.mark.parametrize("ask", [chat, stream])
def test_a_child_chats_after_its_parent_has(ask: Ask, kie: KieSimulator) -> None:
    assert ask("the parent") == "the parent"
    assert Child(lambda: ask("the child")).outcome() == "the child"
    assert Child(lambda: Child(lambda: ask("a grandchild")).outcome()).outcome() == "a grandchild"
    assert ask("the parent again") == "the parent again"
    assert len(kie.chats) == 4


@pytest.mark.parametrize("ask", [chat, stream])
def test_a_pool_of_multiprocessing_chats(ask: Ask, kie: KieSimulator) -> None:
    assert ask("the parent") == "the parent"
    texts = [f"child {number}" for number in range(6)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(ask, texts).get(PATIENCE) == texts
    assert len(kie.chats) == 7


def test_a_stream_from_before_the_fork_stays_the_parents(kie: KieSimulator) -> None:
    text = "one two three four five"
    kie.fail_next("chat", chunk_delay=0.05)
    with KieHook().stream_chat(text, model="m") as stream:
        begun = next(stream)
        told = Child(lambda: "".join(stream)).outcome()
        assert told.startswith("KieConnectionError")
        assert begun + "".join(stream) == text
        assert stream.answer.text == text
    assert len(kie.chats) == 1
