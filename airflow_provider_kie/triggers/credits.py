"""Triggers on the balance: one ends a sensor's waiting, one is an event that DAGs are scheduled on."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Hashable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_kie.client.arguments import positive_seconds
from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.decisions.credits import (
    Condition,
    CreditsCrossing,
    CreditsGoal,
    Snapshot,
    decide,
)
from airflow_provider_kie.decisions.waiting import ConsecutiveFailures, will_ask_again
from airflow_provider_kie.decisions.waiting_log import WaitingLog
from airflow_provider_kie.triggers._accounts import ready_hook
from airflow_provider_kie.triggers._events import event_of, read_event
from airflow_provider_kie.triggers._memory import Look, SnapshotStore, looks
from airflow_provider_kie.triggers._polling import poll, polling_interval

if TYPE_CHECKING:
    from airflow_provider_kie.triggers._acknowledged import AcknowledgedPoll

__all__ = ["KieCreditsEventTrigger", "KieCreditsTrigger", "read_event"]

log = logging.getLogger(__name__)

MODULE = "airflow_provider_kie.triggers.credits"


class _SharedPollTrigger(BaseEventTrigger):
    """
    A listener to the balance of a connection.

    From Airflow 3.3 on, all sensors' triggers of one connection and interval share one poll, and so do all
    watchers; before, each has its own.
    """

    def __init__(self, *, kie_conn_id: str, poke_interval: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kie_conn_id = kie_conn_id
        self.poke_interval = poke_interval

    def shared_stream_key(self) -> Hashable | None:
        """Identify the poll that this trigger can share."""
        # By kind, because Airflow asks only the first in a group whether its events are acknowledged.
        return (type(self).__name__, self.kie_conn_id, polling_interval(self.poke_interval))

    @classmethod
    def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncGenerator[float | KieError, None]:
        """
        Poll for ever.

        :param kwargs: Arguments of one of the triggers; only the fields in the key are the same for all.
        :return: Balances and errors, one a poll.
        """
        return poll(partial(ask_for_balance, kwargs["kie_conn_id"]), kwargs["poke_interval"])

    @abstractmethod
    def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncGenerator[TriggerEvent, None]:
        """Turn poll results into this trigger's events."""

    def run(self) -> AsyncGenerator[TriggerEvent, None]:
        """Listen alone, where Airflow does not share: before 3.3, and in ``dag.test()``."""
        return self.filter_shared_stream(self.open_shared_stream(self.serialize()[1]))

    async def _tell(self, level: int, message: str) -> None:
        # All learn it at once, and a thousand lines in a row would hold up the event loop; a single one too,
        # while the triggerer has no time to read it.
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
        failures, waiting_log, began = ConsecutiveFailures(), WaitingLog(), time.monotonic()
        async for result in shared_stream:
            decision = decide(self.goal, failures, result, silent_fail=self.silent_fail)
            failures = decision.failures
            if decision.outcome != "wait":
                yield TriggerEvent(event_of(result))
                return
            # After an error the next poll is later than that.
            pause = None if isinstance(result, KieError) else polling_interval(self.poke_interval)
            if line := waiting_log.line(decision, time.monotonic() - began, pause):
                await self._tell(decision.level, line)


class KieCreditsEventTrigger(_SharedPollTrigger):
    """
    Fire whenever the balance crosses a threshold; for ``AssetWatcher``, so that DAGs can be scheduled on it.

    It fires once per crossing, not as long as the balance is there, and not for the first balance it sees
    unless told to. On Airflow 3.3 it remembers across restarts of the triggerer, and notices what was crossed
    meanwhile. Errors never end it: they are logged, and it asks again.

    The event is ``{"balance": 40.0, "previous_balance": 60.0, "threshold": 50.0, "condition": "below",
    "kie_conn_id": "kie_default", "time": "2026-11-02T08:00:00Z"}``.

    :param threshold: Credits.
    :param condition: ``below`` or ``at_least``.
    :param kie_conn_id: Airflow connection.
    :param poke_interval: Seconds between polls, or a ``timedelta``; one second at the least.
    :param hysteresis: Credits that the balance has to go back beyond the threshold before it can cross it
        again; by default 5 % of the threshold.
    :param fire_on_start: Whether a first balance that is already beyond the threshold fires too, with
        ``previous_balance`` None. Before Airflow 3.3 every restart of the triggerer is a start.
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
        *,
        fire_on_start: bool = False,
    ) -> None:
        super().__init__(
            kie_conn_id=kie_conn_id, poke_interval=positive_seconds("poke_interval", poke_interval)
        )
        self.crossing = CreditsCrossing.parse(threshold, condition, hysteresis, fire_on_start=fire_on_start)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Serialize the trigger; never includes secrets."""
        kwargs = {
            "threshold": self.crossing.goal.threshold,
            "condition": self.crossing.goal.condition,
            "kie_conn_id": self.kie_conn_id,
            "poke_interval": self.poke_interval,
            "hysteresis": self.crossing.hysteresis,
        }
        # Airflow knows a watcher by its arguments: without the new one it stays the same through an upgrade.
        if self.crossing.fire_on_start:
            kwargs["fire_on_start"] = True
        return f"{MODULE}.KieCreditsEventTrigger", kwargs

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> AcknowledgedPoll:
        """
        Poll for ever, and learn when Airflow has stored what came of it; called from Airflow 3.3 on.

        :param kwargs: Arguments of one of the watchers; only the fields in the key are the same for all.
        :return: The poll.
        """
        from airflow_provider_kie.triggers._acknowledged import AcknowledgedPoll

        return AcknowledgedPoll(looks(cls.open_shared_stream(kwargs)))

    def run(self) -> AsyncGenerator[TriggerEvent, None]:
        """Watch alone, where Airflow does not share: before 3.3."""
        return self.filter_shared_stream(looks(self.open_shared_stream(self.serialize()[1])))

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Look]
    ) -> AsyncGenerator[TriggerEvent, None]:
        """
        Watch for crossings, for ever.

        :param shared_stream: Looks at the balance.
        :return: An event per crossing.
        """
        store = SnapshotStore(getattr(self, "asset_state_store", None), self._store_key)  # 3.3 and later
        before: Snapshot | None = None
        said = ""
        async for look in shared_stream:
            if isinstance(look.result, KieError):
                if (message := will_ask_again("the balance", look.result)) != said:
                    await self._tell(logging.WARNING, said := message)
                continue
            said = ""  # the next failure is news again
            before = await store.load(before)
            now, fires = self.crossing.observe(before, look.result)
            if fires and before is None and not store.is_settled:
                continue  # it may be no start but a restart, during an outage of the store
            if fires:
                yield TriggerEvent(self._payload(look.result, before.balance if before else None))
                store.has_fired = True
            before = now
            if store.is_settled:
                look.notes.append(partial(store.save, now))

    def _payload(self, balance: float, previous_balance: float | None) -> dict[str, Any]:
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
        crossing, goal = self.crossing, self.crossing.goal
        numbers = f"{goal.threshold:.15g}-{crossing.hysteresis:.15g}"
        start = "-fire-on-start" if crossing.fire_on_start else ""
        return f"kie-credits-{self.kie_conn_id}-{goal.condition}-{numbers}{start}"


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
