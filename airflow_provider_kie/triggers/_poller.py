"""The poller: looks at jobs for all triggers of a connection that wait on one event loop."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

from airflow_provider_kie.client.api import jobs
from airflow_provider_kie.client.errors import KieError, KieRateLimitError
from airflow_provider_kie.decisions.waiting import FINAL_CODES
from airflow_provider_kie.triggers._accounts import SharedClient
from airflow_provider_kie.triggers._budget import RequestBudget
from airflow_provider_kie.triggers._polling import raise_if_cancelled

if TYPE_CHECKING:
    from airflow_provider_kie.client.api.records import Job
    from airflow_provider_kie.client.call import Call
    from airflow_provider_kie.client.client import AsyncKieClient

T = TypeVar("T")

# Each look has a connection of its own, so this bounds those too.
LOOKS_AT_ONCE = 20


class JobPoller:
    """
    Looks at jobs, one client and one request budget for all of them.

    It has no task of its own that could break, or be cancelled, under those who wait: each waits for its own
    look, in line with the others.

    :param kie_conn_id: Airflow connection.
    """

    def __init__(self, kie_conn_id: str) -> None:
        self.users = 0
        self._client = SharedClient(kie_conn_id)
        self._budget = RequestBudget()
        self._slots = asyncio.Semaphore(LOOKS_AT_ONCE)

    async def look(self, job_id: str, api: str) -> Job | KieError:
        """
        Look at a job once, as soon as it is its turn.

        :param job_id: The job.
        :param api: Family of models that it was submitted to.
        :return: The job, or why it could not be looked at.
        :raises ValueError: An argument is unusable.
        """
        call = jobs.get_job(job_id, api=api)
        try:
            async with self._slots:
                result: Job | KieError = await self._look(call)
        except KieError as error:
            result = error
        except Exception as error:
            # Airflow's own trouble, with its database for example; it must not end the waiting either.
            result = KieError(f"{type(error).__name__}: {error}", transient=True)
        raise_if_cancelled()
        return result

    async def _look(self, call: Call[T]) -> T:
        client = await self._client.get()
        try:
            return await self._send(client, call)
        except KieError as error:
            if not error.said_by_kie or error.code not in FINAL_CODES:
                raise
            # The key may have been replaced since the connection was read.
            renewed = await self._client.renew(client)
            if renewed is client:
                raise
        return await self._send(renewed, call)

    async def _send(self, client: AsyncKieClient, call: Call[T]) -> T:
        sent_at = await self._budget.wait()
        try:
            # Its log lines belong to no single task, and the trigger's context leads to its task's log.
            answer = await asyncio.get_running_loop().create_task(
                client.send_once(call), context=contextvars.Context()
            )
        except KieRateLimitError as error:
            self._budget.refused(error, sent_at)
            raise
        self._budget.answered()
        return answer

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


# A triggerer has one event loop for ever; each ``dag.test()`` makes others.
_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, JobPoller]] = WeakKeyDictionary()


@asynccontextmanager
async def shared_poller(kie_conn_id: str) -> AsyncIterator[JobPoller]:
    """
    Share the poller of a connection with all who wait on this event loop; the last one closes it.

    :param kie_conn_id: Airflow connection.
    :return: A context manager that yields the poller.
    """
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    poller = pollers.setdefault(kie_conn_id, JobPoller(kie_conn_id))
    poller.users += 1
    try:
        yield poller
    finally:
        poller.users -= 1
        if not poller.users:
            del pollers[kie_conn_id]
            await poller.aclose()
