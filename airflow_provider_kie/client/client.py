"""The two clients, sync and async; the only place that makes httpx clients."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Iterator, Mapping
from contextlib import aclosing, closing, contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from tenacity import AsyncRetrying, RetryCallState, Retrying

from airflow_provider_kie.client.answers import ANSWER_LIMIT, is_packed, read_answer, unpack
from airflow_provider_kie.client.call import Call
from airflow_provider_kie.client.errors import KieCancelledError, KieResponseError, KieTransferError
from airflow_provider_kie.client.http.connections import Connections, closed_at_the_end, out_of_time, within
from airflow_provider_kie.client.http.environment import proxy_errors, ssl_context
from airflow_provider_kie.client.http.failures import connection_errors, proxy_refusal
from airflow_provider_kie.client.http.requests import (
    client_options,
    deadline_for,
    deadline_for_head,
    request_for,
)
from airflow_provider_kie.client.retries import Cooldown, RetryCount, retry_policy
from airflow_provider_kie.client.settings import KieSettings

__all__ = ["MAX_REDIRECTS", "AsyncKieClient", "KieClient", "ssl_context"]

T = TypeVar("T")

MAX_REDIRECTS = 5


class KieClient:
    """
    Sends calls to kie.ai and opens files, over one pool of connections; safe to share between threads.

    Use it as a context manager, or call :meth:`close`.

    :param settings: Which account, which hosts, how patient.
    :param connections: How many connections are kept open: as many as threads share the client.
    """

    def __init__(self, settings: KieSettings, *, connections: int = 8) -> None:
        self.settings = settings
        self._kept = connections
        self._open()
        _clients.add(self)

    def _open(self) -> None:
        options = client_options(self.settings, self._kept, ssl_context())
        with proxy_errors():
            self._http = httpx.Client(**options)
        self._connections = Connections()
        self._stopped = self._connections.stopped
        self._cooldown = Cooldown(sleep=self._stopped.wait)

    def _leave_to_parent(self) -> None:
        """Begin anew in a child process: two that speak over one connection get each other's answers."""
        if self._http.is_closed or self._stopped.is_set():
            return
        self._connections.leave_to_parent()
        self._open()

    def send(self, call: Call[T], *, retries: RetryCount | None = None) -> T:
        """
        Send a call, repeating it after transient failures.

        :param call: What to send, from :mod:`airflow_provider_kie.client.api`.
        :param retries: Counts the retries.
        :return: What the call promises.
        :raises KieError: The answer was an error, or none came, after the last try.
        """
        policy = self.retry_policy(call.name, repeatable=call.repeatable, retries=retries)
        result: T = Retrying(**policy)(self.send_once, call)
        return result

    def retry_policy(
        self, name: str, *, repeatable: bool = True, retries: RetryCount | None = None
    ) -> dict[str, Any]:
        """
        Make the arguments for tenacity's ``Retrying``; a rate limit slows all threads that share the client.

        :param name: What is repeated, for the log.
        :param repeatable: False if sending it twice may cost money.
        :param retries: Counts the retries.
        :return: Keyword arguments.
        """

        def before(state: RetryCallState) -> None:
            self._cooldown.wait()
            self.check_running()

        def repeats(state: RetryCallState) -> bool:
            if state.outcome and (error := state.outcome.exception()):
                self._judge_stopped(error)
            return bool(policy["retry"](state))

        most = self.settings.max_retries
        policy = retry_policy(
            name, max_retries=most, repeatable=repeatable, retries=retries, cooldown=self._cooldown
        )
        return policy | {"before": before, "retry": repeats, "sleep": self._stopped.wait}

    def stop(self) -> None:
        """
        Let what other threads are doing with this client end at once, and nothing begin any more.

        All that fails afterwards is a
        :class:`~airflow_provider_kie.client.errors.KieCancelledError`. A thread that is just connecting ends
        when that is over, and sends nothing any more: after what the system takes to look up the host, and
        ``timeout`` seconds for each of its addresses, at the latest. Call it from ordinary code, not from a
        signal handler.
        """
        self._connections.stop()

    def check_running(self) -> None:
        """
        Ask whether to go on.

        :raises KieCancelledError: :meth:`stop` was called.
        """
        if self._stopped.is_set():
            raise KieCancelledError("the transfer was cancelled")

    def _judge_stopped(self, error: BaseException) -> None:
        if self._stopped.is_set() and not isinstance(error, KieCancelledError):
            raise KieCancelledError("the transfer was cancelled") from error

    @contextmanager
    def _failures(self, name: str) -> Iterator[None]:
        """Give what breaks its type; once the client is stopped, that is why."""
        self.check_running()
        try:
            with connection_errors(name):
                yield
        except Exception as error:
            self._judge_stopped(error)
            raise

    def send_once(self, call: Call[T]) -> T:
        """
        Send a call a single time, for callers that have their own way of trying again.

        :param call: What to send.
        :return: What the call promises.
        :raises KieError: The answer was an error, or none came.
        """
        with (
            self._failures(call.name),
            request_for(call, self.settings, self._http) as request,
            within(deadline_for(call, self.settings, request), call.name),
        ):
            request.extensions["trace"] = self._connections.trace
            with closing(self._http.send(request, stream=True)) as response:
                packed, body = is_packed(call, response.headers), bytearray()
                for piece in response.iter_raw() if packed else response.iter_bytes():
                    body += piece
                    _check_length(call, body)
            return _read(self.settings, call, response, body)

    @contextmanager
    def open_file(
        self, file_url: str, headers: Mapping[str, str] | None = None, *, name: str = "download"
    ) -> Iterator[httpx.Response]:
        """
        Open a file on a file host; the key is not sent there, nor anywhere it redirects to.

        :param file_url: URL, a signed link for example.
        :param headers: Request headers, such as ``Range``.
        :param name: What this is called in errors.
        :return: A context manager that gives the response with its body unread; its status is not judged.
        :raises KieConnectionError: The host cannot be reached, or the body was cut off.
        :raises KieTransferError: It redirects from https to http, or too often.
        """
        with self._failures(name):
            request = self._http.build_request("GET", file_url, headers=headers)
            for _ in range(MAX_REDIRECTS + 1):
                response = self._send_for_file(request, name)
                if response.next_request is None:
                    with closing(response):
                        yield response
                    return
                response.close()
                _check_redirect(request.url, response.next_request.url, name)
                request = response.next_request
        raise KieTransferError(f"{name}: redirected more than {MAX_REDIRECTS} times", transient=False)

    def _send_for_file(self, request: httpx.Request, name: str) -> httpx.Response:
        request.extensions["trace"] = self._connections.trace
        with within(deadline_for_head(self.settings), name):
            response = self._http.send(request, stream=True, follow_redirects=False)
        if response.status_code == httpx.codes.PROXY_AUTHENTICATION_REQUIRED:
            response.close()
            raise proxy_refusal(name, f"{response.status_code} {response.reason_phrase}")
        return response

    def close(self) -> None:
        """Close the connections; the client cannot be used again."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_clients: weakref.WeakSet[KieClient] = weakref.WeakSet()


def _leave_clients_to_parent() -> None:
    for client in list(_clients):
        client._leave_to_parent()


os.register_at_fork(after_in_child=_leave_clients_to_parent)


class AsyncKieClient:
    """
    :class:`KieClient` for an event loop; sends calls without files, because bytes move on workers.

    :param settings: Which account, which hosts, how patient.
    """

    def __init__(self, settings: KieSettings) -> None:
        self.settings = settings
        # A connection that is not kept brings no bytes that belong to no answer.
        options = client_options(settings, 0, ssl_context())
        with proxy_errors():
            self._http = httpx.AsyncClient(**options)

    async def send(self, call: Call[T]) -> T:
        """
        Send a call, repeating it after transient failures.

        :param call: What to send; one without a file.
        :return: What the call promises.
        :raises KieError: The answer was an error, or none came, after the last try.
        """
        policy = retry_policy(call.name, max_retries=self.settings.max_retries, repeatable=call.repeatable)
        result: T = await AsyncRetrying(**policy)(self.send_once, call)
        return result

    async def send_once(self, call: Call[T]) -> T:
        """
        Send a call a single time, for callers that have their own way of trying again.

        :param call: What to send; one without a file.
        :return: What the call promises.
        :raises KieError: The answer was an error, or none came.
        """
        with connection_errors(call.name), request_for(call, self.settings, self._http) as request:
            seconds = deadline_for(call, self.settings, request).seconds
            try:
                async with (
                    asyncio.timeout(seconds),
                    closed_at_the_end(request),
                    aclosing(await self._http.send(request, stream=True)) as response,
                ):
                    packed, body = is_packed(call, response.headers), bytearray()
                    async for piece in response.aiter_raw() if packed else response.aiter_bytes():
                        body += piece
                        _check_length(call, body)
            except TimeoutError as error:
                raise out_of_time(call.name, seconds) from error
        return _read(self.settings, call, response, body)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _check_redirect(source: httpx.URL, target: httpx.URL, name: str) -> None:
    if source.scheme == "https" and target.scheme != "https":
        raise KieTransferError(f"{name}: redirected from https to http", transient=False)
    if target.userinfo:
        raise KieTransferError(f"{name}: redirected to a URL with credentials", transient=False)


def _read(settings: KieSettings, call: Call[T], response: httpx.Response, body: bytearray) -> T:
    plain = unpack(call, response.headers, bytes(body))
    if len(settings.api_key) > 15:
        # What is quoted of answers ends up in logs, and some repeat the key.
        plain = plain.replace(settings.api_key.encode(), b"***")
    return read_answer(call, response.status_code, response.headers, plain)


def _check_length(call: Call[Any], body: bytearray) -> None:
    if len(body) > ANSWER_LIMIT:
        raise KieResponseError(f"{call.name}: the answer is larger than {ANSWER_LIMIT} bytes")
