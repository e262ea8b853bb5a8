"""HTTP exchanges, sync and async: a call's answer or an open file; only this module makes httpx clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing, closing, contextmanager
from typing import Any, NamedTuple, TypeVar

import httpx

from airflow_provider_kie.client.answers import check_length, is_packed, unpack
from airflow_provider_kie.client.call import Call
from airflow_provider_kie.client.errors import KieTransferError
from airflow_provider_kie.client.http.connections import Connections, closed_at_the_end
from airflow_provider_kie.client.http.deadlines import out_of_time, within
from airflow_provider_kie.client.http.environment import proxy_errors, ssl_context
from airflow_provider_kie.client.http.failures import connection_errors, proxy_refusal
from airflow_provider_kie.client.http.redaction import redacted
from airflow_provider_kie.client.http.requests import (
    client_options,
    deadline_for,
    deadline_for_head,
    direct_mounts,
    request_for,
)
from airflow_provider_kie.client.http.responses import FileResponse, OpenResponse
from airflow_provider_kie.client.settings import KieSettings

MAX_REDIRECTS = 5

CLIENT = TypeVar("CLIENT", httpx.Client, httpx.AsyncClient)


class Answer(NamedTuple):
    """
    An answer as received, but unpacked.

    :param status: HTTP status.
    :param headers: Response headers, case-insensitive.
    :param body: The whole body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpSession:
    """
    Exchanges over one pool of connections; safe to share between threads.

    :param settings: Which hosts, how patient.
    :param connections: How many connections are kept open.
    :param transport: Sends the requests in place of the network, in tests for example.
    """

    def __init__(
        self, settings: KieSettings, *, connections: int, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._settings = settings
        self._http = _make(httpx.Client, settings, connections, transport)
        self._connections = Connections()
        self.stopped = self._connections.stopped

    @property
    def is_closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._http.is_closed

    def fetch(self, call: Call[Any]) -> Answer:
        """
        Send a call once.

        :param call: What to send.
        :return: The answer, whatever it says.
        :raises KieConnectionError: No answer came, or not in time.
        :raises KieResponseError: It is larger than any of kie.ai's, or its compressed bytes are corrupt.
        """
        with (
            connection_errors(call.name),
            request_for(call, self._settings, self._http) as request,
            within(deadline_for(call, self._settings, request), call.name),
        ):
            with closing(self._send(request)) as response:
                packed, body = is_packed(call, response.headers), bytearray()
                for piece in response.iter_raw() if packed else response.iter_bytes():
                    body += piece
                    check_length(call, len(body))
            return _answer(call, response, body)

    @contextmanager
    def open_answer(self, call: Call[Any]) -> Iterator[OpenResponse]:
        """
        Send a call once, and read its answer as it comes.

        :param call: What to send.
        :return: A context manager that yields the answer with its body unread.
        :raises KieConnectionError: No answer came, or not in time.
        """
        with request_for(call, self._settings, self._http) as request:
            deadline = deadline_for(call, self._settings, request)
            with connection_errors(call.name), within(deadline, call.name):
                response = self._send(request)
        with closing(response):
            yield OpenResponse(call, response, deadline)

    @contextmanager
    def open_file(
        self, file_url: str, headers: Mapping[str, str] | None, name: str
    ) -> Iterator[FileResponse]:
        """
        Open a file on a file host; the key is not sent there, nor anywhere it redirects to.

        :param file_url: URL.
        :param headers: Request headers.
        :param name: Its name in errors.
        :return: A context manager that yields the response with its body unread.
        :raises KieConnectionError: The host cannot be reached.
        :raises KieTransferError: It redirects from https to http, or too often.
        """
        with connection_errors(name):
            response = self._follow(self._http.build_request("GET", file_url, headers=headers), name)
        with closing(response):
            yield FileResponse(response, name)

    def _follow(self, request: httpx.Request, name: str) -> httpx.Response:
        for _ in range(MAX_REDIRECTS + 1):
            with within(deadline_for_head(self._settings), name):
                response = self._send(request)
            if response.status_code == httpx.codes.PROXY_AUTHENTICATION_REQUIRED:
                response.close()
                raise proxy_refusal(name, f"{response.status_code} {response.reason_phrase}")
            if response.next_request is None:
                return response
            response.close()
            _check_redirect(request.url, response.next_request.url, name)
            request = response.next_request
        raise KieTransferError(f"{name}: redirected more than {MAX_REDIRECTS} times", transient=False)

    def _send(self, request: httpx.Request) -> httpx.Response:
        request.extensions["trace"] = self._connections.trace
        with redacted():
            return self._http.send(request, stream=True)

    def stop(self) -> None:
        """Shut down all connections, present and future; not for signal handlers."""
        self._connections.stop()

    def leave_to_parent(self) -> None:
        """In a child process, let go of the connections that its parent keeps using."""
        self._connections.leave_to_parent()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class AsyncHttpSession:
    """
    :class:`HttpSession` for an event loop, without files.

    :param settings: Which hosts, how patient.
    :param transport: Sends the requests in place of the network, in tests for example.
    """

    def __init__(self, settings: KieSettings, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        # A connection that is never reused cannot deliver stray bytes as an answer.
        self._http = _make(httpx.AsyncClient, settings, 0, transport)

    async def fetch(self, call: Call[Any]) -> Answer:
        """
        Send a call once.

        :param call: What to send; must have no file.
        :return: The answer, whatever it says.
        :raises KieConnectionError: No answer came, or not in time.
        :raises KieResponseError: It is larger than any of kie.ai's, or its compressed bytes are corrupt.
        """
        with connection_errors(call.name), request_for(call, self._settings, self._http) as request:
            seconds = deadline_for(call, self._settings, request).seconds
            try:
                async with (
                    asyncio.timeout(seconds),
                    closed_at_the_end(request),
                    aclosing(await self._send(request)) as response,
                ):
                    packed, body = is_packed(call, response.headers), bytearray()
                    async for piece in response.aiter_raw() if packed else response.aiter_bytes():
                        body += piece
                        check_length(call, len(body))
            except TimeoutError as error:
                raise out_of_time(call.name, seconds) from error
        return _answer(call, response, body)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        with redacted():
            return await self._http.send(request, stream=True)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _make(
    client: Callable[..., CLIENT],
    settings: KieSettings,
    connections: int,
    transport: httpx.BaseTransport | httpx.AsyncBaseTransport | None,
) -> CLIENT:
    options = client_options(settings, connections)
    if transport is not None:
        # It has nothing to do with this machine's certificates and proxies.
        return client(transport=transport, **options)
    context = ssl_context()
    with proxy_errors():
        return client(verify=context, mounts=direct_mounts(settings), **options)


def _answer(call: Call[Any], response: httpx.Response, body: bytearray) -> Answer:
    return Answer(response.status_code, response.headers, unpack(call, response.headers, bytes(body)))


def _check_redirect(source: httpx.URL, target: httpx.URL, name: str) -> None:
    if source.scheme == "https" and target.scheme != "https":
        raise KieTransferError(f"{name}: redirected from https to http", transient=False)
    if target.userinfo:
        raise KieTransferError(f"{name}: redirected to a URL with credentials", transient=False)
