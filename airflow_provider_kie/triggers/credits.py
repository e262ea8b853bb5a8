"""Waiting for credits in the triggerer: one poll for all that wait on the same connection and interval."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Hashable
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_kie.client import calls, errors
from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.credits import CreditsGoal

log = logging.getLogger(__name__)

CLASS_PATH = "airflow_provider_kie.triggers.credits.KieCreditsTrigger"


class KieCreditsTrigger(BaseEventTrigger):
    """
    Wait until the balance meets a goal.

    From Airflow 3.3 on, all triggers of one connection and interval share one poll; before, each has its own.

    :param threshold: Credits.
    :param condition: ``at_least`` or ``below``.
    :param poke_interval: Seconds between polls.
    :param kie_conn_id: Airflow connection.
    :param silent_fail: Whether permanent errors too mean "not yet".
    """

    # A deferred task's trigger belongs to the triggerers of the task's queue; event triggers have none of
    # their own, so Airflow has to be told (3.2 and 3.3; 3.4).
    supports_triggerer_queue = True
    trigger_queue_inherited_from_task = True

    def __init__(
        self,
        *,
        threshold: float,
        condition: str,
        poke_interval: float,
        kie_conn_id: str,
        silent_fail: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.goal = CreditsGoal.parse(threshold, condition)
        self.poke_interval = poke_interval
        self.kie_conn_id = kie_conn_id
        self.silent_fail = silent_fail

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give what recreates the trigger; no secret is in it."""
        return CLASS_PATH, {
            "threshold": self.goal.threshold,
            "condition": self.goal.condition,
            "poke_interval": self.poke_interval,
            "kie_conn_id": self.kie_conn_id,
            "silent_fail": self.silent_fail,
        }

    def shared_stream_key(self) -> Hashable | None:
        """Name the poll that this trigger can share."""
        return ("kie-credits", self.kie_conn_id, self.poke_interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncGenerator[float | KieError, None]:
        """
        Poll for ever; an error is a value here, because raising would end everyone who shares the poll.

        :param kwargs: Arguments of one of the triggers; only the fields in the key are the same for all.
        :return: Balances and errors, one an interval.
        """
        while True:
            result = await _poll(kwargs["kie_conn_id"])
            # asgiref, for one, can lose a cancellation on the way; then nothing else would end the poll.
            if (task := asyncio.current_task()) and task.cancelling():
                raise asyncio.CancelledError
            yield result
            await asyncio.sleep(kwargs["poke_interval"])

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[float | KieError]
    ) -> AsyncIterator[TriggerEvent]:
        """
        Wait for the poll result that ends this trigger's waiting.

        :param shared_stream: Balances and errors.
        :return: One event, for :func:`read_event`.
        """
        async for result in shared_stream:
            if isinstance(result, float):
                if self.goal.met_by(result):
                    yield TriggerEvent({"status": "success", "credits": result})
                    return
                log.info("The balance of %.15g credits is not yet %s", result, self.goal)
            elif result.transient or self.silent_fail:
                log.warning("Asking for the balance failed, will ask again: %s", result)
            else:
                yield TriggerEvent(_error_payload(result))
                return

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait alone, where Airflow does not share: before 3.3, and in ``dag.test()``."""
        async for event in self.filter_shared_stream(self.open_shared_stream(self.serialize()[1])):
            yield event


def read_event(event: dict[str, Any] | None) -> float:
    """
    Read the event that resumes the sensor.

    :param event: The trigger's payload.
    :return: The balance.
    :raises KieError: The permanent error that ended the waiting, of its own class again.
    :raises ValueError: It is no event of :class:`KieCreditsTrigger`.
    """
    match event:
        case {"status": "success", "credits": float() | int() as balance}:
            return float(balance)
        case {"status": "error", "error": str(name), "message": str(message), "code": code}:
            kind = getattr(errors, name, None)
            if not (isinstance(kind, type) and issubclass(kind, KieError)):
                kind = KieError
            raise kind(message, code=code) if kind is not errors.KieConnectionError else kind(message)
    raise ValueError(f"Resumed with something that is no event of KieCreditsTrigger: {event!r}")


def _error_payload(error: KieError) -> dict[str, Any]:
    return {
        "status": "error",
        "error": type(error).__name__,
        "message": error.args[0],
        "code": error.code,
    }


async def _poll(kie_conn_id: str) -> float | KieError:
    from airflow_provider_kie.hooks.kie import KieHook

    try:
        # The connection is read at every poll, so that a new key takes effect while sensors wait.
        async with await KieHook(kie_conn_id).aget_conn(max_retries=0) as client:
            return await client.send(calls.get_credits())
    except KieError as error:
        return error
    except Exception as error:
        # Airflow's own trouble, with its database for example; it must not end the waiting either.
        return KieError(f"{type(error).__name__}: {error}", transient=True)
