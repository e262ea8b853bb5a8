"""One request's way through the simulator: recorded, and spoiled by a fault when one is due."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_kie.simulator.answers import (
    BROKEN,
    CODE,
    UPLOAD_CALLS,
    api_error,
    file_error,
    gateway_page,
    upload_error,
)
from airflow_provider_kie.simulator.bodies import MAX_JSON, Decoder, UnreadableBody, parsed
from airflow_provider_kie.simulator.state import Fault, RecordedRequest, State

log = logging.getLogger(__name__)
PIECE = 16 * 1024
BODILESS = (204, 205, 304)
"""Statuses for which HTTP allows no body."""
HangUp = Callable[[Scope, bool], None]
"""Closes a request's connection: at once (True), or once what is written has been sent (False)."""


def spoiled_answer(fault: Fault, call: str) -> Response | None:
    """
    Build the answer that a fault gives in place of the right one.

    :param fault: what goes wrong.
    :param call: the call it goes wrong for.
    :return: the answer, or None when the right one goes out, even if late, cut or with other headers.
    """
    error = upload_error if call in UPLOAD_CALLS else api_error
    if fault.status in BODILESS:
        return Response(None, fault.status)
    if fault.body is not None:
        return Response(fault.body, fault.status or 200, media_type="application/json")
    if fault.html:
        status = fault.status or 502
        return HTMLResponse(gateway_page(status), status)
    if fault.code is not None:
        return error(fault.code, fault.msg, status=fault.status or 200)
    if fault.status is None:
        return None
    if call == "file":
        return file_error(fault.status, fault.msg)
    return error(fault.status, fault.msg, status=fault.status)


def answering(fault: Fault, call: str, app: ASGIApp) -> ASGIApp:
    """
    Decide who answers a request.

    :param fault: what goes wrong.
    :param call: the call it goes wrong for.
    :param app: gives the right answer.
    :return: the application to run; with ``accept`` the right one runs too, but its answer is lost.
    """
    answer = spoiled_answer(fault, call)
    if answer is None or not fault.accept:
        return answer or app

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        await take_effect(app, scope, receive)
        await answer(scope, receive, send)

    return both


async def take_effect(app: ASGIApp, scope: Scope, receive: Receive) -> None:
    """
    Run an application and lose its answer.

    :param app: the application.
    :param scope: the request's ASGI scope.
    :param receive: the request's receive.
    """

    async def lose(_: Message) -> None:
        pass

    await app(scope, receive, lose)
    scope.pop(CODE, None)


def spoiled_headers(fault: Fault, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """
    Put a fault's headers in place of an answer's own.

    :param fault: what goes wrong.
    :param headers: the answer's headers, names in lower case.
    :return: the headers to send.
    """
    extra = {name.lower().encode(): value for name, value in fault.headers.items()}
    if fault.retry_after is not None:
        wait = fault.retry_after
        extra[b"retry-after"] = wait if isinstance(wait, str) else f"{wait:g}"
    kept = [(name, value) for name, value in headers if name not in extra]
    return kept + [(name, value.encode("latin-1")) for name, value in extra.items() if value is not None]


class Exchange:
    """
    One request and its answer.

    :param state: where the request is recorded and its fault comes from.
    :param call: the request's call.
    :param scope: the ASGI scope.
    :param receive: the server's receive.
    :param send: the server's send.
    :param hang_up: closes the connection.
    """

    def __init__(
        self, state: State, call: str, scope: Scope, receive: Receive, send: Send, hang_up: HangUp
    ) -> None:
        self._state, self._scope, self._hang_up = state, scope, hang_up
        self._receive, self._send = receive, send
        self._headers = Headers(scope=scope)
        self._decoder = Decoder(self._headers.get("content-encoding", ""))
        self._keeps_body = call not in ("file-stream-upload", "file")
        self._body = bytearray()
        self._bytes_in = self._bytes_out = 0
        self._more_in, self._over, self._broken = True, False, False
        self._status: int | None = None
        # A browser sends a preflight OPTIONS first; the fault is for the request itself.
        self.fault = Fault() if scope["method"] == "OPTIONS" else state.next_fault(call)
        self._number = state.record(
            RecordedRequest(
                call=call,
                method=scope["method"],
                host=self._headers.get("host", ""),
                path=scope["path"],
                query=scope["query_string"].decode("latin-1"),
                headers=dict(self._headers),
            )
        )

    async def run(self, app: ASGIApp) -> None:
        """
        Let an application answer, as far as the fault allows; if it breaks, that is recorded and logged.

        :param app: the application that answers.
        :raises ClientDisconnect: when the client leaves in the middle of its request.
        """
        try:
            if self.fault.drop_after == -1:
                if self.fault.accept:
                    await take_effect(app, self._scope, self._read)
                await asyncio.sleep(self.fault.delay)
                await self._drop(at_once=True)
            else:
                await app(self._scope, self._read, self._write)
        except ClientDisconnect:
            raise
        except Exception as error:
            self._note_defect(error)
            if not self._over:
                await self._drop(at_once=False)
        finally:
            self._note()

    def _note_defect(self, error: Exception) -> None:
        if not self._broken:
            self._broken = True
            self._state.amend(self._number, error=repr(error))
            asked = (self._scope["method"], self._scope["path"])
            log.error("The simulator broke on %s %s", *asked, exc_info=error)

    def _note(self) -> None:
        code = self._scope.get(CODE)
        self._state.amend(self._number, status=self._status, code=code, bytes_in=self._bytes_in)

    async def _read(self) -> Message:
        message = await self._receive()
        self._more_in = message.get("more_body", False)
        if message["type"] == "http.disconnect":
            self._over = True
            return message
        piece = message.get("body", b"")
        self._bytes_in += len(piece)
        body = self._decoder.decode(piece, last=not self._more_in)
        if self._keeps_body:
            self._keep(body)
        return {**message, "body": body}

    def _keep(self, piece: bytes) -> None:
        if len(self._body) <= MAX_JSON:
            self._body += piece
        if self._body and not self._more_in:
            if len(self._body) <= MAX_JSON:
                with contextlib.suppress(ValueError):
                    self._state.keep_json(self._number, parsed(bytes(self._body)), len(self._body))
            self._body.clear()

    async def _write(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            # A client that is still sending would see a broken pipe instead of the answer.
            while self._more_in:
                with contextlib.suppress(UnreadableBody):
                    await self._read()
            if self._over:
                return
            await asyncio.sleep(self.fault.delay)
            self._status = message["status"]
            if error := self._scope.get(BROKEN):
                self._note_defect(error)
            # Before the client can see the answer, and look for its request in the records.
            self._note()
            await self._send({**message, "headers": spoiled_headers(self.fault, message["headers"])})
        elif not self._over:
            await self._write_body(message.get("body", b""), message.get("more_body", False))

    async def _write_body(self, body: bytes, more: bool) -> None:
        limit = self.fault.drop_after
        cut = limit is not None and self._bytes_out + len(body) > limit
        if limit is not None and cut:
            body = body[: limit - self._bytes_out]
        self._bytes_out += len(body)
        size = PIECE if self.fault.chunk_delay else len(body) or 1
        for start in range(0, len(body), size):
            piece = body[start : start + size]
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(self.fault.chunk_delay)
        if cut:
            await self._drop(at_once=False)
        elif not more:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            self._over = True

    async def _drop(self, *, at_once: bool) -> None:
        self._over = True
        self._hang_up(self._scope, at_once)
        # Until the server notices, it would take the missing rest for a mistake of ours.
        while (await self._receive())["type"] != "http.disconnect":
            pass
