"""The three hosts of kie.ai as one ASGI application, told apart by the port that was called."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from functools import cached_property
from typing import Literal

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_kie.simulator.answers import UNKNOWN, UPLOAD_CALLS
from airflow_provider_kie.simulator.completions import is_chat
from airflow_provider_kie.simulator.control import CONTROL, control_app
from airflow_provider_kie.simulator.faults import Exchange, HangUp, answering
from airflow_provider_kie.simulator.generation import RECORD_PATHS, SUBMIT_PATHS
from airflow_provider_kie.simulator.routes import api_app, files_app
from airflow_provider_kie.simulator.state import State
from airflow_provider_kie.simulator.uploads import upload_app

Host = Literal["api", "upload", "files"]
HOSTS: tuple[Host, ...] = ("api", "upload", "files")
_PATHS: Mapping[tuple[Host, str], str] = {
    ("api", "/api/v1/chat/credit"): "credit",
    ("api", "/api/v1/common/download-url"): "download-url",
    **{("api", path): "createTask" for path in SUBMIT_PATHS},
    **{("api", path): "recordInfo" for path in RECORD_PATHS},
    **{("upload", f"/api/{call}"): call for call in UPLOAD_CALLS},
}


def call_of(host: Host, path: str) -> str:
    """
    Return the call that a path belongs to.

    :param host: the host that was asked.
    :param path: the path, decoded.
    :return: one of ``CALLS``, or ``UNKNOWN``.
    """
    if host == "files" or (host == "upload" and path.startswith("/kieai/")):
        return "file"
    if host == "api" and is_chat(path):
        return "chat"
    return _PATHS.get((host, path), UNKNOWN)


def banned(headers: Headers) -> bool:
    """
    Return whether Cloudflare, in front of kie.ai, takes a client for an ill-mannered script.

    :param headers: the request's headers.
    :return: True without a ``User-Agent``, or with that of Python's standard library.
    """
    agent = headers.get("user-agent", "")
    return not agent or agent.startswith(("Python", "python-urllib"))


def open_to_browsers(app: ASGIApp) -> ASGIApp:
    """
    Let scripts on any web page read the answers.

    :param app: the application that answers.
    :return: an application that answers a browser's preflight requests, too.
    """
    # invented: all of it except that browsers may.
    return CORSMiddleware(app, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])


class Front:
    """
    Everything in front of the routes: the choice of the host, the records, the faults, Cloudflare.

    :param state: what the hosts share.
    :param ports: the port of each of ``HOSTS``.
    :param hang_up: closes the connection of a request.
    """

    def __init__(self, state: State, ports: Mapping[int, Host], hang_up: HangUp) -> None:
        self._state, self._ports, self._hang_up = state, ports, hang_up
        self._apps: dict[Host, ASGIApp] = {
            "api": api_app(state),
            "upload": upload_app(state),
            "files": files_app(state),
        }

    @cached_property
    def _control(self) -> ASGIApp:
        # Built when a command first needs it: that takes longer than all the rest of a start.
        return control_app(self._state)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = self._ports[scope["server"][1]]
        # A client that leaves or a simulator that stops is no error, but uvicorn would print a traceback.
        with contextlib.suppress(ClientDisconnect, asyncio.CancelledError):
            if host == "api" and scope["path"].startswith(CONTROL):
                await self._control(scope, receive, send)
            else:
                await self._answer(host, scope, receive, send)

    async def _answer(self, host: Host, scope: Scope, receive: Receive, send: Send) -> None:
        call = call_of(host, scope["path"])
        exchange = Exchange(self._state, call, scope, receive, send, self._hang_up)
        app = answering(exchange.fault, call, self._apps[host])
        if host == "upload":
            app = open_to_browsers(app)
        if banned(Headers(scope=scope)):
            # invented: the words around the number.
            app = PlainTextResponse("error code: 1010", 403)
        await exchange.run(app)
