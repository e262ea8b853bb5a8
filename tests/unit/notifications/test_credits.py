"""Who is told of a low balance, and that telling fails nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import BaseNotifier

from airflow_provider_kie.notifications.credits import KieLowCreditsNotifier
from airflow_provider_kie.simulator import KieSimulator

Run = Callable[[KieLowCreditsNotifier, dict[str, Any]], Any]


class Told(BaseNotifier):
    """Remembers what it was told."""

    template_fields = ("message",)

    def __init__(self, message: str = "{{ kie_credits }} left after {{ what }}") -> None:
        super().__init__()
        self.message = message
        self.messages: list[str] = []

    def notify(self, context: Any) -> None:
        self.messages.append(self.message)


@pytest.fixture(params=["called", "awaited"])
def run(request: pytest.FixtureRequest) -> Run:
    """Call a notifier as Airflow does for callbacks, or await it as it does on an event loop."""

    async def play(notifier: KieLowCreditsNotifier, context: dict[str, Any]) -> None:
        if request.param == "called":
            notifier(context)
        else:
            notifier.context = context  # type: ignore[assignment]
            await notifier

    return play


async def test_a_low_balance_is_told_to_all_after_one_question(kie_simulator: KieSimulator, run: Run) -> None:
    kie_simulator.credits = 40
    told = Told()
    seen: list[dict[str, Any]] = []
    await run(KieLowCreditsNotifier("{{ limit }}", [told, seen.append]), {"what": "work", "limit": 50})
    assert told.messages == ["40.0 left after work"]
    assert [context["kie_credits"] for context in seen] == [40.0]
    assert len(kie_simulator.requests_to("credit")) == 1


async def test_enough_credits_are_told_to_nobody(kie_simulator: KieSimulator, run: Run) -> None:
    kie_simulator.credits = 50
    told = Told()
    await run(KieLowCreditsNotifier(50, notifiers=[told]), {})
    assert told.messages == []


@pytest.mark.parametrize(
    ("threshold", "conn_id"), [(50, "kie_nowhere"), ("many", "kie_default"), ("{{ 1 / 0 }}", "kie_default")]
)
async def test_what_goes_wrong_is_a_warning(
    threshold: Any, conn_id: str, kie_simulator: KieSimulator, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()
    await run(KieLowCreditsNotifier(threshold, [told], kie_conn_id=conn_id), {})
    assert told.messages == []
    assert "Cannot tell whether credits are low" in caplog.text


async def test_a_notifier_that_fails_does_not_silence_the_others(
    kie_simulator: KieSimulator, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Any) -> None:
        raise OSError("no network")

    kie_simulator.credits = 1
    caplog.set_level(logging.WARNING)
    told = Told()
    await run(KieLowCreditsNotifier(50, [broken, Told("{{ 1 / 0 }}"), told]), {"what": "all"})
    assert told.messages == ["1.0 left after all"]
    assert "function has failed: OSError: no network" in caplog.text
    assert "Told has failed: ZeroDivisionError" in caplog.text


async def unawaited(context: Any) -> None:
    """A coroutine function, which nobody would await."""


@pytest.mark.parametrize(
    "notifiers", [Told(), print, "x", None, [], [None], ["x"], [unawaited]], ids=range(8)
)
def test_what_cannot_be_called_is_noticed_before_credits_are_low(notifiers: Any) -> None:
    with pytest.raises(TypeError, match="notifiers"):
        KieLowCreditsNotifier(50, notifiers)
