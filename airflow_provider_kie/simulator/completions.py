"""The route of chat: what it takes, what it refuses, and when it bills."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_kie.simulator.answers import Refused, api_error
from airflow_provider_kie.simulator.bodies import has_type, read_json
from airflow_provider_kie.simulator.chat_answers import ChatJSON, Completion, EventStream
from airflow_provider_kie.simulator.chats import SimulatedChat
from airflow_provider_kie.simulator.generation import MISSING, Check, unreadable_body, wrong_type
from airflow_provider_kie.simulator.jobs import NO_CREDITS
from airflow_provider_kie.simulator.state import State

PATH = "/v1/chat/completions"
LEGACY = "api"
"""What stands in the path for the model where the body names it."""
_TYPES: Mapping[str, type] = {
    "model": str,
    "stream": bool,
    "temperature": float,
    "top_p": float,
    "max_tokens": int,
    "tools": list,
    "response_format": dict,
}


def is_chat(path: str) -> bool:
    """
    Return whether a path is that of chat, with any model.

    :param path: the path, decoded.
    :return: True for ``/{model}/v1/chat/completions``, and the legacy ``/api/v1/chat/completions``.
    """
    return path[1:].endswith(PATH)


def add_chat_route(app: FastAPI, state: State, check: Check) -> None:
    """
    Add the route of chat with every model.

    :param app: the API host.
    :param state: what the route reads and changes.
    :param check: lets only requests with the right key through.
    """
    app.add_route("/{model:path}" + PATH, partial(_complete, state, check), methods=["POST"])


async def _complete(state: State, check: Check, request: Request) -> Response:
    await check(request)
    body = await read_json(request, unreadable_body, unreadable=422)
    name = model_of(request.path_params["model"], body)
    # invented: that an answer is not streamed unless the request says so.
    stream = body.get("stream") is True
    model = state.chats.model(name)
    chat = SimulatedChat(name, messages_of(body), body, stream, model.credits, time.time())
    refusal = None if stream and model.fail_after is not None else model.fail
    if refusal is None:
        # invented: that a chat is paid for as soon as it is accepted, whatever becomes of its answer.
        if not state.ledger.spend(model.credits):
            return api_error(402, NO_CREDITS)
        state.chats.note(chat)
    await asyncio.sleep(model.seconds)
    if refusal:
        return api_error(*refusal)
    completion = Completion(chat, model)
    if stream:
        return EventStream(completion.events(), model.fail and model.fail[0])
    return ChatJSON(completion.plain())


def model_of(path: str, body: Mapping[str, Any]) -> str:
    """
    Find the model that was asked, and check the options of the request.

    :param path: what stands in the path for the model.
    :param body: the request's JSON.
    :return: the path's model, or for the legacy path that of the body.
    :raises Refused: with code 422, without a model, and for an option of another JSON type: "0.5" is not 0.5.
    """
    # invented: the code and the words of all that is refused here and below.
    for key, kind in _TYPES.items():
        if body.get(key) is not None and not has_type(body[key], kind):
            raise Refused(api_error(422, wrong_type(key)))
    name = body.get("model") if path == LEGACY else path
    if not name:
        raise Refused(api_error(422, f"model: {MISSING}"))
    return str(name)


def messages_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """
    Take the messages out of a request.

    :param body: the request's JSON.
    :return: one message at least; each is an object with a role.
    :raises Refused: with code 422, for anything else.
    """
    messages = body.get("messages")
    if messages in (None, []):
        raise Refused(api_error(422, f"messages: {MISSING}"))
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise Refused(api_error(422, wrong_type("messages")))
    for message in messages:
        if not message.get("role"):
            raise Refused(api_error(422, f"role: {MISSING}"))
        if not isinstance(message["role"], str):
            raise Refused(api_error(422, wrong_type("role")))
        if not isinstance(message.get("content"), str | list | None):
            raise Refused(api_error(422, wrong_type("content")))
    return messages
