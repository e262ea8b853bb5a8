"""What a watcher of the balance remembers with its asset, so that a restart loses no crossing."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from dataclasses import asdict
from typing import Any

from airflow_provider_kie.decisions.credits import Seen

log = logging.getLogger(__name__)

# Airflow collects events from the triggers once a second and stores them a moment later; one that is not
# stored dies with the triggerer.
STORED_AFTER = 10.0

# What was seen longer ago than a day says nothing of today: the watcher may have been taken out of its DAG
# and put back weeks later. A balance that stays is written down again every hour, so its note stays young.
FORGOTTEN_AFTER = 24 * 3600.0
REFRESHED_AFTER = 3600.0


class Memory:
    """
    What was seen last, in the state store that Airflow 3.3 gives an asset.

    :param store: The asset's state store; None where Airflow has none, and then nothing is remembered.
    :param key: Name of this watcher's value in it.
    """

    def __init__(self, store: Any, key: str) -> None:
        self._store = store
        self._key = key
        self._is_read = False
        self._has_told = False
        self._kept: Seen | None = None
        self._kept_at = -math.inf

    async def recall(self, seen: Seen | None) -> Seen | None:
        """
        Give what was seen last, before the restart too.

        As long as that cannot be read, nothing is kept over it, and the watcher goes by what it sees itself.

        :param seen: What has been seen since.
        :return: What to go on from.
        """
        if self._store is None or self._is_read:
            return seen
        try:
            kept = await self._store.aget(self._key)
        except ValueError as error:
            # Airflow's answer if the trigger watches several assets: it cannot know whose store is meant.
            await _warn(f"Nothing can be remembered; each restart of the triggerer begins anew: {error}")
            self._store = None
            return seen
        except Exception as error:
            await _warn(f"What was seen before cannot be read yet, will try again: {error}")
            return seen
        self._is_read = True
        match kept:
            case {
                "balance": int() | float() as balance,
                "armed": bool(armed),
                "time": int() | float() as then,
            } if not self._has_told and _is_young(then):
                return Seen(float(balance), armed)
        return seen

    async def told(self) -> None:
        """Wait until Airflow has stored an event: a triggerer that dies before is to tell it again."""
        self._has_told = True
        if self._store is not None:
            await asyncio.sleep(STORED_AFTER)

    async def keep(self, seen: Seen) -> None:
        """
        Remember what was seen and when; if that fails, the next balance tries again.

        :param seen: What to remember.
        """
        if self._store is None or not self._is_read:
            return
        # Not by the clock on the wall, which may go back.
        now = time.monotonic()
        if seen == self._kept and now - self._kept_at < REFRESHED_AFTER:
            return
        try:
            await self._store.aset(self._key, asdict(seen) | {"time": time.time()})
        except Exception as error:
            await _warn(f"What was seen cannot be remembered yet, will try again: {error}")
        else:
            self._kept, self._kept_at = seen, now


def _is_young(then: float) -> bool:
    # A time to come is another machine's clock; far in the future it is nothing to go by.
    return abs(time.time() - then) < FORGOTTEN_AFTER


async def _warn(text: str) -> None:
    # In a thread: the event loop must not wait for whoever reads the log.
    await asyncio.to_thread(log.warning, "%s", text)
