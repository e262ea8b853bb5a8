"""An Airflow of many processes on one machine, whose workers and triggerer can be killed and replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from scripts.running import end_group, every_second

from .settings import NAME


class Part:
    """A process of Airflow and all that it starts: one session of the operating system."""

    def __init__(self, command: list[str], variables: Mapping[str, str], log: Path) -> None:
        self.log = log
        self._has_ended = False
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "airflow", *command],
                env={**variables, NAME: log.stem},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def check(self) -> None:
        """Fail if it has ended by itself."""
        if self.process.poll() is not None:
            pytest.fail(f"{self.log.stem} ended with {self.process.returncode}:\n{self.tail()}")

    def tail(self) -> str:
        """Give the end of its output."""
        return self.log.read_text(errors="replace")[-3000:]

    def end(self) -> None:
        """Ask it to end."""
        end_group(self.process)
        # Every task leads a group of its own, which does not hear of it.
        self._kill_session()
        self._has_ended = True

    def kill(self) -> None:
        """End it without a warning, with ``kill -9``, if it has not been ended."""
        if not self._has_ended:
            self._kill_session()
            self.end()

    def _kill_session(self) -> None:
        for pid in psutil.pids():
            with suppress(ProcessLookupError):
                if os.getsid(pid) == self.process.pid:
                    os.kill(pid, signal.SIGKILL)


class Cluster:
    """The parts of Airflow, by their names; whatever ends the run ends them."""

    def __init__(self, exit_stack: ExitStack, home: Path, variables: Mapping[str, str]) -> None:
        self.home = home
        self.parts: dict[str, Part] = {}
        client = httpx.Client(base_url=variables["AIRFLOW__API__BASE_URL"], timeout=60, trust_env=False)
        self.api = exit_stack.enter_context(client)
        self._exit_stack = exit_stack
        self._variables = variables

    def start(self, name: str, *command: str) -> None:
        """Start a part; its command is its name unless another is given."""
        part = Part([*command] or [name], self._variables, self.home / f"{name}.log")
        self._exit_stack.callback(part.kill)
        self.parts[name] = part

    def start_worker(self, name: str) -> None:
        """Start a Celery worker."""
        options = ["--celery-hostname", name, "--concurrency", "5", "--pid", f"{self.home}/{name}.pid"]
        self.start(name, "celery", "worker", *options, "--skip-serve-logs", "--without-gossip")

    def check(self) -> None:
        """Fail if a part has ended by itself."""
        for part in self.parts.values():
            part.check()

    def wait(self, done: Callable[[], bool]) -> bool:
        """Wait two minutes until something is done; tell whether it is."""
        for _ in every_second(120):
            self.check()
            if done():
                return True
        return False
