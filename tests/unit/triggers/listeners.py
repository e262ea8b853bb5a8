"""Triggers that listen to the balance, and what they may hear."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, cast

from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.triggers.credits import KieCreditsEventTrigger, KieCreditsTrigger


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


async def events_of(
    waiting: KieCreditsTrigger | KieCreditsEventTrigger, *results: float | KieError
) -> list[Any]:
    return [event.payload async for event in waiting.filter_shared_stream(stream_of(*results))]


def watcher(threshold: float = 50, memory: Any = None, **kwargs: Any) -> KieCreditsEventTrigger:
    waiting: Any = KieCreditsEventTrigger(threshold, **({"poke_interval": 0.01} | kwargs))
    if memory:
        waiting.asset_state_store = memory
    return cast("KieCreditsEventTrigger", waiting)
