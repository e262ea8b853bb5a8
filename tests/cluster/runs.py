"""DAG runs through Airflow's REST API: trigger, follow, and read what every try of every task came to."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from scripts.running import every_second, wait_for_dag

from .parts import Cluster

log = logging.getLogger(__name__)


class Run:
    """A DAG run, which begins now."""

    def __init__(self, cluster: Cluster, dag_id: str, **params: Any) -> None:
        self._cluster = cluster
        self._path = f"/api/v2/dags/{dag_id}/dagRuns/cluster"
        wait_for_dag(cluster.api, dag_id)
        body = {"dag_run_id": "cluster", "conf": params, "logical_date": None}
        cluster.api.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body).raise_for_status()

    def follow(self, done: Callable[[], bool]) -> None:
        """Wait for something, and log now and then how the run stands."""
        for second, _ in enumerate(every_second(600)):
            if done():
                return
            self._cluster.check()
            if second % 15 == 14:
                log.info("%s", self._progress())
                if self.state() == "failed":
                    break
        scheduler = self._cluster.parts["scheduler"].tail()
        pytest.fail(f"{self._path} does not get on: {self._progress()}\n{self._why()}\n{scheduler}")

    def wait_for_success(self, *skipped: str) -> list[dict[str, Any]]:
        """Wait for the end of the run, and give its task instances, which all but those to skip have done."""
        self.follow(lambda: self.state() == "success")
        tasks = self.tasks()
        for task in tasks:
            assert task["state"] == ("skipped" if task["task_id"] in skipped else "success"), task
        return tasks

    def state(self) -> str:
        """Ask how it stands."""
        return str(self._get("")["state"])

    def count(self, state: str, **filters: Any) -> int:
        """Count the task instances in a state."""
        return int(self._get("/taskInstances", state=state, limit=1, **filters)["total_entries"])

    def tasks(self, **filters: Any) -> list[dict[str, Any]]:
        """List task instances, each as its last try left it."""
        answer = self._get("/taskInstances", limit=1000, **filters)
        assert len(answer["task_instances"]) == answer["total_entries"]
        return list(answer["task_instances"])

    def earlier_tries(self, task: dict[str, Any]) -> list[dict[str, Any]]:
        """List the tries of a task instance but the last one."""
        if task["try_number"] <= 1:
            return []
        mapped = f"/{task['map_index']}" if task["map_index"] >= 0 else ""
        tries = self._get(f"/taskInstances/{task['task_id']}{mapped}/tries")["task_instances"]
        return sorted(tries, key=lambda one: int(one["try_number"]))[:-1]

    def returned(self, task: dict[str, Any]) -> Any:
        """Give what a task instance returned."""
        path = f"/taskInstances/{task['task_id']}/xcomEntries/return_value"
        return self._get(path, map_index=task["map_index"])["value"]

    def log(self, task: dict[str, Any]) -> str:
        """Give the log of a task instance's last try."""
        path = f"{self._path}/taskInstances/{task['task_id']}/logs/{max(task['try_number'], 1)}"
        return self._cluster.api.get(path, params={"map_index": task["map_index"]}).text

    def _why(self) -> str:
        for task in self.tasks(state=["failed", "up_for_retry"])[:1]:
            return f"{task['task_id']}[{task['map_index']}]: {self.log(task)[-3000:]}"
        return "no task has failed"

    def _progress(self) -> str:
        states = Counter(task["state"] for task in self.tasks())
        return ", ".join(f"{count} {state}" for state, count in states.most_common())

    def _get(self, path: str, **params: Any) -> dict[str, Any]:
        answer = self._cluster.api.get(self._path + path, params=params).raise_for_status()
        return dict(answer.json())
