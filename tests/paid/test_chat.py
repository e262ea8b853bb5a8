"""A chat is billed once or not at all: each way to fail, its POSTs, its bill, and what its error says."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_kie._compat import AirflowFailException
from airflow_provider_kie.client.errors import KieConnectionError, KieError
from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.operators.chat import KieChatOperator
from airflow_provider_kie.simulator import KieSimulator

RETRIES = 2
BILLED = "The answer may have been billed; asking again may cost again."
Ask = Callable[[], Any]


def lead_to(kie: KieSimulator, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
    extra = {"max_retries": RETRIES, "timeout": 5}
    connection = {**json.loads(kie.connection()), **more}
    connection["extra"] = {**connection.get("extra", {}), **extra}
    monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", json.dumps(connection))


@pytest.fixture(autouse=True)
def _connected(_prepared: None, kie: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_to(kie, monkeypatch)


# Longer than any answer takes that comes at all.
SECONDS = 2.0


def plain() -> str:
    return KieHook().chat("Tell me more.", model="m", timeout=SECONDS).text


def streamed() -> str:
    with KieHook().stream_chat("Tell me more.", model="m", timeout=SECONDS) as stream:
        return "".join(stream)


def operator() -> str:
    asking = KieChatOperator(task_id="t", prompt="Tell me more.", model="m", timeout=SECONDS)
    text: str = asking.execute({})["text"]
    return text


WAYS: dict[str, Ask] = {"plain": plain, "streamed": streamed, "operator": operator}


@dataclass(frozen=True)
class Case:
    """
    A way to fail.

    :param fault: What goes wrong, each time.
    :param posts: How often it is sent.
    :param billed: How many chats are billed.
    :param said: Whether the error says that the answer may have been billed.
    :param retry: Whether Airflow may retry.
    """

    fault: dict[str, Any]
    posts: int = 1
    billed: int = 1
    said: bool = True
    retry: bool = True


def refused(code: int, **more: Any) -> Case:
    return Case({"code": code, **more}, billed=0, said=False, retry=False)


def for_now(code: int, **more: Any) -> Case:
    return Case({"code": code, **more}, posts=RETRIES + 1, billed=0, said=False)


def lost(retry: bool = True, **fault: Any) -> Case:
    return Case({"accept": True, **fault}, retry=retry)


CASES = {
    **{f"refused: {code}": refused(code) for code in (400, 401, 402, 403, 404, 405, 413, 422, 433, 451, 505)},
    "refused: no credits as 500": refused(500, msg="Credits insufficient"),
    "refused: no credits as 429": refused(429, msg="Your credits are not enough"),
    "refused: a status too": refused(422, status=422),
    **{f"for now: {code}": for_now(code) for code in (429, 430, 455)},
    "for now: a status too": for_now(429, status=429),
    "for now: a proxy": Case({"status": 429, "html": True}, posts=RETRIES + 1, billed=0, said=False),
    **{f"failing: {code}": lost(code=code) for code in (408, 500, 501, 502, 524, 531, 550, 999)},
    "failing: a status too": lost(code=500, status=500),
    "failing: not accepted": Case({"code": 500}, billed=0),
    "a page: 502": lost(html=True),
    "a page: 200": lost(html=True, status=200),
    "a page: 403": lost(html=True, status=403),
    "a page: 404": lost(html=True, status=404, retry=False),
    "no answer": lost(drop_after=-1),
    "no answer, and not accepted": Case({"drop_after": -1}, billed=0),
    "cut at once": Case({"drop_after": 0}),
    "cut": Case({"drop_after": 150}),
    "too late": Case({"delay": 3 * SECONDS}),
    "nothing": lost(body=""),
    "half": lost(body='{"choices": [{"message": {"con'),
    "empty": lost(body="{}"),
    "a list": lost(body="[]"),
    "null data": lost(body='{"code": 200, "msg": "success", "data": null}'),
    "no code": lost(body='{"msg": "hm"}'),
    "an error with data": lost(body='{"code": 429, "msg": "hm", "data": {"choices": []}}'),
    "a vendor's error": lost(body='{"error": {"message": "hm", "code": "overloaded"}}'),
    "a strange packing": Case({"headers": {"Content-Encoding": "br"}}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CASES)
def test_a_chat_is_never_billed_twice(name: str, way: str, kie: KieSimulator) -> None:
    case = CASES[name]
    kie.fail_next("chat", **case.fault, times=9)
    with pytest.raises((KieError, AirflowFailException)) as caught:
        WAYS[way]()
    assert len(kie.requests_to("chat")) == case.posts
    assert len(kie.chats) == case.billed
    assert str(caught.value).count(BILLED) == case.said
    error = caught.value.__context__ if isinstance(caught.value, AirflowFailException) else caught.value
    assert isinstance(error, KieError)
    assert error.airflow_may_retry is case.retry
    if way == "operator":
        assert isinstance(caught.value, AirflowFailException) is not case.retry


@pytest.mark.parametrize("way", WAYS)
def test_what_was_refused_for_now_is_asked_again_and_billed_once(way: str, kie: KieSimulator) -> None:
    kie.fail_next("chat", code=429)
    kie.fail_next("chat", code=455)
    assert WAYS[way]() == "Tell me more."
    assert (len(kie.requests_to("chat")), len(kie.chats)) == (3, 1)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_lost_after_a_refusal_is_not_asked_again(way: str, kie: KieSimulator) -> None:
    kie.fail_next("chat", code=429)
    kie.fail_next("chat", drop_after=-1, accept=True)
    with pytest.raises(KieConnectionError, match=BILLED):
        WAYS[way]()
    assert (len(kie.requests_to("chat")), len(kie.chats)) == (2, 1)


@pytest.mark.parametrize("way", WAYS)
def test_what_was_never_sent_is_tried_again_and_costs_nothing(
    way: str, kie: KieSimulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        lead_to(kie, monkeypatch, host=f"http://127.0.0.1:{nobody.getsockname()[1]}")
        with pytest.raises(KieConnectionError) as caught:
            WAYS[way]()
    assert (caught.value.never_sent, BILLED in str(caught.value)) == (True, False)
    assert "retry 2 of 2" in caplog.text
    assert kie.chats == []


@pytest.mark.parametrize("way", WAYS)
def test_without_a_connection_nothing_is_sent(
    way: str, kie: KieSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_KIE_DEFAULT")
    with pytest.raises(KieError, match="does not exist") as caught:
        WAYS[way]()
    assert (kie.requests, BILLED in str(caught.value)) == ([], False)


@pytest.mark.parametrize("way", ["plain", "operator"])
def test_a_model_without_an_answer_is_an_error_that_is_billed(way: str, kie: KieSimulator) -> None:
    kie.add_chat_model("m", without=["content"])
    with pytest.raises(KieError, match=BILLED):
        WAYS[way]()
    assert (len(kie.requests_to("chat")), len(kie.chats)) == (1, 1)


@pytest.mark.parametrize(
    "told",
    [
        {"without": ["finish_reason"]},
        {"without": ["finish_reason", "done"]},
        {"without": ["content", "finish_reason", "usage"]},
        {"without": ["content", "finish_reason", "usage", "done"]},
        *({"fail": code, "fail_after": after} for code in (402, 429, 433, 500) for after in (1, 2, 4)),
    ],
    ids=str,
)
def test_a_stream_that_is_not_whole_is_an_error_that_is_billed(
    told: dict[str, Any], kie: KieSimulator
) -> None:
    kie.add_chat_model("m", **told)
    with pytest.raises(KieError, match=BILLED):
        streamed()
    assert (len(kie.requests_to("chat")), len(kie.chats)) == (1, 1)


@pytest.mark.parametrize("part", ["done", "usage"])
def test_a_stream_may_lack_its_mark_or_its_costs(part: Any, kie: KieSimulator) -> None:
    kie.add_chat_model("m", without=[part])
    with KieHook().stream_chat("Tell me more.", model="m") as stream:
        assert "".join(stream) == "Tell me more."
        assert (stream.answer.credits, stream.answer.usage is None) == (
            (None, True) if part == "usage" else (0.01, False)
        )


@pytest.mark.parametrize("after", [0, 1, 100, 400, 700, 900])
def test_a_stream_that_is_cut_is_billed_once(after: int, kie: KieSimulator) -> None:
    kie.fail_next("chat", drop_after=after, times=9)
    with pytest.raises(KieConnectionError, match=BILLED):
        streamed()
    assert (len(kie.requests_to("chat")), len(kie.chats)) == (1, 1)


def test_a_stream_that_is_left_early_is_billed_once(kie: KieSimulator) -> None:
    with KieHook().stream_chat("Tell me more.", model="m") as stream:
        next(stream)
    assert (len(kie.requests_to("chat")), len(kie.chats)) == (1, 1)
