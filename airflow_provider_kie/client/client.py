"""The two clients, sync and async; the only place that builds httpx clients."""

from __future__ import annotations

import functools
import logging
import os
import socket
import ssl
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx
from tenacity import AsyncRetrying, RetryCallState, Retrying

from airflow_provider_kie import __version__
from airflow_provider_kie.client.answers import ANSWER_LIMIT, read_answer
from airflow_provider_kie.client.calls import Call
from airflow_provider_kie.client.errors import (
    KieCancelledError,
    KieConnectionError,
    KieResponseError,
    KieTransferError,
)
from airflow_provider_kie.client.retries import Pace, Retries, retry_policy
from airflow_provider_kie.client.settings import KieSettings
from airflow_provider_kie.client.urls import is_loopback

T = TypeVar("T")

USER_AGENT = f"airflow-provider-kie/{__version__}"
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
        self._http = httpx.Client(**_client_options(self.settings, self._kept))
        self._stopped = threading.Event()
        self._pace = Pace(sleep=self._stopped.wait)
        self._connections: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def _leave_to_parent(self) -> None:
        """Begin anew in a child process: two that speak over one connection get each other's answers."""
        if self._http.is_closed or self._stopped.is_set():
            return
        for connection in list(self._connections):
            connection.close()
        self._open()

    def send(self, call: Call[T], *, retries: Retries | None = None) -> T:
        """
        Send a call, repeating it after transient failures.

        :param call: What to send, from :mod:`airflow_provider_kie.client.calls`.
        :param retries: Counts the retries.
        :return: What the call promises.
        :raises KieError: The answer was an error, or none came, after the last try.
        """
        policy = self.retry_policy(call.name, repeatable=call.repeatable, retries=retries)
        result: T = Retrying(**policy)(self.send_once, call)
        return result

    def retry_policy(
        self, name: str, *, repeatable: bool = True, retries: Retries | None = None
    ) -> dict[str, Any]:
        """
        Make the arguments for tenacity's ``Retrying``; a rate limit slows all threads that share the client.

        :param name: What is repeated, for the log.
        :param repeatable: False if sending it twice may cost money.
        :param retries: Counts the retries.
        :return: Keyword arguments.
        """

        def before(state: RetryCallState) -> None:
            self._pace.wait()
            self.check_running()

        most = self.settings.max_retries
        policy = retry_policy(name, max_retries=most, repeatable=repeatable, retries=retries, pace=self._pace)
        return policy | {"before": before, "sleep": self._stopped.wait}

    def stop(self) -> None:
        """Let what other threads are doing with this client end at once."""
        self._stopped.set()
        for connection in list(self._connections):
            with suppress(OSError):
                # Not SSLSocket's own, which would take the TLS state from under the thread that reads.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def check_running(self) -> None:
        """
        Ask whether to go on.

        :raises KieCancelledError: :meth:`stop` was called.
        """
        if self._stopped.is_set():
            raise KieCancelledError("the transfer was cancelled")

    def send_once(self, call: Call[T]) -> T:
        """
        Send a call a single time, for callers that have their own way of trying again.

        :param call: What to send.
        :return: What the call promises.
        :raises KieError: The answer was an error, or none came.
        """
        with (
            _connection_errors(call.name),
            _request(self.settings, call) as request,
            self._http.stream(**request, extensions={"trace": self._trace}) as response,
        ):
            _check_encoding(call, response)
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                _check_length(call, body)
        return read_answer(call, response.status_code, response.headers, _without_key(self.settings, body))

    @contextmanager
    def open_file(self, file_url: str, headers: Mapping[str, str] | None = None) -> Iterator[httpx.Response]:
        """
        Open a file on a file host; the key is not sent there, nor anywhere it redirects to.

        :param file_url: URL, a signed link for example.
        :param headers: Request headers, such as ``Range``.
        :return: A context manager that gives the response with its body unread; its status is not judged.
        :raises KieConnectionError: The host cannot be reached, or the body was cut off.
        :raises KieTransferError: It redirects from https to http, or too often.
        """
        with _connection_errors("download"):
            trace = {"trace": self._trace}
            request = self._http.build_request("GET", file_url, headers=headers, extensions=trace)
            for _ in range(MAX_REDIRECTS + 1):
                response = self._http.send(request, stream=True, follow_redirects=False)
                if response.next_request is None:
                    with closing(response):
                        yield response
                    return
                response.close()
                _check_redirect(request.url, response.next_request.url)
                request = response.next_request
        raise KieTransferError(f"download: redirected more than {MAX_REDIRECTS} times", transient=False)

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        """Learn of every new connection; httpx calls this on the way."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._connections.add(info["return_value"].get_extra_info("socket"))

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
        self._http = httpx.AsyncClient(**_client_options(settings, 1))

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
        with _connection_errors(call.name), _request(self.settings, call) as request:
            async with self._http.stream(**request) as response:
                _check_encoding(call, response)
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    _check_length(call, body)
        return read_answer(call, response.status_code, response.headers, _without_key(self.settings, body))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _check_redirect(source: httpx.URL, target: httpx.URL) -> None:
    if source.scheme == "https" and target.scheme != "https":
        raise KieTransferError("download: redirected from https to http", transient=False)
    if target.userinfo:
        raise KieTransferError("download: redirected to a URL with credentials", transient=False)


@functools.cache
def ssl_context() -> ssl.SSLContext:
    """
    Give what all clients of the process share: making one costs 14 ms and more, and 0.7 MB.

    :return: The context that checks certificates.
    """
    return httpx.create_ssl_context()


def _client_options(settings: KieSettings, connections: int) -> dict[str, Any]:
    return {
        "limits": httpx.Limits(max_connections=None, max_keepalive_connections=connections),
        "headers": {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
        "timeout": settings.timeout,
        "verify": ssl_context(),
        # A redirected call would carry the key to a host nobody configured.
        "follow_redirects": False,
        # A proxy for everything has no business with loopback, where the key goes in clear.
        "mounts": {f"all://{host}": None for host in _loopback_hosts(settings)},
    }


def _loopback_hosts(settings: KieSettings) -> set[str]:
    hosts = {urlsplit(url).hostname or "" for url in (settings.base_url, settings.upload_base_url)}
    return {f"[{host}]" if ":" in host else host for host in hosts if is_loopback(host)}


def _without_key(settings: KieSettings, body: bytearray) -> bytes:
    """Take the key out of an answer that repeats it: what is quoted of answers ends up in logs."""
    return (
        bytes(body).replace(settings.api_key.encode(), b"***") if len(settings.api_key) > 15 else bytes(body)
    )


@contextmanager
def _request(settings: KieSettings, call: Call[Any]) -> Iterator[dict[str, Any]]:
    """Give httpx's arguments for a call; the key is added here, where only configured hosts are asked."""
    base_url = settings.base_url if call.host == "api" else settings.upload_base_url
    request: dict[str, Any] = {
        "method": call.method,
        "url": base_url.rstrip("/") + call.path,
        "headers": {"Authorization": f"Bearer {settings.api_key}"},
    }
    if call.json is not None:
        request["json"] = call.json
    with ExitStack() as stack:
        if call.file is not None:
            file = stack.enter_context(call.file.open())
            request["data"] = call.fields
            request["files"] = {"file": (call.file.name, file, call.file.mime_type)}
        yield request


