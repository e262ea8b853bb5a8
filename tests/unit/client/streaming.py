"""Streamed chats, written as they go over the wire and read as a user does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import httpx
import pytest

from airflow_provider_kie.client.api.chat import ChatAnswer, complete_chat
from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.client.streams import ChatStream
from tests.fake_host import chunked, http
from tests.unit.client.sending import settings_of

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "a-model-0925"}
COSTS = {"usage": {"total_tokens": 9}, "credits_consumed": 0.01}
DONE = b"data: [DONE]\n\n"


def event(content: Any) -> bytes:
    """Write an event."""
    return f"data: {json.dumps(content, ensure_ascii=True)}\n\n".encode()


def chunk(delta: Any = None, *, index: Any = 0, end: Any = None, **more: Any) -> bytes:
    """Write a chunk with one choice."""
    choice = {"index": index, "delta": {} if delta is None else delta, "finish_reason": end}
    return event({**HEAD, "choices": [choice], **more})


def said(*texts: Any, end: str = "stop") -> list[bytes]:
    """Write the events of a whole answer."""
    spoken = (chunk({"content": text}) for text in texts)
    costs = event({**HEAD, "choices": [], **COSTS})
    return [chunk({"role": "assistant", "content": ""}), *spoken, chunk(end=end), costs, DONE]


def framed(body: bytes, framing: str = "chunks") -> bytes:
    """Write the answer: in ``chunks``, with its ``length``, or until the connection's ``close``."""
    if framing == "chunks":
        return http(chunked(body), Content_Length=None, Transfer_Encoding="chunked")
    return http(body, **({} if framing == "length" else {"Content_Length": None}))


def stream_at(url: str = "https://api.kie.ai", **more: Any) -> ChatStream:
    """Ask a host for a stream."""
    seconds, transport = more.pop("seconds", 5.0), more.pop("transport", None)
    call = complete_chat(
        "Hello", model="a-model", stream=True, timeout=seconds, options=more.pop("options", {})
    )
    settings = settings_of(url, **{"max_retries": 2, **more})
    return ChatStream(KieClient(settings, transport=transport), call)


def stream_of(pieces: Iterable[bytes] | Callable[[httpx.Request], httpx.Response]) -> ChatStream:
    """Ask for a stream that comes in these pieces, or from such a handler."""
    answer = pieces if callable(pieces) else lambda _: httpx.Response(200, content=iter(pieces))
    return stream_at(transport=httpx.MockTransport(answer))


def told(stream: ChatStream) -> tuple[list[str], ChatAnswer]:
    """Read a stream to its end, which has to be that of a whole answer."""
    with stream:
        texts = list(stream)
        answer = stream.answer
    assert "".join(texts) == answer.text
    assert "" not in texts
    json.dumps(answer.to_dict(), allow_nan=False, ensure_ascii=False).encode()
    return texts, answer


def read(pieces: Iterable[bytes]) -> tuple[list[str], ChatAnswer]:
    """Read a stream that comes in these pieces."""
    return told(stream_of(pieces))


def broken(open_stream: Callable[[], ChatStream]) -> tuple[list[str], KieError]:
    """Read a stream that does not come to its end, which leaves it closed: the texts before, and why."""
    texts: list[str] = []
    streams: list[ChatStream] = []

    def read_all() -> None:
        streams.append(open_stream())
        texts.extend(streams[0])

    with pytest.raises(KieError) as caught:
        read_all()
    for stream in streams:
        with pytest.raises(RuntimeError, match="read to its end without an error"):
            stream.answer  # noqa: B018
        assert stream._client._session.is_closed
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 800
    return texts, caught.value


def fails(*pieces: bytes) -> tuple[list[str], KieError]:
    """Read a stream that comes in these pieces and is not whole."""
    return broken(lambda: stream_of(pieces))


def trouble_with(events: Iterable[bytes]) -> KieError | None:
    """Read a stream that is whole, or says in an error of ours that it is not."""
    try:
        read(events)
    except KieError as error:
        assert str(error).startswith("chat with a-model: ")  # noqa: PT017
        return error
    return None
