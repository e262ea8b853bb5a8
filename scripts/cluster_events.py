"""The balance as an event, across restarts of the triggerer."""

from __future__ import annotations

import time
from typing import Any

from airflow_provider_kie.triggers._memory import STORED_AFTER
from scripts.cluster_checks import Failed, check
from scripts.cluster_stage import Stage, asked
from scripts.running import every_second, say, wait_for_dag

HIGH, LOW = 60, 40


def play_events(stage: Stage) -> None:
    """Let the balance fall below the threshold of a watched asset: seen, unseen, and by one that dies."""
    say("Events: the balance falls below what an asset's watcher waits for, also while no triggerer runs.")
    stage.kie.credits = HIGH
    wait_for_dag(stage.cluster.api, "kie_cluster_events")
    wait_for_polls(stage)
    stage.kie.credits = LOW
    check_event(stage, number=1)
    wait_for_polls(stage)
    check(len(events(stage)) == 1, "the balance stays low, and there is no other event")
    recover(stage)
    say("  the triggerer ends, the balance falls, another triggerer begins")
    stage.cluster.end("triggerer")
    stage.kie.credits = LOW
    stage.cluster.start("triggerer", "triggerer")
    check_event(stage, number=2)
    recover(stage)
    say("  the triggerer is killed when it sees the balance fall, another triggerer begins")
    stage.kie.credits = LOW
    wait_for_polls(stage, 1)
    stage.cluster.kill("triggerer")
    stored = len(events(stage)) == 3
    say(f"  Airflow had {'already' if stored else 'not yet'} stored the event")
    stage.cluster.start("triggerer", "triggerer")
    check_event(stage, number=4 if stored else 3)


def recover(stage: Stage) -> None:
    """Let the balance rise again, and wait until that is noted."""
    time.sleep(STORED_AFTER)
    stage.kie.credits = HIGH
    wait_for_polls(stage)


def wait_for_polls(stage: Stage, polls: int = 3) -> None:
    """Wait until the balance has been asked for; after three times what was seen is noted."""
    before = asked(stage)
    for _ in every_second(120):
        stage.cluster.check()
        if asked(stage) >= before + polls:
            return
    raise Failed(f"nobody asks for the balance:\n{stage.cluster.tail('triggerer')}")


def check_event(stage: Stage, number: int) -> None:
    """Check that there is one event more, that of the fall."""
    for _ in every_second(120):
        stage.cluster.check()
        if len(events(stage)) >= number:
            break
    found = events(stage)
    check(len(found) == number, f"{len(found)} events, the last is of the balance's fall")
    event = found[-1]["extra"]["payload"]
    check((event["previous_balance"], event["balance"]) == (HIGH, LOW), f"the event is {event}")


def events(stage: Stage) -> list[dict[str, Any]]:
    """List the events of all assets, the oldest first; only one is watched."""
    answer = stage.cluster.api.get("/api/v2/assets/events", params={"order_by": "timestamp"})
    found: list[dict[str, Any]] = answer.raise_for_status().json()["asset_events"]
    return found
