"""Triggers that listen to the balance, and what they may hear."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.triggers._memory import Look, looks
from airflow_provider_kie.triggers.credits import KieCreditsEventTrigger, KieCreditsTrigger

Story = list[float | KieError | Callable[[], None]]


def trigger(threshold: float = 50, **kwargs: Any) -> KieCreditsTrigger:
    arguments: dict[str, Any] = {"condition": "at_least", "poke_interval": 0.01, "kie_conn_id": "kie_default"}
    return KieCreditsTrigger(threshold=threshold, **(arguments | kwargs))


async def stream_of(*results: float | KieError | Callable[[], None]) -> AsyncIterator[float | KieError]:
    """Poll results, and what happens between them."""
    for result in results:
        if callable(result):
            result()
        else:
            yield result


async def acknowledged(results: AsyncIterator[float | KieError]) -> AsyncIterator[Look]:
    """Looks as Airflow hands them to a watcher; it stores each event before the next look."""
    async for look in looks(results):
        yield look
        for write in look.notes:
            await write()


async def events_of(
    waiting: KieCreditsTrigger | KieCreditsEventTrigger, *results: float | KieError | Callable[[], None]
) -> list[Any]:
    stream: AsyncIterator[Any] = stream_of(*results)
    if isinstance(waiting, KieCreditsEventTrigger):
        stream = acknowledged(stream)
    return [event.payload async for event in waiting.filter_shared_stream(stream)]


def watcher(threshold: float = 50, memory: Any = None, **kwargs: Any) -> KieCreditsEventTrigger:
    waiting: Any = KieCreditsEventTrigger(threshold, **({"poke_interval": 0.01} | kwargs))
    if memory:
        waiting.asset_state_store = memory
    return cast("KieCreditsEventTrigger", waiting)


class Memory:
    """What an asset remembers, as Airflow 3.3 hands it to a watcher's trigger."""

    def __init__(self, **kept: Any) -> None:
        self.kept = kept
        self.broken = False

    async def aget(self, key: str) -> Any:
        if self.broken:
            raise RuntimeError("the database is away")
        return self.kept.get(key)

    async def aset(self, key: str, value: Any) -> None:
        if self.broken:
            raise RuntimeError("the database is away")
        self.kept[key] = json.loads(json.dumps(value))

    def repair(self) -> None:
        self.broken = False

    def seen(self) -> Any:
        """What the watcher keeps, without its time."""
        kept = dict(self.kept[watcher()._store_key])
        assert abs(kept.pop("time") - time.time()) < 60
        return kept
