"""From an Airflow connection to an open client."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from airflow.sdk import BaseHook

from airflow_provider_kie._compat import NO_SUCH_CONNECTION, aget_connection
from airflow_provider_kie.client.call import Call
from airflow_provider_kie.client.client import AsyncKieClient, KieClient
from airflow_provider_kie.client.errors import KieConnectionNotFoundError, quote
from airflow_provider_kie.hooks.settings import settings_of

T = TypeVar("T")

# How often whoever waits is asked whether it is to end: ten times a second are promised, and sleeps overrun.
STEP_SECONDS = 0.05


class KieBaseHook(BaseHook):
    """
    Opens clients.

    :param kie_conn_id: Airflow connection of the type ``kie``.
    """

    conn_name_attr = "kie_conn_id"
    default_conn_name = "kie_default"
    conn_type = "kie"
    hook_name = "kie.ai"

    def __init__(self, kie_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.kie_conn_id = kie_conn_id

    def get_conn(self, *, max_retries: int | None = None, connections: int = 8) -> KieClient:
        """
        Open a client: authenticated, with a pool of connections.

        :param max_retries: Instead of the connection's.
        :param connections: How many connections are kept open: as many as threads share the client.
        :return: The client, a context manager.
        :raises KieConnectionNotFoundError: Airflow found no such connection, or could not look just now.
        :raises KieConfigError: The connection has an unusable field, or the environment an unusable variable;
            the message names it.
        """
        try:
            connection = self.get_connection(self.kie_conn_id)
        except Exception as error:
            raise self._not_found(error) from error
        return KieClient(settings_of(connection, max_retries=max_retries), connections=connections)

    async def aget_conn(self, *, max_retries: int | None = None) -> AsyncKieClient:
        """
        Open a client for an event loop, a trigger's for example.

        :param max_retries: Instead of the connection's.
        :return: The client, an asynchronous context manager.
        :raises KieConnectionNotFoundError: Airflow found no such connection, or could not look just now.
        :raises KieConfigError: The connection has an unusable field, or the environment an unusable variable;
            the message names it.
        """
        try:
            connection = await aget_connection(self.kie_conn_id)
        except Exception as error:
            raise self._not_found(error) from error
        return AsyncKieClient(settings_of(connection, max_retries=max_retries))

    def _not_found(self, error: Exception) -> KieConnectionNotFoundError:
        # Airflow's own "not found" says nothing more; anything else is told.
        known = isinstance(error, NO_SUCH_CONNECTION)
        reason = "" if known else f" ({type(error).__name__}: {quote(str(error))})"
        return KieConnectionNotFoundError(
            f"Connection {self.kie_conn_id!r} does not exist, or Airflow could not look it up just now"
            f"{reason}. If it is missing, add one of the type 'kie' whose password is the API key, for "
            "example: "
            f"export AIRFLOW_CONN_{self.kie_conn_id.upper()}="
            """'{"conn_type": "kie", "password": "<API key>"}'"""
        )


def send_in_thread(client: KieClient, call: Call[T], on_wait: Callable[[], None]) -> Future[T]:
    """
    Send a call in a thread: this one sees that it is to end, however slow kie.ai is.

    :param client: Sends it; stopped if the waiting is ended.
    :param call: What to send.
    :param on_wait: Called at least ten times a second; ends the waiting by raising.
    :return: How it ended.
    """
    executor = ThreadPoolExecutor(1, thread_name_prefix="kie-call")
    sending = executor.submit(client.send, call)
    try:
        while not wait([sending], STEP_SECONDS).done:
            on_wait()
    except BaseException:
        client.stop()
        raise
    finally:
        executor.shutdown(wait=False)
    return sending
