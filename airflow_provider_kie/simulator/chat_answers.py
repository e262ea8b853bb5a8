"""How a chat's answer is worded, in one piece or as a stream."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from airflow_provider_kie.simulator.answers import CODE, KieJSON, api_message
from airflow_provider_kie.simulator.chats import ChatModel, SimulatedChat

Fields = dict[str, Any]
# invented: how long the pieces of a stream are: a word, and no more than 8 letters.
_PIECE = re.compile(r"\s*\S{1,8}|\s+")


class ChatJSON(KieJSON):
    """A plain answer: JSON under the content type that was recorded for it."""

    media_type = "text/plain;charset=UTF-8"


class EventStream(Response):
    """
    Server-sent events, each on the wire before the next is made.

    :param events: the events, with the blank line that ends each.
    :param code: kie.ai's code of an error among them, or None.
    """

    media_type = "text/event-stream"

    def __init__(self, events: Iterable[bytes], code: int | None) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._events, self._code = events, code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[CODE] = self._code
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        for event in self._events:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@dataclass(frozen=True)
class Completion:
    """
    What a model answers to a chat.

    :param chat: what was asked.
    :param model: what the model answers.
    """

    chat: SimulatedChat
    model: ChatModel
    id: str = field(default_factory=lambda: new_id("chatcmpl-"))

    def plain(self) -> Fields:
        """
        Word it in one piece.

        :return: OpenAI's ``chat.completion``, with kie.ai's ``credits_consumed``.
        """
        message = message_of(self.chat, self.model)
        choice = {"index": 0, "message": message, "finish_reason": self._finish_reason(message)}
        choices = [] if "content" in self.model.without else [choice]
        return self._head("chat.completion") | {"choices": choices} | self._costs(message)

    def events(self) -> Iterator[bytes]:
        """
        Word it as server-sent events.

        :return: the events; after an error in the middle there are no more.
        """
        for number, chunk in enumerate(self._chunks()):
            if number == self.model.fail_after:
                break
            yield _event(chunk)
        if self.model.fail:
            code, msg = self.model.fail
            # invented: that an error inside a stream has no `data`, and is its last event.
            yield _event({"code": code, "msg": api_message(code) if msg is None else msg})
        elif "done" not in self.model.without:
            yield b"data: [DONE]\n\n"

    def _chunks(self) -> Iterator[Fields]:
        head = self._head("chat.completion.chunk")
        message = message_of(self.chat, self.model)
        finish_reason = self._finish_reason(message)
        if "content" not in self.model.without:
            for delta in _deltas(message):
                yield head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        if finish_reason:
            yield head | {"choices": [{"index": 0, "delta": {}, "finish_reason": finish_reason}]}
        # invented: that it comes without `stream_options`, too.
        if costs := self._costs(message):
            yield head | {"choices": []} | costs

    def _head(self, kind: str) -> Fields:
        return {"id": self.id, "object": kind, "created": int(self.chat.at), "model": self.chat.model}

    def _finish_reason(self, message: Fields) -> str | None:
        if "finish_reason" in self.model.without:
            return None
        return self.model.finish_reason or ("tool_calls" if "tool_calls" in message else "stop")

    def _costs(self, message: Fields) -> Fields:
        if "usage" in self.model.without:
            return {}
        usage = self.model.usage
        if usage is None:
            usage = _usage(self.chat.messages, message)
        return {"usage": usage, "credits_consumed": self.chat.charged}


def new_id(prefix: str) -> str:
    """
    Make an id as OpenAI does.

    :param prefix: how it begins.
    :return: the id.
    """
    return prefix + secrets.token_hex(12)


def message_of(chat: SimulatedChat, model: ChatModel) -> Fields:
    """
    Give the message that a model answers.

    :param chat: what was asked.
    :param model: what the model answers; its tools are not called again once their result is there.
    :return: the message, with ``tool_calls`` if there are any.
    """
    calls = () if chat.messages[-1]["role"] == "tool" else model.tool_calls
    text = echo(chat) if model.text is None and not calls else model.text
    message = {"role": "assistant", "content": text}
    if not calls:
        return message
    told = [
        {"id": new_id("call_"), "type": "function", "function": {"name": name, "arguments": arguments}}
        for name, arguments in calls
    ]
    return message | {"tool_calls": told}


def echo(chat: SimulatedChat) -> str:
    """
    Answer a chat for a model that was given nothing to say.

    :param chat: what was asked.
    :return: the last message of the user, in a JSON object if ``response_format`` asks for JSON.
    """
    # invented: all of it.
    said = [text_of(message) for message in chat.messages if message["role"] == "user"]
    text = said[-1] if said else "OK"
    wanted = chat.body.get("response_format") or {}
    if wanted.get("type") in ("json_object", "json_schema"):
        return json.dumps({"echo": text}, ensure_ascii=False)
    return text


def text_of(message: Mapping[str, Any]) -> str:
    """
    Give the text of a message.

    :param message: with text, parts or nothing for its content.
    :return: the text; of parts, that of those that have one.
    """
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    texts = (part.get("text") for part in content if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


def _deltas(message: Fields) -> Iterator[Fields]:
    yield {"role": message["role"], "content": None if message["content"] is None else ""}
    for piece in _PIECE.findall(message["content"] or ""):
        yield {"content": piece}
    for index, call in enumerate(message.get("tool_calls", ())):
        function = call["function"]
        begun = call | {"function": {"name": function["name"], "arguments": ""}}
        yield {"tool_calls": [{"index": index, **begun}]}
        for piece in _PIECE.findall(function["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _usage(asked: Iterable[Fields], answered: Fields) -> Fields:
    # invented: that a word is a token.
    prompt = sum(len(text_of(message).split()) for message in asked)
    told = [answered["content"] or "", *(str(call["function"]) for call in answered.get("tool_calls", ()))]
    completion = sum(len(text.split()) for text in told)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _event(content: Fields) -> bytes:
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f"data: {text}\n\n".encode()
