"""Runs tasks as a worker of Airflow does, one try after the other, and tells how they ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from .execution_api import ExecutionApi
from .task_instance import TaskInstance

HERE = Path(__file__).parent
# Airflow kills a task 5 seconds after it has asked it to end.
LIMIT = 5.0
_ENVIRONMENT = {
    "AIRFLOW__CORE__DAGS_FOLDER": str(HERE / "dags"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "2",
    "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MIN": "0.01",
    "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "0.01",
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "20",
}


@dataclass(frozen=True)
class Outcome:
    """
    How a try ended.

    :param state: The state that the task was last told to be in; empty if nothing told any.
    :param exit_code: The process's; minus a signal's number if that ended it.
    :param at: When the process was gone, of ``time.monotonic``.
    :param seconds: From the beginning to then.
    :param log: As of :class:`Run`.
    :param result: What the task returned.
    :param left: Names of the temporary files that are still there.
    """

    state: str
    exit_code: int
    at: float
    seconds: float
    log: str
    result: Any
    left: list[str]


class Run:
    """
    One try of a task, under way.

    :param instance: What Airflow knows of it.
    :param folder: Where its log is.
    """

    def __init__(self, instance: TaskInstance, folder: Path) -> None:
        self._instance, self._folder = instance, folder
        self.began = time.monotonic()
        self.is_over = threading.Event()

    def send(self, number: int) -> None:
        """
        Send the process that runs the task a signal, if it is still there.

        :param number: Which.
        """
        if not self.is_over.is_set() and self._instance.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._instance.pid, number)

    @property
    def left(self) -> list[str]:
        """Names of the temporary files that are there."""
        return sorted(path.name for path in (self._folder / "tmp").iterdir())

    @property
    def log(self) -> str:
        """The task's log so far: a level and a message a line, and its errors."""
        lines = (self._folder / "task.log").read_text().splitlines()
        return "\n".join(_text(json.loads(line)) for line in lines)

    def stacks(self) -> str:
        """Give the stacks of all its threads."""
        self.send(signal.SIGUSR1)
        time.sleep(0.2)
        return (self._folder / "stacks.log").read_text()

    def wait(self, seconds: float = 30) -> Outcome:
        """
        Wait until it is over.

        :param seconds: How long, at the most; then it is killed.
        :return: How it ended.
        """
        if not self.is_over.wait(seconds):
            self.send(signal.SIGKILL)
            assert self.is_over.wait(10), f"the supervisor does not end; see {self._folder}"
        exit_code = int((self._folder / "exit_code").read_text())
        assert self._instance.is_gone.wait(5)
        gone_at = self._instance.gone_at or 0
        return Outcome(
            state=(self._instance.states or [""])[-1],
            exit_code=exit_code,
            at=gone_at,
            seconds=gone_at - self.began,
            log=self.log,
            result=self._instance.xcoms.get("return_value"),
            left=self.left,
        )


def _text(line: dict[str, Any]) -> str:
    errors = [f"{error['exc_type']}: {error['exc_value']}" for error in line.get("error_detail", ())]
    return "\n".join([f"{line['level']}: {line['event']}", *errors])


