"""What the three hosts have in common, and the two small ones: the API and the generated files."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from fastapi import Depends, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from airflow_provider_kie.simulator.answers import (
    Refused,
    api_error,
    api_success,
    file_error,
    store_error,
)
from airflow_provider_kie.simulator.files import StoredFile
from airflow_provider_kie.simulator.state import State

MAX_JSON = 14_000_000
"""Room for 10 MB in base64 and the rest of the body."""


def bare_app(error: Callable[[int], Response]) -> FastAPI:
    """
    Make an application without routes.

    :param error: builds this host's answer to an HTTP status.
    :return: an application that answers unknown paths and methods in this host's words.
    """
    app = FastAPI(openapi_url=None, redirect_slashes=False)

    @app.exception_handler(Refused)
    async def refused(_: Request, reason: Refused) -> Response:
        return reason.response

    @app.exception_handler(HTTPException)
    async def no_route(_: Request, reason: HTTPException) -> Response:
        return error(reason.status_code)

    return app


def key_required(state: State, refusal: Callable[[], Response]) -> Any:
    """
    Make a dependency that lets only requests with the right key through.

    :param state: knows the key.
    :param refusal: builds this host's answer to a wrong key.
    :return: a value for ``dependencies=[...]``.
    """

    async def check(request: Request) -> None:
        if request.headers.get("authorization") != f"Bearer {state.api_key}":
            raise Refused(refusal())

    return Depends(check)


async def read_json(request: Request, too_large: Callable[[], Response]) -> dict[str, Any]:
    """
    Read a body of JSON.

    :param request: the request, its body unread.
    :param too_large: builds the answer to more than 14 MB.
    :return: the object; an empty one for anything that is not a JSON object.
    :raises Refused: when the body is too large.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_JSON:
            raise Refused(too_large())
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


class _Download(FileResponse):
    # Each chunk is a journey to a thread and back: with Starlette's 64 KiB they cost more than the bytes.
    chunk_size = 1024 * 1024


def serve(file: StoredFile | None) -> Response:
    """
    Answer a download: ranges, ETag and HEAD are Starlette's work.

    :param file: the file, or None when there is none.
    :return: the answer.
    """
    return _Download(file.disk, media_type=file.mime_type) if file else file_error(404)


def api_app(state: State) -> FastAPI:
    """
    Build the API host.

    :param state: what the routes read and change.
    :return: the application.
    """
    app = bare_app(lambda status: api_error(status, status=status))
    keyed = [key_required(state, lambda: api_error(401))]

    @app.get("/api/v1/chat/credit", dependencies=keyed)
    async def credit() -> Response:
        return api_success(state.credits)

    @app.post("/api/v1/common/download-url", dependencies=keyed)
    async def download_url(request: Request) -> Response:
        url = (await read_json(request, lambda: api_error(413))).get("url")
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
    app.api_route("/signed/{token}", methods=["GET", "HEAD"])(_signed(state))

    @app.api_route("/{path:path}", methods=["GET", "HEAD"])
    async def generated(path: str) -> Response:
        return serve(state.files.find_generated(f"/{path}"))

    return app


def _signed(state: State) -> Callable[[Request], Awaitable[Response]]:
    async def signed(request: Request) -> Response:
        if "authorization" in request.headers:
            return store_error(400, "InvalidArgument", "Only one auth mechanism allowed")
        link = state.files.find_link(request.url.path)
        sent = request.query_params.get("X-Amz-Signature", "")
        # The method is part of what is signed: a link made for GET does not open HEAD.
        if link is None or request.method != "GET" or sent != link.signature:
            return store_error(403, "SignatureDoesNotMatch", "The request signature does not match")
        if time.monotonic() >= link.expires:
            return store_error(403, "AccessDenied", "Request has expired")
        return serve(link.file)

    return signed
