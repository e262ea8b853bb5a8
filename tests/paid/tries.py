"""The tries of one task that pays, played in this process as Airflow would: its worst moments on demand."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from airflow.sdk import DAG

from airflow_provider_kie._compat import AirflowFailException
from airflow_provider_kie.operators.jobs import KieGenerateOperator
from airflow_provider_kie.simulator import KieSimulator
from tests.unit.state_store import StateStore

Mode = Literal["sync", "deferred", "no wait"]
MODES: list[Mode] = ["sync", "deferred", "no wait"]
PRICE = 4.0


def prepare(kie: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead the connection to the simulator, and make its models ``m`` and ``n`` quick."""
    monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", kie.connection())
    monkeypatch.setattr("airflow_provider_kie.operators._generation.SHORTEST_SECONDS", 0.01)
    kie.creation_limit = None
    kie.credits = 10_000
    for model in ("m", "n"):
        kie.add_model(model, seconds=0.05, credits=PRICE)


class Crash(BaseException):
    """The worker is gone: nobody catches this."""


@dataclass
class FaultyStore(StateStore):
    """
    A store that breaks where it is told to.

    :param faults: What to raise at which moment: ``before load``, ``after a``, ...: the notes are ``a``
        before the submission, ``b`` with the job's id, ``c`` with its end.
    """

    faults: dict[str, BaseException] = field(default_factory=dict)

    def get(self, key: str) -> Any:
        return self._around("load", lambda: super(FaultyStore, self).get(key))

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        point = {"sending": "a", "submitted": "b"}.get(value["stage"], "c")
        self._around(point, lambda: super(FaultyStore, self).set(key, value))

    def delete(self, key: str) -> None:
        self._around("forget", lambda: super(FaultyStore, self).delete(key))

    def _around(self, point: str, do: Callable[[], Any]) -> Any:
        self._break("before", point)
        result = do()
        self._break("after", point)
        return result

    def _break(self, when: str, point: str) -> None:
        if error := self.faults.get(f"{when} {point}"):
            raise error


@dataclass
class TaskInstance:
    try_number: int
    max_tries: int


@dataclass(frozen=True)
class Ended:
    """
    How a try ended.

    :param result: What the task returned; None if it failed.
    :param error: Why it failed; None if it did not.
    :param deferral: What it deferred with, if it was not resumed.
    """

    result: dict[str, Any] | None = None
    error: BaseException | None = None
    deferral: BaseException | None = None

    @property
    def may_retry(self) -> bool:
        """Whether Airflow would retry the task, were there retries left."""
        return self.error is not None and not isinstance(self.error, AirflowFailException)

    @property
    def said(self) -> str:
        """The error's message."""
        return str(self.error)


class PaidTask:
    """
    A task that generates, over its tries.

    :param kie: The simulator; the connection ``kie_default`` leads to it.
    :param mode: How it waits.
    :param store: What it remembers; None for an Airflow before 3.3.
    :param retries: Of the task.
    :param arguments: Of the operator; may be changed between tries.
    """

    def __init__(
        self,
        kie: KieSimulator,
        mode: Mode = "sync",
        *,
        store: StateStore | None,
        retries: int = 2,
        **arguments: Any,
    ) -> None:
        self.kie, self.mode, self.store, self.retries = kie, mode, store, retries
        self.arguments: dict[str, Any] = {
            "input": {"prompt": "a cat"},
            "model": "m",
            "poll_interval": 0.01,
            **arguments,
        }
        self.try_number, self.max_tries = 0, retries

    @property
    def posts(self) -> int:
        """How many submissions have reached kie.ai."""
        return len(self.kie.requests_to("createTask"))

    def clear(self) -> None:
        """Clear the task, as a person does."""
        self.max_tries = self.try_number + self.retries

    def operator(self) -> KieGenerateOperator:
        """Build the task as the DAG file has it now."""
        waiting: dict[str, Any] = {
            "deferrable": self.mode == "deferred",
            "wait_for_completion": self.mode != "no wait",
        }
        with DAG("d"):
            return KieGenerateOperator(task_id="t", retries=self.retries, **waiting, **self.arguments)

    def context(self) -> Any:
        """Give the context of the try that is under way."""
        given: dict[str, Any] = {"ti": TaskInstance(self.try_number, self.max_tries)}
        return given | ({} if self.store is None else {"task_state_store": self.store})

    def run(self, *, resume: bool = True) -> Ended:
        """
        Run the next try.

        :param resume: Whether a deferred task is resumed; else it ends with its deferral.
        :return: How it ended; a :class:`Crash` ends it too.
        """
        self.try_number += 1
        try:
            return Ended(self.operator().execute(self.context()))
        except BaseException as error:
            # ``TaskDeferred`` moves from module to module.
            if type(error).__name__ != "TaskDeferred":
                return _failed(error)
            return self.resume(error) if resume else Ended(deferral=error)

    def resume(self, deferral: Any) -> Ended:
        """
        Run the trigger of a deferred try, and what follows.

        :param deferral: What it deferred with.
        :return: How the try ended.
        """
        event = asyncio.run(_event_of(deferral.trigger))
        try:
            # Airflow renders the task anew.
            return Ended(getattr(self.operator(), deferral.method_name)(self.context(), event=event))
        except BaseException as error:
            return _failed(error)


def _failed(error: BaseException) -> Ended:
    if not isinstance(error, Exception | Crash) and not type(error).__name__.startswith("Airflow"):
        raise error
    return Ended(error=error)


async def _event_of(trigger: Any) -> Any:
    """Run a trigger as the triggerer does: made anew from what is stored of it."""
    path, kwargs = trigger.serialize()
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(kwargs)))
    events = again.run()
    try:
        event = await anext(events)
    finally:
        await events.aclose()
    return json.loads(json.dumps(event.payload))
