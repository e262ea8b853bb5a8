"""The simulator's own routes, on the API host beside kie.ai's: what the shell commands call."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Body, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import JSONResponse, Response

from airflow_provider_kie.simulator.answers import Refused
from airflow_provider_kie.simulator.chats import AnswerPart, ChatModel
from airflow_provider_kie.simulator.jobs import FAIL_MSG, Model
from airflow_provider_kie.simulator.routes import bare_app
from airflow_provider_kie.simulator.state import Fault, State, checked_balance

CONTROL = "/simulator/"
"""How the path of each of these routes begins, and no path of kie.ai's."""


@dataclass(frozen=True)
class Script:
    """What a shell can say of a model; the fields are some of ``KieSimulator.add_model``."""

    seconds: float = Model.seconds
    credits: float = Model.credits
    hold: float | None = None
    fail: int | None = None
    unknown_seconds: float = 0.0


@dataclass(frozen=True)
class ChatScript:
    """What a shell can say of a model's answers; the fields are some of ``KieSimulator.add_chat_model``."""

    text: str | None = None
    credits: float = ChatModel.credits
    seconds: float = ChatModel.seconds
    fail: int | None = None
    fail_after: int | None = None
    without: frozenset[AnswerPart] = frozenset()


def refusal(status: int, error: str = "") -> Response:
    """
    Build the answer to a command that fails.

    :param status: the HTTP status.
    :param error: why.
    :return: the answer.
    """
    return JSONResponse({"error": error or f"HTTP {status}"}, status)


async def from_a_shell(request: Request) -> None:
    """
    Keep web pages in a browser on this machine from steering the simulator.

    :param request: a request to one of these routes.
    :raises Refused: when a browser sent it, or it is addressed to a name other than this machine's.
    """
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname
    if "origin" in request.headers or host not in ("127.0.0.1", "localhost"):
        raise Refused(refusal(403, "Only a shell on this machine may steer the simulator."))


def control_app(state: State) -> FastAPI:
    """
    Build the routes that steer the simulator; they need no key and are not recorded.

    :param state: what the routes read and change.
    :return: the application.
    """
    app = bare_app(refusal, Depends(from_a_shell))

    @app.exception_handler(ValueError)
    async def wrong(_: Request, error: ValueError) -> Response:
        return refusal(400, str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        told = (f"{one['loc'][-1]}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors())
        return refusal(400, "; ".join(told))

    @app.get(CONTROL + "credits")
    async def credits() -> Response:
        return JSONResponse({"credits": state.ledger.credits})

    @app.put(CONTROL + "credits")
    async def set_credits(credits: Annotated[float, Body(embed=True)]) -> Response:
        state.ledger.credits = checked_balance(credits)
        return JSONResponse({"credits": state.ledger.credits})

    @app.post(CONTROL + "faults")
    async def fail_next(call: str, fault: Fault, times: int = 1) -> Response:
        state.add_fault(call, fault, times)
        return JSONResponse({})

    @app.post(CONTROL + "files")
    async def add_generated_file(request: Request, name: str) -> Response:
        with state.files.incoming() as incoming:
            async for piece in request.stream():
                incoming.write(piece)
        return JSONResponse({"url": state.files_url + state.files.keep_generated(incoming.disk, name)})

    @app.get(CONTROL + "jobs")
    async def jobs() -> Response:
        return JSONResponse({"jobs": [asdict(job) for job in state.ledger.jobs()]})

    @app.put(CONTROL + "models")
    async def add_model(name: str, script: Script) -> Response:
        fail = None if script.fail is None else (script.fail, FAIL_MSG)
        state.ledger.models[name] = Model(**{**asdict(script), "fail": fail})
        return JSONResponse({})

    @app.get(CONTROL + "chats")
    async def chats() -> Response:
        return JSONResponse({"chats": [asdict(chat) for chat in state.chats.billed()]})

    @app.put(CONTROL + "chat-models")
    async def add_chat_model(name: str, script: ChatScript) -> Response:
        fail = None if script.fail is None else (script.fail, None)
        state.chats.models[name] = ChatModel(**{**asdict(script), "fail": fail})
        return JSONResponse({})

    @app.get(CONTROL + "requests")
    async def requests(call: str | None = None) -> Response:
        return JSONResponse({"requests": [_told(asdict(one)) for one in state.requests(call)]})

    return app


def _told(request: dict[str, Any]) -> dict[str, Any]:
    # Shell output ends up in logs, so the key is left out.
    request["headers"].pop("authorization", None)
    return request
