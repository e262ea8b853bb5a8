"""What a task leaves behind when it defers, and what a triggerer makes of it: with Airflow's own encoding."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self


def _coding() -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    try:
        from airflow.sdk.serde import deserialize, serialize
    except ImportError:  # Airflow 3.1
        from airflow.serialization.serialized_objects import BaseSerialization

        return BaseSerialization.serialize, BaseSerialization.deserialize
    return serialize, deserialize


def _trigger_kwargs(sent: Any) -> dict[str, Any]:
    try:
        from airflow.serialization.decoders import smart_decode_trigger_kwargs
    except ImportError:  # Airflow 3.1
        from airflow.serialization import serialized_objects

        smart_decode_trigger_kwargs = serialized_objects.smart_decode_trigger_kwargs  # type: ignore[attr-defined]
    from airflow.serialization.serialized_objects import BaseSerialization

    # Airflow 3.1 sends the whole of it encoded.
    plain = BaseSerialization.deserialize(sent) if "__type" in sent else sent
    return {name: smart_decode_trigger_kwargs(value) for name, value in plain.items()}


@dataclass(frozen=True)
class Deferral:
    """
    What Airflow stores of a deferred task.

    :param path: Of the trigger's class.
    :param kwargs: The trigger's.
    :param method: What to go on with.
    :param method_kwargs: Its arguments, encoded.
    """

    path: str
    kwargs: dict[str, Any]
    method: str
    method_kwargs: Any

    @classmethod
    def read(cls, body: dict[str, Any]) -> Self:
        """
        Read the request that tells of the state ``deferred``.

        :param body: Its body.
        :return: The deferral.
        """
        kwargs = _trigger_kwargs(body.get("trigger_kwargs") or {})
        return cls(body["classpath"], kwargs, body["next_method"], body.get("next_kwargs") or {})

    def trigger(self) -> Any:
        """Build the trigger, as every triggerer does that takes it over."""
        module, _, name = self.path.rpartition(".")
        return getattr(importlib.import_module(module), name)(**self.kwargs)

    def fire(self) -> Any:
        """
        Run the trigger in this process.

        :return: The payload of its first event.
        """

        async def first_event() -> Any:
            events = self.trigger().run()
            try:
                return (await anext(events)).payload
            finally:
                await events.aclose()

        return asyncio.run(first_event())

    def resumed_with(self, event: Any) -> dict[str, Any]:
        """
        Tell what the resumed task is told.

        :param event: The payload of the trigger's event.
        :return: Fields of the context in which it runs.
        """
        serialize, deserialize = _coding()
        kwargs = serialize({**deserialize(self.method_kwargs), "event": event})
        return {"next_method": self.method, "next_kwargs": kwargs}

    def failed(self, why: str) -> dict[str, Any]:
        """
        Tell what a task is told whose trigger is gone.

        :param why: Airflow's words for it.
        :return: Fields of the context in which it runs.
        """
        serialize, _ = _coding()
        return {"next_method": "__fail__", "next_kwargs": serialize({"error": why})}
