"""
Processes to be killed: one that has imported everything, and a fork of it for each job.

A fork is there in milliseconds, an Airflow of its own takes seconds. Run as a script, this is that process:
a job a line on standard input, and while it runs a signal's number a line; how it ended on standard output.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

LIMIT = 8.0


class Zygote:
    """The parent of all workers."""

    def __enter__(self) -> Self:
        # What a killed process measures is cut off in the middle.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
            bufsize=1,
        )
        assert self._read() == {"ready": True}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")

    def start(
        self,
        verb: str,
        connection: str,
        *,
        limits: dict[str, int] | None = None,
        environment: dict[str, str] | None = None,
        **how: Any,
    ) -> None:
        """
        Start a worker.

        :param verb: ``upload`` or ``download``.
        :param connection: The connection's JSON.
        :param limits: ``fsize`` in bytes, ``uid`` to become, ``umask``.
        :param environment: Variables of its own, such as ``TMPDIR``.
        :param how: Arguments of the operator.
        """
        job = {"verb": verb, "conn": connection, "limits": limits or {}, "env": environment or {}, "how": how}
        self._write(json.dumps(job))

    def kill(self, number: int) -> None:
        """
        Send the worker a signal, if it still runs.

        :param number: Which.
        """
        self._write(str(int(number)))

    def end(self) -> dict[str, Any]:
        """
        Wait until the worker has ended.

        :return: ``status`` as of ``os.waitstatus_to_exitcode``, ``seconds`` from the last signal, and the
            ``error`` or ``result`` that it told, if it lived to tell it.
        """
        return self._read()


def _become(limits: dict[str, int]) -> None:
    import resource

    if "fsize" in limits:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits["fsize"], limits["fsize"]))
    if "uid" in limits and os.geteuid() == 0:
        os.setgroups([])
        os.setgid(limits["uid"])
        os.setuid(limits["uid"])


def _work(job: dict[str, Any]) -> dict[str, Any]:
    from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator

    os.environ |= {"AIRFLOW_CONN_KIE_DEFAULT": job["conn"], **job["env"]}
    tempfile.tempdir = None
    _become(job["limits"])
    kind = KieUploadOperator if job["verb"] == "upload" else KieDownloadOperator
    operator = kind(task_id="faults", **job["how"])

    def on_term(number: int, frame: FrameType | None) -> None:
        # As Airflow's task runner does: the hook is called, and the task goes on to its end.
        operator.on_kill()

    signal.signal(signal.SIGTERM, on_term)
    try:
        return {"result": operator.execute({})}
    except Exception as error:
        kinds = [each.__name__ for each in type(error).__mro__]
        cause = error.__context__
        return {"error": kinds + [each.__name__ for each in type(cause).__mro__], "told": f"{error} {cause}"}


def _child(job: dict[str, Any], told: int) -> None:
    try:
        answer = _work(job)
        os.write(told, json.dumps(answer).encode())
        os._exit(1 if "error" in answer else 0)
    except BaseException as error:
        os.write(told, json.dumps({"error": [], "told": repr(error)}).encode())
    finally:
        os._exit(2)


def _watch(pid: int) -> dict[str, Any]:
    """Wait for a child, passing on the signals that come on standard input."""
    began = signalled = time.monotonic()
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            seconds = time.monotonic() - signalled
            return {"status": os.waitstatus_to_exitcode(status), "seconds": seconds}
        if time.monotonic() - began > LIMIT:
            os.kill(pid, signal.SIGKILL)
        if select.select([0], [], [], 0.001)[0] and (line := _line()):
            os.kill(pid, int(line))
            signalled = time.monotonic()


def _line() -> str:
    # Unbuffered: select must see what has not been read.
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 1)
        if not piece:
            return ""
        line += piece
    return line.decode().strip()


def _warm_up() -> None:
    """Import whatever a transfer imports: a fork that becomes somebody else may not read Python's folder."""
    from airflow_provider_kie.operators.files import KieDownloadOperator

    os.environ["AIRFLOW_CONN_KIE_DEFAULT"] = json.dumps(
        {"conn_type": "kie", "password": "none", "extra": {"max_retries": 0}}
    )
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Exception):
        KieDownloadOperator(
            task_id="warm_up", file_url="http://127.0.0.1:1/a", destination=f"{folder}/a", sign="never"
        ).execute({})


def _main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    # What Airflow logs is no answer.
    os.dup2(2, 1)
    from airflow.sdk.io import attach
    from fsspec.implementations.memory import MemoryFileSystem
    from tenacity import wait_none

    from airflow_provider_kie.client import retries

    for backoff in ("_backoff", "_maintenance_backoff"):
        setattr(retries, backoff, wait_none())
    attach(protocol="memory", fs=MemoryFileSystem())
    _warm_up()
    print(json.dumps({"ready": True}), file=answers)
    while line := _line():
        if line.isdigit():
            # The worker had ended before the signal came.
            continue
        told, tells = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(told)
            _child(json.loads(line), tells)
        os.close(tells)
        answer = _watch(pid)
        with contextlib.suppress(ValueError), os.fdopen(told, "rb") as pipe:
            answer |= json.loads(pipe.read())
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    _main()
