"""Triggers on the balance: one ends a sensor's waiting, one is an event that DAGs are scheduled on."""

from __future__ import annotations

import asyncio
import logging
import random
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Hashable
from datetime import timedelta
from functools import partial
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.decisions.credits import (
    Condition,
    CreditsCrossing,
    CreditsGoal,
    Snapshot,
    decide,
    finite,
)
from airflow_provider_kie.decisions.waiting import ConsecutiveFailures, will_ask_again
from airflow_provider_kie.triggers._accounts import ready_hook
from airflow_provider_kie.triggers._events import event_of, read_event
from airflow_provider_kie.triggers._memory import SnapshotStore
from airflow_provider_kie.triggers._polling import poll, polling_interval

__all__ = ["KieCreditsEventTrigger", "KieCreditsTrigger", "read_event"]

log = logging.getLogger(__name__)

MODULE = "airflow_provider_kie.triggers.credits"


class _SharedPollTrigger(BaseEventTrigger):
    """
    A listener to the balance of a connection.

    From Airflow 3.3 on, all triggers of one connection and interval share one poll, sensors' and watchers'
    alike; before, each has its own.
    """

    def __init__(self, *, kie_conn_id: str, poke_interval: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kie_conn_id = kie_conn_id
        self.poke_interval = poke_interval
        self._last_message = ""

    def shared_stream_key(self) -> Hashable | None:
        """Identify the poll that this trigger can share."""
        return ("kie-credits", self.kie_conn_id, polling_interval(self.poke_interval))

    @classmethod
    def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncGenerator[float | KieError, None]:
        """
        Poll for ever.

        :param kwargs: Arguments of one of the triggers; only the fields in the key are the same for all.
        :return: Balances and errors, one a poll.
        """
        return poll(partial(ask_for_balance, kwargs["kie_conn_id"]), kwargs["poke_interval"])

    @abstractmethod
    def filter_shared_stream(
        self, shared_stream: AsyncIterator[float | KieError]
    ) -> AsyncGenerator[TriggerEvent, None]:
        """Turn poll results into this trigger's events."""

    def run(self) -> AsyncGenerator[TriggerEvent, None]:
        """Listen alone, where Airflow does not share: before 3.3, and in ``dag.test()``."""
        return self.filter_shared_stream(self.open_shared_stream(self.serialize()[1]))

    async def _log_once(self, level: int, message: str) -> None:
        """Log a message unless it was the last one: a thousand that wait side by side would fill the log."""
        if message != self._last_message:
            self._last_message = message
            # All learn it at once, and a thousand lines in a row would hold up the event loop; a single one
            # too, while the triggerer has no time to read it.
            await asyncio.sleep(random.uniform(0, min(1.0, self.poke_interval / 2)))  # noqa: S311
            await asyncio.to_thread(log.log, level, "%s", message)


class KieCreditsTrigger(_SharedPollTrigger):
    """
    Wait until the balance meets a goal: what a deferred ``KieCreditsSensor`` waits with.

    :param threshold: Credits.
    :param condition: ``at_least`` or ``below``.
    :param poke_interval: Seconds between polls, one at the least.
    :param kie_conn_id: Airflow connection.
    :param silent_fail: Whether no error ends the waiting.
    """

    # A deferred task's trigger belongs to the triggerers of the task's queue; event triggers have none of
    # their own, so Airflow has to be told (3.2 and 3.3; 3.4).
    supports_triggerer_queue = True
    trigger_queue_inherited_from_task = True

    def __init__(
        self,
        *,
        threshold: float,
        condition: Condition,
        poke_interval: float,
        kie_conn_id: str,
        silent_fail: bool = False,
    ) -> None:
        super().__init__(kie_conn_id=kie_conn_id, poke_interval=poke_interval)
        self.goal = CreditsGoal.parse(threshold, condition)
        self.silent_fail = silent_fail

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Serialize the trigger; never includes secrets."""
        return f"{MODULE}.KieCreditsTrigger", {
            "threshold": self.goal.threshold,
            "condition": self.goal.condition,
            "poke_interval": self.poke_interval,
            "kie_conn_id": self.kie_conn_id,
            "silent_fail": self.silent_fail,
        }

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[float | KieError]
    ) -> AsyncGenerator[TriggerEvent, None]:
        """
        Wait for the poll result that ends this trigger's waiting.

        :param shared_stream: Balances and errors.
        :return: One event, for :func:`read_event`.
        """
        failures = ConsecutiveFailures()
        async for result in shared_stream:
            decision = decide(self.goal, failures, result, silent_fail=self.silent_fail)
            failures = decision.failures
            if decision.outcome != "wait":
                yield TriggerEvent(event_of(result))
                return
            await self._log_once(decision.level, decision.message)


class KieCreditsEventTrigger(_SharedPollTrigger):
    """
    Fire whenever the balance crosses a threshold; for ``AssetWatcher``, so that DAGs can be scheduled on it.

    It fires once per crossing, not as long as the balance is there, and not for the first balance it sees. On
    Airflow 3.3 it remembers across restarts of the triggerer, and notices what was crossed meanwhile. Errors
    never end it: they are logged, and it asks again.

    The event is ``{"balance": 40.0, "previous_balance": 60.0, "threshold": 50.0, "condition": "below",
    "kie_conn_id": "kie_default", "time": "2026-11-02T08:00:00Z"}``.

    :param threshold: Credits.
    :param condition: ``below`` or ``at_least``.
    :param kie_conn_id: Airflow connection.
    :param poke_interval: Seconds between polls, or a ``timedelta``; one second at the least.
    :param hysteresis: Credits that the balance has to go back beyond the threshold before it can cross it
        again; by default 5 % of the threshold.
    :raises ValueError: An argument is unusable.

    kie.ai page: https://docs.kie.ai/common-api/get-account-credits
    """

    def __init__(
        self,
        threshold: float,
        condition: Condition = "below",
        kie_conn_id: str = "kie_default",
        poke_interval: float | timedelta = 60.0,
        hysteresis: float | None = None,
    ) -> None:
        super().__init__(kie_conn_id=kie_conn_id, poke_interval=_seconds(poke_interval))
        self.crossing = CreditsCrossing.parse(threshold, condition, hysteresis)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Serialize the trigger; never includes secrets."""
        return f"{MODULE}.KieCreditsEventTrigger", {
            "threshold": self.crossing.goal.threshold,
            "condition": self.crossing.goal.condition,
            "kie_conn_id": self.kie_conn_id,
            "poke_interval": self.poke_interval,
            "hysteresis": self.crossing.hysteresis,
        }

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[float | KieError]
    ) -> AsyncGenerator[TriggerEvent, None]:
        """
        Watch for crossings, for ever.

        :param shared_stream: Balances and errors.
        :return: An event per crossing.
        """
        store = SnapshotStore(getattr(self, "asset_state_store", None), self._store_key)  # 3.3 and later
        before: Snapshot | None = None
        async for result in shared_stream:
            if isinstance(result, KieError):
                await self._log_once(logging.WARNING, will_ask_again("the balance", result))
                continue
            self._last_message = ""  # the next failure is news again
            before = await store.load(before)
            now, crossed = self.crossing.observe(before, result)
            if crossed and before:
                yield TriggerEvent(self._payload(result, before.balance))
                await store.wait_until_stored()
            before = now
            await store.save(now)

    def _payload(self, balance: float, previous_balance: float) -> dict[str, Any]:
        import pendulum

        goal = self.crossing.goal
        return {
            "balance": balance,
            "previous_balance": previous_balance,
            "threshold": goal.threshold,
            "condition": goal.condition,
            "kie_conn_id": self.kie_conn_id,
            "time": pendulum.now("UTC").to_iso8601_string(),
        }

    @property
    def _store_key(self) -> str:
        # An asset can have several watchers; each has a value of its own.
        goal, hysteresis = self.crossing.goal, self.crossing.hysteresis
        return f"kie-credits-{self.kie_conn_id}-{goal.condition}-{goal.threshold:.15g}-{hysteresis:.15g}"


async def ask_for_balance(kie_conn_id: str) -> float | KieError:
    """
    Ask for the balance once, without the client's retries: the next poll is the retry.

    :param kie_conn_id: Airflow connection.
    :return: The balance, or what went wrong.
    """
    try:
        hook = await asyncio.to_thread(ready_hook, kie_conn_id)
        # The connection is read at every poll, so that a new key takes effect while sensors wait.
        return await hook.aget_credits(max_retries=0)
    except KieError as error:
        return error
    except Exception as error:
        # Airflow's own trouble, with its database for example; it must not end the waiting either.
        return KieError(f"{type(error).__name__}: {error}", transient=True)


def _seconds(poke_interval: Any) -> float:
    seconds = poke_interval.total_seconds() if isinstance(poke_interval, timedelta) else poke_interval
    number = finite("poke_interval", seconds, "seconds above 0")
    if number <= 0:
        raise ValueError(f"poke_interval must be a number of seconds above 0, not {poke_interval!r}")
    return number
