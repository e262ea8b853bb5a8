"""A hundred sensors wait for two balances while the triggerer is restarted; two others lose their key."""

from __future__ import annotations

import json
import logging
import time

from airflow_provider_kie.simulator import KieSimulator

from .parts import Cluster
from .runs import Run
from .services import StatsD

POLL_SECONDS = 5
# What the sensors wait for by turns, as in their DAG.
BALANCES = (100, 1000)
SENSORS_EACH = 50
SENSORS = len(BALANCES) * SENSORS_EACH
OTHER = "kie_other"

log = logging.getLogger(__name__)


def test_sensors_share_one_poll_and_resume_at_their_balance(
    cluster: Cluster, kie: KieSimulator, statsd: StatsD
) -> None:
    kie.credits = 0
    wait_for_silence(cluster, kie)
    begin, before, told = time.monotonic(), polls(kie), statsd.count("kie.credits")
    other = begin_other(cluster, kie)
    run = Run(cluster, "kie_cluster_credits")
    run.follow(lambda: run.count("deferred") == SENSORS and other.count("deferred") == 2)
    log.info("All wait after %.0f s; the triggerer ends.", time.monotonic() - begin)
    cluster.parts["triggerer"].end()
    set_key(cluster, "revoked")
    check_one_poll(cluster, kie, run)
    check_revoked(other)
    set_key(cluster, kie.api_key)
    for number, balance in enumerate(BALANCES, start=1):
        kie.credits = balance
        check_resumed(run, number * SENSORS_EACH)

    tasks = run.wait_for_success()
    assert not [task["map_index"] for task in tasks if task["try_number"] > 1]
    other.follow(lambda: other.state() == "success")
    assert [task["state"] for task in other.tasks(task_id="waits_on")] == ["success"]
    early = [task for task in tasks if float(run.returned(task)) < BALANCES[task["map_index"] % 2]]
    assert not early, "sensors that did not wait for their balance"
    requests, told = polls(kie) - before, statsd.count("kie.credits") - told
    log.info("%d requests for the balance in %.0f s", requests, time.monotonic() - begin)
    # The triggerer that was ended may have been about to send one.
    assert requests - 1 <= told <= requests, "not every balance was told as a metric"


def wait_for_silence(cluster: Cluster, kie: KieSimulator) -> None:
    """Wait until what another test has left no longer asks: Airflow forgets a paused watcher by and by."""

    def nobody_asks() -> bool:
        before = polls(kie)
        time.sleep(POLL_SECONDS)
        return polls(kie) == before

    assert cluster.wait(nobody_asks)


def begin_other(cluster: Cluster, kie: KieSimulator) -> Run:
    """Begin two sensors on a connection that can be changed: it is in Airflow's database."""
    described = {"connection_id": OTHER, **json.loads(kie.connection())}
    described["extra"] = json.dumps(described["extra"])
    cluster.api.post("/api/v2/connections", json=described).raise_for_status()
    return Run(cluster, "kie_cluster_key")


def polls(kie: KieSimulator) -> int:
    """Count the requests for the balance so far that had the right key."""
    right = f"Bearer {kie.api_key}"
    return sum(one.headers.get("authorization") == right for one in kie.requests_to("credit"))


def set_key(cluster: Cluster, key: str) -> None:
    """Change the key of the other connection; the triggerer reads it at every poll."""
    described = {"connection_id": OTHER, "conn_type": "kie", "password": key}
    path = f"/api/v2/connections/{OTHER}"
    cluster.api.patch(path, params={"update_mask": "password"}, json=described).raise_for_status()


def check_one_poll(cluster: Cluster, kie: KieSimulator, run: Run) -> None:
    """Start a triggerer and check that it asks once for all that wait."""
    before = polls(kie)
    cluster.start("triggerer")
    run.follow(lambda: polls(kie) > before)
    before, since = polls(kie), time.monotonic()
    time.sleep(3 * POLL_SECONDS)
    shared, seconds = polls(kie) - before, time.monotonic() - since
    log.info("%d requests in %.0f s while %d sensors wait", shared, seconds, SENSORS)
    assert 0 < shared <= seconds / POLL_SECONDS + 1
    assert run.count("deferred") == SENSORS, "some have resumed without credits"


def check_revoked(other: Run) -> None:
    """Check that with a wrong key each sensor has done what its arguments say."""
    other.follow(lambda: other.count("failed") == 1)
    [failed], [waiting] = other.tasks(state="failed"), other.tasks(state="deferred")
    assert (failed["task_id"], waiting["task_id"]) == ("fails", "waits_on")
    # It has a retry, which mends no wrong key.
    assert failed["try_number"] == 1
    assert "KieAuthError" in other.log(failed)


def check_resumed(run: Run, sensors: int) -> None:
    """Check that so many sensors resume, and no others."""
    run.follow(lambda: run.count("success") >= sensors)
    time.sleep(POLL_SECONDS + 2)
    log.info("%d sensors have resumed", sensors)
    assert (run.count("success"), run.count("deferred")) == (sensors, SENSORS - sensors)
