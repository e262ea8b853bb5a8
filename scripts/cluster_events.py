"""The balance as an event, across a restart of the triggerer."""

from __future__ import annotations

from typing import Any

from scripts.cluster_checks import Failed, check
from scripts.cluster_stage import Stage, asked
from scripts.running import every_second, say, wait_for_dag

HIGH, LOW = 60, 40


def play_events(stage: Stage) -> None:
    """Let the balance fall below the threshold of a watched asset, once while no triggerer runs."""
    say("Events: the balance falls below what an asset's watcher waits for, also while no triggerer runs.")
    stage.kie.credits = HIGH
    wait_for_dag(stage.cluster.api, "kie_cluster_events")
    wait_for_polls(stage)
    stage.kie.credits = LOW
    check_event(stage, number=1)
    wait_for_polls(stage)
    check(len(events(stage)) == 1, "the balance stays low, and there is no other event")
    stage.kie.credits = HIGH
    wait_for_polls(stage)
    say("  the triggerer ends, the balance falls, another triggerer begins")
    stage.cluster.end("triggerer")
    stage.kie.credits = LOW
    stage.cluster.start("triggerer", "triggerer")
    check_event(stage, number=2)


def wait_for_polls(stage: Stage) -> None:
    """Wait until the balance has been seen, and what was seen has been noted."""
    before = asked(stage)
    for _ in every_second(120):
        stage.cluster.check()
        if asked(stage) >= before + 3:
            return
    raise Failed(f"nobody asks for the balance:\n{stage.cluster.tail('triggerer')}")


def check_event(stage: Stage, number: int) -> None:
    """Check that there is one event more, that of the fall."""
    for _ in every_second(120):
        stage.cluster.check()
        if len(events(stage)) >= number:
            break
    found = events(stage)
    check(len(found) == number, f"{len(found)} events for {number} falls of the balance")
    event = found[-1]["extra"]["payload"]
    check((event["previous_balance"], event["balance"]) == (HIGH, LOW), f"the event is {event}")


def events(stage: Stage) -> list[dict[str, Any]]:
    """List the events of all assets, the oldest first; only one is watched."""
    answer = stage.cluster.api.get("/api/v2/assets/events", params={"order_by": "timestamp"})
    found: list[dict[str, Any]] = answer.raise_for_status().json()["asset_events"]
    return found
