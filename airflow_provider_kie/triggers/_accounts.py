"""How triggers come to a client without blocking their event loop, and share one."""

from __future__ import annotations

import asyncio
import copy
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from airflow_provider_kie.client.errors import KieError

if TYPE_CHECKING:
    from airflow_provider_kie.client.client import AsyncKieClient
    from airflow_provider_kie.hooks.kie import KieHook

# A new key, or another host, is found out after that long at the latest.
CONNECTION_SECONDS = 300.0


def ready_hook(kie_conn_id: str) -> KieHook:
    """
    Import and read certificates, for a thread: an event loop would stand still for 0.2 s.

    :param kie_conn_id: Airflow connection.
    :return: The hook.
    """
    from airflow_provider_kie.client.http.environment import ssl_context
    from airflow_provider_kie.hooks.kie import KieHook

    ssl_context()
    return KieHook(kie_conn_id)


class SharedClient:
    """
    The client of a connection that many share, as the connection is now.

    :param kie_conn_id: Airflow connection.
    """

    def __init__(self, kie_conn_id: str) -> None:
        self._conn_id = kie_conn_id
        self._client: AsyncKieClient | None = None
        self._lock = asyncio.Lock()
        self._read_again_at = 0.0
        self._failure: KieError | None = None
        self._failed_at = 0.0
        # Closes those that were replaced only at the end: somebody may still wait for their answers.
        self._clients = AsyncExitStack()

    async def get(self) -> AsyncKieClient:
        """
        Give the client; from time to time, see first whether the connection is another by now.

        :return: The client.
        :raises KieError: There is none yet, and the connection cannot be had or is unusable.
        """
        client = self._client
        if client and time.monotonic() < self._read_again_at:
            return client
        # Meanwhile the others go on with the old one.
        self._read_again_at = time.monotonic() + CONNECTION_SECONDS
        try:
            return await self.renew(client)
        except KieError:
            if client:
                return client
            raise

    async def renew(self, used: AsyncKieClient | None) -> AsyncKieClient:
        """
        Read the connection again.

        :param used: The client that was had before.
        :return: The same one if nothing has changed, else another.
        :raises KieError: The connection cannot be had, or is unusable.
        """
        asked_at = time.monotonic()
        async with self._lock:
            if self._client is not used and self._client:
                return self._client
            # A failed lookup may take long, and those who waited for it need not repeat it one by one.
            if self._failure and self._failed_at >= asked_at:
                raise copy.copy(self._failure)
            try:
                self._client = await self._read(self._client)
            except KieError as error:
                self._failure, self._failed_at = copy.copy(error), time.monotonic()
                raise
            return self._client

    async def _read(self, known: AsyncKieClient | None) -> AsyncKieClient:
        hook = await asyncio.to_thread(ready_hook, self._conn_id)
        client = await hook.aget_conn(max_retries=0)
        if known and known.settings == client.settings:
            await client.aclose()
            return known
        return await self._clients.enter_async_context(client)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._clients.aclose()
