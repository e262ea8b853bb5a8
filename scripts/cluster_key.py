"""A second connection whose key is revoked while its sensors wait beside those of the first."""

from __future__ import annotations

import json

from scripts.cluster_checks import check
from scripts.cluster_runs import Run
from scripts.cluster_stage import Stage, begin_run, follow

CONNECTION = "kie_other"
PATH = f"/api/v2/connections/{CONNECTION}"
SENSORS = 2


def begin_others(stage: Stage) -> Run:
    """Begin sensors on a connection that can be changed: it is in Airflow's database."""
    described = {"connection_id": CONNECTION, **json.loads(stage.kie.connection())}
    described["extra"] = json.dumps(described["extra"])
    stage.cluster.api.post("/api/v2/connections", json=described).raise_for_status()
    return begin_run(stage, "kie_cluster_key")


def all_wait(others: Run) -> bool:
    """Tell whether all of them wait."""
    return others.count(state="deferred") == SENSORS


def set_key(stage: Stage, key: str) -> None:
    """Change the key of the connection; the triggerer reads it at every poll."""
    described = {"connection_id": CONNECTION, "conn_type": "kie", "password": key}
    answer = stage.cluster.api.patch(PATH, params={"update_mask": "password"}, json=described)
    answer.raise_for_status()


def check_revoked(stage: Stage, others: Run) -> None:
    """Check that each has done with a wrong key what its arguments say."""
    follow(stage, others, lambda: others.count(state="failed") == 1)
    [failed], [waiting] = others.tasks(state="failed"), others.tasks(state="deferred")
    check(
        (failed["task_id"], waiting["task_id"]) == ("fails", "waits_on"),
        "with its key revoked, one sensor of the other connection has failed, the silent one waits",
    )
    check(failed["try_number"] == 2, "it took the 2 tries that it is allowed")
    check("KieAuthError" in others.log(failed), "its log says KieAuthError")


def check_restored(stage: Stage, others: Run) -> None:
    """Check that the other goes on once the key is right again."""
    follow(stage, others, lambda: others.state() == "success")
    [resumed] = others.tasks(task_id="waits_on")
    check(resumed["state"] == "success", "with the right key again, the silent one has resumed")
