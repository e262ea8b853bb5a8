"""DAG runs through Airflow's REST API: trigger, follow, and read what every try of every task came to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx

PAGE = 100
STATES = ("queued", "running", "success", "up_for_retry", "deferred", "failed")


@dataclass(frozen=True)
class Run:
    """
    A DAG run.

    :param api: Client of the REST API.
    :param dag_id: The DAG; it has to be known and not paused.
    :param run_id: The run.
    """

    api: httpx.Client
    dag_id: str
    run_id: str = "cluster"

    @property
    def _path(self) -> str:
        return f"/api/v2/dags/{self.dag_id}/dagRuns/{self.run_id}"

    def trigger(self, **params: Any) -> None:
        """Make Airflow begin it."""
        body = {"dag_run_id": self.run_id, "conf": params, "logical_date": None}
        self.api.post(f"/api/v2/dags/{self.dag_id}/dagRuns", json=body).raise_for_status()

    def state(self) -> str:
        """Ask how it stands."""
        return str(self._get(self._path)["state"])

    def count(self, **filters: Any) -> int:
        """Count task instances."""
        return int(self._get(f"{self._path}/taskInstances", limit=1, **filters)["total_entries"])

    def tasks(self, **filters: Any) -> list[dict[str, Any]]:
        """List task instances, each as its last try left it."""
        tasks: list[dict[str, Any]] = []
        while True:
            answer = self._get(f"{self._path}/taskInstances", limit=PAGE, offset=len(tasks), **filters)
            tasks += answer["task_instances"]
            if len(tasks) >= answer["total_entries"] or not answer["task_instances"]:
                return tasks

    def tries(self, task: dict[str, Any]) -> list[dict[str, Any]]:
        """List all tries of a task instance, the last one too."""
        mapped = f"/{task['map_index']}" if task["map_index"] >= 0 else ""
        tries = self._get(f"{self._path}/taskInstances/{task['task_id']}{mapped}/tries")["task_instances"]
        return sorted(tries, key=lambda one: int(one["try_number"]))

    def returned(self, task: dict[str, Any]) -> Any:
        """Give what a task instance returned."""
        path = f"{self._path}/taskInstances/{task['task_id']}/xcomEntries/return_value"
        return self._get(path, map_index=task["map_index"])["value"]

    def log(self, task: dict[str, Any]) -> str:
        """Give the log of a task instance's last try."""
        path = f"{self._path}/taskInstances/{task['task_id']}/logs/{max(task['try_number'], 1)}"
        return self.api.get(path, params={"map_index": task["map_index"]}).text

    def why(self) -> str:
        """Give the end of the log of one task that failed."""
        for task in self.tasks(state=["failed", "up_for_retry"])[:1]:
            return f"{task['task_id']}[{task['map_index']}]: {self.log(task)[-3000:]}"
        return "no task has failed"

    def progress(self) -> str:
        """Say how many task instances are where."""
        counted = Counter({state: self.count(state=state) for state in STATES})
        return ", ".join(f"{count} {state}" for state, count in counted.items() if count)

    def _get(self, path: str, **params: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.api.get(path, params=params).raise_for_status().json()
        return answer
