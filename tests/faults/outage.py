"""Airflow around a task, in trouble on demand: its supervisor, by its own protocol; a secrets backend."""

from __future__ import annotations

import socket
import threading
import uuid
from collections import deque
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import msgspec
import pytest
from airflow.sdk import Connection
from airflow.sdk.execution_time import context, task_runner
from airflow.sdk.execution_time.comms import CommsDecoder, _ResponseFrame
from airflow.secrets import BaseSecretsBackend

FAILURES = ("API_SERVER_ERROR", "GENERIC_ERROR")


class Supervisor:
    """
    Answers a task's requests for a connection and for the state store.

    :param connection: Fields of the one connection that it knows.
    """

    def __init__(self, connection: dict[str, Any]) -> None:
        self.connection = connection
        self.troubles: deque[str | None] = deque()
        self.lookups = 0
        self.forgets = False
        self.silent_about_the_start = 0
        self._started_at = datetime.now(UTC)
        self._kept: dict[str, Any] = {}
        self._socket, theirs = socket.socketpair()
        self.comms: Any = CommsDecoder(socket=theirs)
        self._theirs = theirs
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
        self._thread.join(10)
        self._theirs.close()
        self._socket.close()

    def attach(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """
        Let this process be a task's.

        :param monkeypatch: Undoes it.
        :return: The task's state store, as Airflow's task runner puts it into the context; None before 3.3.
        """
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", self.comms, raising=False)
        if not hasattr(context, "TaskStateStoreAccessor"):
            return None
        from airflow.sdk._shared.state import TaskScope

        return context.TaskStateStoreAccessor(ti_id=uuid.uuid4(), scope=TaskScope("dag", "run", "wait"))

    def leave(self) -> None:
        """Die, as a supervisor that is killed does."""
        self._socket.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        with self._socket.makefile("rb") as stream:
            while length := stream.read(4):
                number, body, *_ = msgspec.msgpack.decode(stream.read(int.from_bytes(length, "big")))
                answer = self._answer(body)
                if isinstance(answer, str):
                    error = {"type": "ErrorResponse", "error": answer, "detail": {"status_code": 503}}
                    # What the API server says is an answer, as any other; that it said nothing is an error.
                    failed = answer in FAILURES
                    frame = _ResponseFrame(number, None if failed else error, error if failed else None)
                else:
                    frame = _ResponseFrame(number, answer)
                self._socket.sendall(frame.as_bytes())

    def _answer(self, body: dict[str, Any]) -> dict[str, Any] | str | None:
        """Give an answer, or the name of the trouble."""
        if body["type"] == "GetConnection":
            self.lookups += 1
            trouble = self.troubles.popleft() if self.troubles else None
            if trouble == "an answer of no sense":
                return {"type": "Nonsense"}
            if trouble or body["conn_id"] != "kie_default":
                return trouble or "CONNECTION_NOT_FOUND"
            unused = dict.fromkeys(("login", "schema", "port"))
            return {"type": "ConnectionResult", "conn_id": "kie_default", **unused, **self.connection}
        if body["type"] == "GetTaskRescheduleStartDate":
            if self.silent_about_the_start:
                self.silent_about_the_start -= 1
                return "API_SERVER_ERROR"
            return {"type": "TaskRescheduleStartDate", "start_date": self._started_at}
        if self.forgets:
            return "API_SERVER_ERROR"
        match body:
            case {"type": "GetTaskStateStore", "key": key}:
                if key not in self._kept:
                    return "TASK_STORE_NOT_FOUND"
                return {"type": "TaskStateStoreResult", "value": self._kept[key]}
            case {"type": "SetTaskStateStore", "key": key, "value": value}:
                self._kept[key] = value
        return None


class Backend(BaseSecretsBackend):
    """
    A secrets backend with a connection, which fails as often as it is told to.

    Airflow makes one when it wants to, hence what it is told belongs to the class.
    """

    troubles = 0
    connection: dict[str, Any] = {}
    lookups = 0

    def get_connection(self, conn_id: str, team_name: str | None = None) -> Any:
        """Give the connection."""
        if conn_id != "kie_default":
            return None
        Backend.lookups += 1
        if Backend.troubles:
            Backend.troubles -= 1
            raise TimeoutError("the vault is sealed")
        return Connection(conn_id=conn_id, **Backend.connection)
