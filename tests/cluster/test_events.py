"""The balance as an event, across restarts of the triggerer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_kie.simulator import KieSimulator
from scripts.running import wait_for_dag

from .parts import Cluster

DAG_ID = "kie_cluster_events"
HIGH, LOW = 60, 40

log = logging.getLogger(__name__)


@pytest.fixture
def _watcher(cluster: Cluster, kie: KieSimulator) -> Iterator[None]:
    kie.credits = HIGH
    wait_for_dag(cluster.api, DAG_ID)
    yield
    cluster.api.patch(f"/api/v2/dags/{DAG_ID}", json={"is_paused": True}).raise_for_status()


@pytest.mark.usefixtures("_watcher")
def test_every_fall_of_the_balance_is_an_event_whenever_the_triggerer_ends(
    cluster: Cluster, kie: KieSimulator
) -> None:
    wait_for_polls(cluster, kie)
    kie.credits = LOW
    check_event(cluster, number=1)
    wait_for_polls(cluster, kie)
    assert len(events(cluster)) == 1, "the balance stays low, and there is another event"
    recover(cluster, kie)

    log.info("The triggerer ends, the balance falls, another triggerer begins.")
    cluster.parts["triggerer"].end()
    kie.credits = LOW
    cluster.start("triggerer")
    check_event(cluster, number=2)
    recover(cluster, kie)

    log.info("The triggerer is killed when it sees the balance fall, another triggerer begins.")
    kie.credits = LOW
    wait_for_polls(cluster, kie, 1)
    cluster.parts["triggerer"].kill()
    is_stored = len(events(cluster)) == 3
    log.info("Airflow had %s stored the event.", "already" if is_stored else "not yet")
    cluster.start("triggerer")
    wait_for_polls(cluster, kie)
    # One that was stored, and not yet noted, comes twice.
    check_event(cluster, number=max(3, len(events(cluster))))
    assert len(events(cluster)) <= 3 + is_stored


def recover(cluster: Cluster, kie: KieSimulator) -> None:
    """Let the balance rise again, once its fall is noted, and wait until that is noted, too."""
    wait_for_polls(cluster, kie)
    kie.credits = HIGH
    wait_for_polls(cluster, kie)


def wait_for_polls(cluster: Cluster, kie: KieSimulator, polls: int = 3) -> None:
    """Wait until the balance has been asked for; after three times what was seen is noted."""
    enough = len(kie.requests_to("credit")) + polls
    assert cluster.wait(lambda: len(kie.requests_to("credit")) >= enough), cluster.parts["triggerer"].tail()


def check_event(cluster: Cluster, number: int) -> None:
    """Check that there is one event more, that of the fall."""
    cluster.wait(lambda: len(events(cluster)) >= number)
    found = events(cluster)
    assert len(found) == number
    event = found[-1]["extra"]["payload"]
    assert (event["previous_balance"], event["balance"]) == (HIGH, LOW)
    log.info("Event %d: %s", number, event)


def events(cluster: Cluster) -> list[dict[str, Any]]:
    """List the events of all assets, the oldest first; only one is watched."""
    answer = cluster.api.get("/api/v2/assets/events", params={"order_by": "timestamp"})
    found: list[dict[str, Any]] = answer.raise_for_status().json()["asset_events"]
    return found
