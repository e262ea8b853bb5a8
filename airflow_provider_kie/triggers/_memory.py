"""What a watcher of the balance remembers with its asset, so that a restart loses no crossing."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict
from typing import Any

from airflow_provider_kie.credits import Seen

log = logging.getLogger(__name__)

# Airflow collects events from the triggers once a second and stores them a moment later; one that is not
# stored dies with the triggerer.
STORED_AFTER = 10.0


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
            case {"balance": int() | float() as balance, "armed": bool(armed)} if not self._has_told:
                self._kept = Seen(float(balance), armed)
                return self._kept
        return seen

    async def told(self) -> None:
        """Wait until Airflow has stored an event: a triggerer that dies before is to tell it again."""
        self._has_told = True
        if self._store is not None:
            await asyncio.sleep(STORED_AFTER)

    async def keep(self, seen: Seen) -> None:
        """
        Remember what was seen; if that fails, the next balance tries again.

        :param seen: What to remember.
        """
        if self._store is None or not self._is_read or seen == self._kept:
            return
        try:
            await self._store.aset(self._key, asdict(seen))
        except Exception as error:
            await _warn(f"What was seen cannot be remembered yet, will try again: {error}")
        else:
            self._kept = seen


async def _warn(text: str) -> None:
    # In a thread: the event loop must not wait for whoever reads the log.
    await asyncio.to_thread(log.warning, "%s", text)
