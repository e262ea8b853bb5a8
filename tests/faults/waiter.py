"""A sensor run to its end in each of its three ways, as Airflow's task runner and triggerer run it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import uuid
import warnings
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_kie.sensors.credits import KieCreditsSensor
from airflow_provider_kie.sensors.jobs import KieJobSensor

from .trial import Trial

try:
    from airflow.sdk.exceptions import AirflowRescheduleException, TaskDeferred
except ImportError:  # Airflow 3.1
    from airflow.exceptions import AirflowRescheduleException, TaskDeferred  # type: ignore[no-redef]

try:
    from airflow.triggers.shared_stream import SharedStreamManager
except ImportError:  # before Airflow 3.3
    SharedStreamManager = None  # type: ignore[assignment, misc]

__all__ = ["MODES", "TaskDeferred", "needs_a_store", "quick_polls", "wait"]

MODES = ("poke", "reschedule", "deferrable")
FELLOWS = 3
"""How many sensors wait side by side in the triggerer."""


class TaskInstance:
    """As much of Airflow's as a rescheduled sensor asks for; under a supervisor it asks as Airflow's does."""

    id = uuid.uuid4()
    max_tries = 0
    task = SimpleNamespace(retries=0)
    first: Any = None

    def __init__(self, try_number: int) -> None:
        self.try_number = try_number

    def get_first_reschedule_date(self, context: Any) -> Any:
        if not hasattr(task_runner, "SUPERVISOR_COMMS"):
            return self.first
        ask: Any = task_runner.RuntimeTaskInstance.get_first_reschedule_date
        return ask(self, context)


def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ten polls that fail take no time in the triggerer."""
    monkeypatch.setattr("airflow_provider_kie.triggers._polling.LONGEST_BACKOFF", 0.02)


def needs_a_store(trial: Trial, mode: str, store: Any) -> None:
    """
    Leave out what a rescheduled sensor cannot count before Airflow 3.3, where it waits until the timeout.

    :param trial: What is left out.
    :param mode: One of the three ways.
    :param store: The task's state store.
    """
    if mode == "reschedule" and store is None:
        trial.close()
        pytest.skip("Airflow remembers nothing of a task before 3.3")


def wait(
    mode: str,
    store: Any = None,
    *,
    try_number: int = 1,
    fellows: int = FELLOWS,
    kind: type[KieCreditsSensor | KieJobSensor] = KieCreditsSensor,
    **arguments: Any,
) -> Any:
    """
    Wait for one try of the task; for 50 credits, unless told otherwise.

    :param mode: One of the three.
    :param store: The task's state store, where Airflow has one.
    :param try_number: Number of the try.
    :param fellows: How many wait in the triggerer; one waits alone, as all do before Airflow 3.3.
    :param kind: Which sensor.
    :param arguments: Of the sensor.
    :return: What the sensor returns.
    """
    given: dict[str, Any] = {
        "task_id": "wait",
        **({"threshold": 50} if kind is KieCreditsSensor else {}),
        "poke_interval": 0.01,
        "timeout": 20,
        "mode": "reschedule" if mode == "reschedule" else "poke",
        "deferrable": mode == "deferrable",
    } | arguments
    ti = TaskInstance(try_number)
    context: Any = {"ti": ti, "task_reschedule_count": 0} | (
        {"task_state_store": store} if store is not None else {}
    )
    while True:
        # Each poke of a rescheduled sensor is another process.
        sensor = kind(**given)
        try:
            return sensor.execute(context)
        except AirflowRescheduleException as again:
            ti.first = ti.first or again.reschedule_date
            context["task_reschedule_count"] += 1
        except TaskDeferred as deferred:
            event = None
            with contextlib.suppress(TimeoutError):
                event = _event(deferred, fellows)
            if event is None:
                _collect_lost_connections()
                return sensor.resume_execution("__fail__", {"error": "Trigger timeout"}, context)
            return sensor.resume_execution(deferred.method_name, {"event": event}, context)


def _collect_lost_connections() -> None:
    """Close what anyio forgets when it is cancelled in the moment in which it has connected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _event(deferred: Any, fellows: int) -> Any:
    """Run the trigger as a triggerer would, from what Airflow's database keeps of it."""
    classpath, kwargs = deferred.trigger.serialize()
    kind = type(deferred.trigger)
    assert classpath == f"{kind.__module__}.{kind.__qualname__}"
    triggers = [kind(**json.loads(json.dumps(kwargs))) for _ in range(fellows)]
    # Not asyncio.run(), which takes away the loop that pytest-asyncio has set, unclosed.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        events = runner.run(_events(triggers, deferred.timeout.total_seconds()))
    assert all(event == events[0] for event in events)
    return events[0]


async def _events(triggers: list[Any], timeout: float) -> list[Any]:
    """Let triggers wait side by side, on one shared poll where they have one; give the event of each."""
    if not isinstance(triggers[0], BaseEventTrigger):
        async with asyncio.timeout(timeout):
            events = await asyncio.gather(*(anext(trigger.run()) for trigger in triggers))
            return [event.payload for event in events]
    if SharedStreamManager is None or len(triggers) == 1:
        async with asyncio.timeout(timeout):
            return [(await anext(triggers[0].run())).payload]
    manager = SharedStreamManager()

    async def run(number: int, trigger: BaseEventTrigger) -> Any:
        key = trigger.shared_stream_key()
        stream = manager.subscribe(trigger_id=number, trigger=trigger, key=key)
        async for event in trigger.filter_shared_stream(stream):
            await manager.unsubscribe(number, key)
            return event.payload
        raise AssertionError("the stream ended")

    try:
        async with asyncio.timeout(timeout):
            return await asyncio.gather(*(run(number, trigger) for number, trigger in enumerate(triggers)))
    finally:
        await manager.stop_all()