class Task:
    """
    A task on the bench.

    :param bench: The bench.
    :param kind: ``upload``, ``download``, ``generate``, ``chat``, ``branch``, ``sensor`` or ``job_sensor``.
    :param arguments: Of the operator; may be changed between tries, as may ``metrics_fail``.
    :param folder: For its logs.
    :param instance: What Airflow knows of it.
    """

    def __init__(
        self, bench: Bench, kind: str, arguments: dict[str, Any], folder: Path, instance: TaskInstance
    ) -> None:
        self._bench, self._kind, self._folder = bench, kind, folder
        self.arguments, self.airflow = arguments, instance
        self.metrics_fail = False
        self._runs = count(1)

    def start(self, *, again: bool = False, resumed: dict[str, Any] | None = None) -> Run:
        """
        Start a try.

        :param again: The same try again, after a reschedule.
        :param resumed: The same try again, after a deferral: what a :class:`Deferral` tells it.
        :return: The try, which may not have begun yet.
        """
        if resumed:
            self.airflow.resume(resumed)
        elif again:
            self.airflow.poke_again()
        else:
            self.airflow.next_try()
        folder = self._folder / f"run-{next(self._runs)}"
        (folder / "tmp").mkdir(parents=True)
        job = {"kind": self._kind, "retries": self.airflow.retries, "arguments": self.arguments}
        (folder / "task.json").write_text(json.dumps(job))
        return self._bench.start(self.airflow, folder, metrics_fail=self.metrics_fail)

    def run(
        self, *, again: bool = False, resumed: dict[str, Any] | None = None, seconds: float = 30
    ) -> Outcome:
        """
        Run a try to its end, or to its deferral.

        :param again: The same try again, after a reschedule.
        :param resumed: The same try again, after a deferral.
        :param seconds: How long it may take; then it is killed.
        :return: How it ended.
        """
        return self.start(again=again, resumed=resumed).wait(seconds)

    def finish(self, *, seconds: float = 30) -> Outcome:
        """
        Run a try to its end, with a triggerer if it defers.

        :param seconds: How long each part may take.
        :return: How it ended.
        """
        ended = self.run(seconds=seconds)
        while ended.state == "deferred":
            deferral = self.airflow.deferral
            assert deferral is not None
            ended = self.run(resumed=deferral.resumed_with(deferral.fire()), seconds=seconds)
        return ended


class Bench:
    """
    The process whose forks are supervisors, and the API server that they ask.

    :param folder: For logs and for Airflow's home.
    :param environment: More of Airflow's configuration.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] = MappingProxyType({})) -> None:
        self._folder = folder
        self._environment = environment
        self._numbers = count(1)
        self._runs: dict[int, Run] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        # What a killed process measures is cut off in the middle.
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("COVERAGE_", "AIRFLOW_"))
        }
        home = {"AIRFLOW_HOME": str(self._folder / "airflow")}
        with (self._folder / "bench.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.runner.supervisors"],
                cwd=HERE.parents[1],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=kept | _ENVIRONMENT | home | dict(self._environment),
                text=True,
                bufsize=1,
            )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", (self._folder / "bench.log").read_text()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._api = ExecutionApi().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for run in list(self._runs.values()):
            run.send(signal.SIGKILL)
        self._process.stdin.close()
        self._reader.join()
        self._process.wait()
        self._process.stdout.close()
        self._api.__exit__(kind, error, trace)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._runs.pop(int(line)).is_over.set()

    def task(self, kind: str, retries: int = 0, *, folder: Path, connections: Any, **arguments: Any) -> Task:
        """
        Put a task on the bench.

        :param kind: As in :class:`Task`.
        :param retries: Of the task.
        :param folder: For its logs.
        :param connections: Fields of Airflow's connections, by their ids.
        :param arguments: Of the operator; ``execution_timeout`` in seconds, ``expand`` with those of a mapped
            task.
        :return: The task, none of whose tries has begun.
        """
        return Task(self, kind, arguments, folder, TaskInstance(retries, connections))

    def start(self, instance: TaskInstance, folder: Path, *, metrics_fail: bool = False) -> Run:
        """
        Start a supervisor.

        :param instance: What it runs.
        :param folder: Has ``task.json``, and gets the log.
        :param metrics_fail: Whether telling one of the provider's metrics raises an error.
        :return: The try.
        """
        number = next(self._numbers)
        run = self._runs[number] = Run(instance, folder)
        job = {
            "number": number,
            "folder": str(folder),
            "server": self._api.url(instance),
            "id": instance.id,
            "try_number": instance.try_number,
            "map_index": instance.map_index,
            "metrics_fail": metrics_fail,
        }
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(json.dumps(job) + "\n")
        return run