@contextmanager
def _connection_errors(name: str) -> Iterator[None]:
    """Turn httpx's errors into ours; their messages name no URL."""
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError):
        raise KieTransferError(f"{name}: sent to something that is no http(s) URL", transient=False) from None
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise KieConnectionError(f"{name}: cannot connect: {_reason(error)}", never_sent=True) from error
    except httpx.TimeoutException as error:
        raise KieConnectionError(f"{name}: no byte came or went in time: {_reason(error)}") from error
    except (httpx.RequestError, httpx.StreamError) as error:
        raise KieConnectionError(f"{name}: the connection broke: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()


def _check_encoding(call: Call[Any], response: httpx.Response) -> None:
    # Unpacked, an answer could be a thousand times as large before anybody has counted it.
    if response.headers.get("content-encoding", "identity") != "identity":
        raise KieResponseError(
            f"{call.name}: the answer comes encoded, which was not asked for", transient=True
        )


def _check_length(call: Call[Any], body: bytearray) -> None:
    if len(body) > ANSWER_LIMIT:
        raise KieResponseError(f"{call.name}: the answer is larger than {ANSWER_LIMIT} bytes")


class _HideLinks(logging.Filter):
    """Cuts URLs in httpx's log lines down to their hosts; drops httpcore's lines with response headers."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == "httpx" and isinstance(record.args, tuple):
            record.args = tuple(
                f"{arg.scheme}://{arg.host}/..." if isinstance(arg, httpx.URL) else arg for arg in record.args
            )
        return "receive_response_headers.complete" not in record.getMessage()


for _name in ("httpx", "httpcore.http11", "httpcore.http2"):
    logging.getLogger(_name).addFilter(_HideLinks())
