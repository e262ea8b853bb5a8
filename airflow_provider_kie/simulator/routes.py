"""What the three hosts have in common, and the two small ones: the API and the generated files."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from fastapi import Depends, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from airflow_provider_kie.simulator.answers import (
    BROKEN,
    Refused,
    api_error,
    api_success,
    file_error,
    store_error,
)
from airflow_provider_kie.simulator.bodies import UnreadableBody, read_json
from airflow_provider_kie.simulator.completions import add_chat_route
from airflow_provider_kie.simulator.downloads import serve
from airflow_provider_kie.simulator.generation import add_job_routes
from airflow_provider_kie.simulator.state import State


def bare_app(error: Callable[[int], Response], *dependencies: Any) -> FastAPI:
    """
    Make an application without routes.

    :param error: builds this host's answer to an HTTP status.
    :param dependencies: what every later route depends on.
    :return: an application that answers unknown paths and methods, and its own defects, in this host's words.
    """
    app = FastAPI(openapi_url=None, redirect_slashes=False, dependencies=dependencies)

    @app.exception_handler(Refused)
    async def refused(_: Request, reason: Refused) -> Response:
        return reason.response

    @app.exception_handler(HTTPException)
    async def no_route(_: Request, reason: HTTPException) -> Response:
        return error(reason.status_code)

    @app.exception_handler(UnreadableBody)
    async def unreadable(_: Request, __: UnreadableBody) -> Response:
        return error(400)

    @app.exception_handler(Exception)
    async def broken(request: Request, reason: Exception) -> Response:
        request.scope[BROKEN] = reason
        return error(500)

    return app


def key_check(state: State, refusal: Callable[[], Response]) -> Callable[[Request], Awaitable[None]]:
    """
    Make a function that lets only requests with the right key through.

    :param state: knows the key.
    :param refusal: builds this host's answer to a wrong key.
    :return: a dependency for FastAPI, which raises ``Refused``.
    """

    async def check(request: Request) -> None:
        if request.headers.get("authorization") != f"Bearer {state.api_key}":
            raise Refused(refusal())

    return check


def api_app(state: State) -> FastAPI:
    """
    Build the API host.

    :param state: what the routes read and change.
    :return: the application.
    """
    app = bare_app(lambda status: api_error(status, status=status))
    check = key_check(state, lambda: api_error(401))
    keyed = [Depends(check)]
    add_job_routes(app, state, check)
    add_chat_route(app, state, check)

    @app.get("/api/v1/chat/credit", dependencies=keyed)
    async def credit() -> Response:
        return api_success(state.ledger.credits)

    @app.post("/api/v1/common/download-url", dependencies=keyed)
    async def download_url(request: Request) -> Response:
        url = (await read_json(request, api_error, unreadable=422)).get("url")
        if not isinstance(url, str) or not url.startswith(state.files_url):
            return api_error(422)
        link = state.files.sign(unquote(url.removeprefix(state.files_url)), state.link_ttl)
        return api_success(state.files_url + link) if link else api_error(422)

    return app


def files_app(state: State) -> FastAPI:
    """
    Build the host of generated files: public by their URL, and by signed links.

    :param state: what the routes read.
    :return: the application.
    """
    app = bare_app(file_error)
    app.api_route("/signed/{path:path}", methods=["GET", "HEAD"])(_signed(state))

    @app.api_route("/{path:path}", methods=["GET", "HEAD"])
    async def generated(path: str) -> Response:
        return serve(state.files.find_generated(f"/{path}"))

    return app


def _signed(state: State) -> Callable[[Request], Awaitable[Response]]:
    async def signed(request: Request) -> Response:
        if "authorization" in request.headers:
            return store_error(400, "InvalidArgument", "Only one auth mechanism allowed")
        link = state.files.find_link(request.scope["path"], dict(request.query_params))
        # The signature covers the method: a link made for GET does not allow HEAD.
        if link is None or request.method != "GET":
            return store_error(403, "SignatureDoesNotMatch", "The request signature does not match")
        if time.monotonic() >= link.expires:
            return store_error(403, "AccessDenied", "Request has expired")
        return serve(link.file)

    return signed
