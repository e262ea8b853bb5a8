"""The sync and the async client: calls sent with retries, files opened, everything stopped at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tenacity import AsyncRetrying, RetryCallState, Retrying

from airflow_provider_kie.client.answers import read_answer
from airflow_provider_kie.client.call import Call
from airflow_provider_kie.client.errors import KieCancelledError, KieError
from airflow_provider_kie.client.http.responses import FileResponse, OpenResponse
from airflow_provider_kie.client.http.session import Answer, AsyncHttpSession, HttpSession
from airflow_provider_kie.client.http.weak import WeakList
from airflow_provider_kie.client.retries import Cooldown, RetryCount, retry_policy
from airflow_provider_kie.client.settings import KieSettings

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

# Bytes. Reading an answer can take a second of processor time per MB; nearly all are smaller than this.
LARGE_ANSWER = 16 * 1024


class KieClient:
    """
    Sends calls to kie.ai and opens files, over one pool of connections; safe to share between threads.

    Use it as a context manager, or call :meth:`close`.

    :param settings: Which account, which hosts, how patient.
    :param connections: How many connections are kept open: one for each thread that shares the client.
    :param transport: Sends the requests in place of the network, such as an ``httpx.MockTransport``; a forked
        child uses the same one.
    """

    def __init__(
        self, settings: KieSettings, *, connections: int = 8, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.settings = settings
        self._options: dict[str, Any] = {"connections": connections, "transport": transport}
        self._open()
        _clients.add(self)

    def _open(self) -> None:
        self._session = HttpSession(self.settings, **self._options)
        self._stopped = self._session.stopped
        self._cooldown = Cooldown(sleep=self._stopped.wait)

    def _leave_to_parent(self) -> None:
        """Start afresh in a child process: two processes on one connection get each other's answers."""
        if self._session.is_closed or self._stopped.is_set():
            return
        self._session.leave_to_parent()
        self._open()

    def send(
        self,
        call: Call[T],
        *,
        retries: RetryCount | None = None,
        before: Callable[[], None] = lambda: None,
    ) -> T:
        """
        Send a call, repeating it after transient failures.

        :param call: What to send, from ``airflow_provider_kie.client.api``.
        :param retries: Counts the retries.
        :param before: Called right before each try; ends it all by raising.
        :return: The call's result.
        :raises KieError: The answer to the last try was an error, or none came.
        """
        policy = self.retry_policy(call.name, repeatable=call.repeatable, retries=retries)
        ready = policy["before"]

        def before_each(state: RetryCallState) -> None:
            ready(state)
            before()

        result: T = Retrying(**policy | {"before": before_each})(self.send_once, call)
        return result

    def send_once(self, call: Call[T]) -> T:
        """
        Send a call once, for callers that do their own retrying.

        :param call: What to send.
        :return: The call's result.
        :raises KieError: The answer was an error, or none came.
        """
        with self._unless_stopped():
            return _read(self.settings, call, self._session.fetch(call))

    @contextmanager
    def open_answer(self, call: Call[Any]) -> Iterator[OpenResponse]:
        """
        Send a call once, for callers that read its answer as it comes.

        :param call: What to send.
        :return: A context manager that yields the answer, body unread and unjudged.
        :raises KieConnectionError: No answer came, or it breaks off, or is not complete in time.
        """
        with self._unless_stopped(), self._session.open_answer(call) as answer:
            yield answer

    def judge(self, call: Call[T], answer: Answer) -> T:
        """
        Turn an answer that the caller has read into the call's result.

        :param call: What was sent.
        :param answer: The answer.
        :return: The call's result.
        :raises KieError: The answer is an error.
        """
        return _read(self.settings, call, answer)

    @contextmanager
    def open_file(
        self, file_url: str, headers: Mapping[str, str] | None = None, *, name: str = "download"
    ) -> Iterator[FileResponse]:
        """
        Open a file on a file host; the key is not sent there, nor anywhere it redirects to.

        :param file_url: URL, a signed link for example.
        :param headers: Request headers, such as ``Range``.
        :param name: Its name in errors.
        :return: A context manager that yields the response, body unread and status unchecked.
        :raises KieConnectionError: The host cannot be reached, or the body was cut off.
        :raises KieTransferError: It redirects from https to http, or too often.
        """
        with self._unless_stopped(), self._session.open_file(file_url, headers, name) as response:
            yield response

    def retry_policy(
        self, name: str, *, repeatable: bool = True, retries: RetryCount | None = None
    ) -> dict[str, Any]:
        """
        Build the arguments for tenacity's ``Retrying``; a rate limit slows all threads that share the client.

        :param name: What is repeated, for the log.
        :param repeatable: False if sending it twice may cost money.
        :param retries: Counts the retries.
        :return: Keyword arguments.
        """

        policy = retry_policy(
            name,
            max_retries=self.settings.max_retries,
            repeatable=repeatable,
            retries=retries,
            cooldown=self._cooldown,
        )
        worth_repeating = policy["retry"]

        def before(state: RetryCallState) -> None:
            self._cooldown.wait()
            self.check_running()

        def repeats(state: RetryCallState) -> bool:
            if state.outcome and (error := state.outcome.exception()):
                self._raise_if_stopped(error)
            return bool(worth_repeating(state))

        return policy | {"before": before, "retry": repeats, "sleep": self._stopped.wait}

    def stop(self) -> None:
        """
        Abort at once what other threads are doing with this client, and refuse anything new.

        Whatever fails from then on raises
        :class:`~airflow_provider_kie.client.errors.KieCancelledError`. A thread that is connecting ends when
        that is over, without sending: at the latest after the system's lookup of the host and ``timeout``
        seconds for each of its addresses. Call it from ordinary code, not from a signal handler.
        """
        self._session.stop()

    def check_running(self) -> None:
        """
        Check that the client has not been stopped.

        :raises KieCancelledError: :meth:`stop` was called.
        """
        if self._stopped.is_set():
            raise KieCancelledError("the transfer was cancelled")

    @contextmanager
    def _unless_stopped(self) -> Iterator[None]:
        """Report what fails after a stop as cancelled."""
        self.check_running()
        try:
            yield
        except Exception as error:
            self._raise_if_stopped(error)
            raise

    def _raise_if_stopped(self, error: BaseException) -> None:
        if self._stopped.is_set() and not isinstance(error, KieCancelledError):
            raise KieCancelledError("the transfer was cancelled") from error

    def close(self) -> None:
        """Close the connections; the client cannot be used again."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_clients: WeakList[KieClient] = WeakList()


def _leave_clients_to_parent() -> None:
    for client in _clients.alive():
        client._leave_to_parent()


os.register_at_fork(after_in_child=_leave_clients_to_parent)


class AsyncKieClient:
    """
    :class:`KieClient` for an event loop; only for calls without files, because bytes move on workers.

    :param settings: Which account, which hosts, how patient.
    :param transport: Sends the requests in place of the network, such as an ``httpx.MockTransport``.
    """

    def __init__(self, settings: KieSettings, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.settings = settings
        self._session = AsyncHttpSession(settings, transport=transport)

    async def send(self, call: Call[T]) -> T:
        """
        Send a call, repeating it after transient failures.

        :param call: What to send; must have no file.
        :return: The call's result.
        :raises KieError: The answer to the last try was an error, or none came.
        """
        policy = retry_policy(call.name, max_retries=self.settings.max_retries, repeatable=call.repeatable)
        result: T = await AsyncRetrying(**policy)(self.send_once, call)
        return result

    async def send_once(self, call: Call[T]) -> T:
        """
        Send a call once, for callers that do their own retrying.

        :param call: What to send; must have no file.
        :return: The call's result.
        :raises KieError: The answer was an error, or none came.
        """
        answer = await self._session.fetch(call)
        if len(answer.body) < LARGE_ANSWER:
            return _read(self.settings, call, answer)
        # An event loop would stand still meanwhile.
        return await asyncio.to_thread(_read, self.settings, call, answer)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._session.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _read(settings: KieSettings, call: Call[T], answer: Answer) -> T:
    body = answer.body
    if len(settings.api_key) > 15:
        # Answers are quoted in logs, and some echo the key.
        body = body.replace(settings.api_key.encode(), b"***")
    try:
        return read_answer(call, answer.status, answer.headers, body)
    except KieError as error:
        explained = call.explain(error) if call.explain else error
        if explained is error:
            raise
        raise explained from error
