"""What a watcher of the balance stores with its asset, so that a restart loses no crossing."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.decisions.credits import Snapshot

log = logging.getLogger(__name__)

# What was seen longer ago than a day says nothing of today: the watcher may have been taken out of its DAG
# and put back weeks later. A balance that stays is written down again every hour, so its note stays young.
FORGOTTEN_AFTER = 24 * 3600.0
REFRESHED_AFTER = 3600.0


@dataclass(frozen=True)
class Look:
    """
    A look at the balance, for all the watchers of a connection.

    :param result: The balance, or why there is none.
    :param notes: What watchers want written down once Airflow has stored the events that came of this look.
        An event that is not stored dies with the triggerer, and must not be remembered.
    """

    result: float | KieError
    notes: list[Callable[[], Awaitable[None]]] = field(default_factory=list)


async def looks(results: AsyncIterator[float | KieError]) -> AsyncGenerator[Look, None]:
    """
    Make room for notes.

    :param results: Balances and errors, one a poll.
    :return: A look for each.
    """
    async for result in results:
        yield Look(result)


class SnapshotStore:
    """
    The last snapshot, in the state store that Airflow 3.3 gives an asset.

    :param store: The asset's state store; None before Airflow 3.3, and then nothing is stored.
    :param key: This watcher's key in it.
    """

    def __init__(self, store: Any, key: str) -> None:
        self._store = store
        self._key = key
        self._is_loaded = False
        self.has_fired = False
        self._saved: Snapshot | None = None
        self._saved_at = -math.inf

    @property
    def is_settled(self) -> bool:
        """Whether all is known of the time before a restart that ever will be."""
        return self._store is None or self._is_loaded

    async def load(self, current: Snapshot | None) -> Snapshot | None:
        """
        Load the snapshot from before a restart, once.

        Until it can be read it is not overwritten either, and the watcher goes by what it sees itself.

        :param current: The snapshot since then, if there is one.
        :return: The snapshot to go on from.
        """
        if self.is_settled:
            return current
        try:
            stored = await self._store.aget(self._key)
        except ValueError as error:
            # Airflow's answer if the trigger watches several assets: it cannot know whose store is meant.
            await _warn(f"Nothing can be remembered; each restart of the triggerer begins anew: {error}")
            self._store = None
            return current
        except Exception as error:
            await _warn(f"What was seen before cannot be read yet, will try again: {error}")
            return current
        self._is_loaded = True
        match stored:
            case {
                "balance": int() | float() as balance,
                "armed": bool(armed),
                "time": int() | float() as then,
            } if not self.has_fired and _is_recent(then):
                return Snapshot(float(balance), armed)
        return current

    async def save(self, snapshot: Snapshot) -> None:
        """
        Save a snapshot with its time; if that fails, the next balance tries again.

        :param snapshot: What to go on from after a restart.
        """
        if self._store is None:
            return
        # Not by the clock on the wall, which may go back.
        now = time.monotonic()
        if snapshot == self._saved and now - self._saved_at < REFRESHED_AFTER:
            return
        try:
            await self._store.aset(self._key, asdict(snapshot) | {"time": time.time()})
        except Exception as error:
            await _warn(f"What was seen cannot be remembered yet, will try again: {error}")
        else:
            self._saved, self._saved_at = snapshot, now


def _is_recent(then: float) -> bool:
    # A time slightly ahead is another machine's clock; far ahead it means nothing.
    return abs(time.time() - then) < FORGOTTEN_AFTER


async def _warn(text: str) -> None:
    # In a thread: the event loop must not wait for whoever reads the log.
    await asyncio.to_thread(log.warning, "%s", text)
