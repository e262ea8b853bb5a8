"""What Airflow's API server knows of a task, and how it answers: with a memory, and as unwell as told."""

from __future__ import annotations

import json
import os
import select
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, repeat
from typing import Any, Literal

from .deferrals import Deferral

LONG_AGO = "2026-01-01T00:00:00Z"
Route = Literal["run", "state", "heartbeat", "fields", "connection", "store", "xcom", "other"]
_TIMES = ("logical_date", "data_interval_start", "data_interval_end", "run_after", "start_date")
_DAG_RUN: dict[str, Any] = dict.fromkeys(_TIMES, LONG_AGO) | {
    "dag_id": "bench",
    "run_id": "bench",
    "end_date": None,
    "run_type": "manual",
    "state": "running",
    "consumed_asset_events": [],
}


@dataclass(frozen=True)
class Request:
    """
    A request as it arrived.

    :param last: The last part of its path: a connection's id, a key.
    :param instance: The id of the task instance in its path; empty if there is none.
    :param size: Bytes of its body.
    :param at: When, of ``time.monotonic``.
    :param version: Of the API that it asks for.
    """

    route: Route
    method: str
    last: str
    instance: str
    size: int
    at: float
    version: str


@dataclass
class TaskInstance:
    """
    What Airflow knows of one task, over all its tries.

    :param retries: As the task has it.
    :param connections: Fields of Airflow's connections, by their ids.
    :param map_index: Which of a mapped task's it is; -1 if that is not mapped.
    """

    retries: int = 0
    connections: dict[str, dict[str, Any]] = field(default_factory=dict)
    map_index: int = -1

    def __post_init__(self) -> None:
        self.store: dict[str, Any] = {}
        self.try_number = 0
        self.max_tries = self.retries
        self.reschedules = 0
        self.first_start = LONG_AGO
        self.deferral: Deferral | None = None
        self._resumed: dict[str, Any] = {}
        self._faults: dict[Route, Iterator[tuple[int | None, float]]] = {}
        self._changed = threading.Condition()
        self._begin()

    def _begin(self, resumed: dict[str, Any] | None = None) -> None:
        if not resumed:
            self.id = str(uuid.uuid4())
            self.xcoms: dict[str, Any] = {}
        self._resumed = resumed or {}
        self.pid = 0
        self.states: list[str] = []
        self.told: dict[str, Any] = {}
        self.requests: list[Request] = []
        self.told_to_end_at: float | None = None
        self.is_told_to_end = threading.Event()
        self.gone_at: float | None = None
        self.is_gone = threading.Event()
        self._is_over = False

    def next_try(self) -> None:
        """Begin another try, as the scheduler does: under an id of its own."""
        self.try_number += 1
        self.reschedules = 0
        self.first_start = datetime.now(UTC).isoformat()
        self._begin()

    def poke_again(self) -> None:
        """Begin again after a reschedule; it is the same try."""
        self.reschedules += 1
        self._begin()

    def resume(self, told: dict[str, Any]) -> None:
        """
        Begin again after a deferral; it is the same try, and its XComs are kept.

        :param told: As of :class:`Deferral`.
        """
        self._begin(told)

    def clear(self) -> None:
        """Allow more tries, as the button "Clear" does; the state store stays, a deferral does not."""
        self.max_tries = self.try_number + self.retries
        self.deferral = None

    def end(self) -> None:
        """Let the next heartbeat tell the supervisor to end the task, as after the button "Mark failed"."""
        self._is_over = True

    def fail(
        self, route: Route, status: int | None = None, *, times: int | None = None, delay: float = 0.0
    ) -> None:
        """
        Let the next requests go wrong, after those that are to go wrong already.

        :param route: Which requests.
        :param status: HTTP status of the answer; 0 hangs up without one; None does what was asked.
        :param times: How many; None for all that come.
        :param delay: Seconds before that.
        """
        fault = (status, delay)
        more = repeat(fault) if times is None else repeat(fault, times)
        self._faults[route] = chain(self._faults.get(route, ()), more)

    def heal(self, route: Route) -> None:
        """
        Let requests go well again.

        :param route: Which requests.
        """
        self._faults.pop(route, None)

    def asked(self, route: Route, method: str | None = None) -> list[Request]:
        """
        List requests of this try.

        :param route: Which.
        :param method: Only those of this method.
        :return: In the order of their arrival.
        """
        return [each for each in list(self.requests) if each.route == route and method in (None, each.method)]

    def wait_for(self, route: Route, method: str | None = None, *, count: int = 1) -> None:
        """
        Wait until requests of this try have arrived, 20 seconds at the most.

        :param route: Which.
        :param method: Only those of this method.
        :param count: How many.
        """
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.asked(route, method)) >= count, 20)
        assert arrived, f"{len(self.asked(route, method))} requests of {count}: {method or 'any'} {route}"

    def answer(self, request: Request, body: Any) -> tuple[int, Any]:
        """
        Do what a request asks for.

        :param request: It.
        :param body: Its body, from JSON.
        :return: HTTP status, 0 for none at all, and the answer's body.
        """
        with self._changed:
            if request.instance not in ("", self.id):
                # An attempt that another one has replaced.
                return 404, {"detail": {"reason": "not_found"}}
            self.requests.append(request)
            if request.route == "state":
                self.states.append(body["state"])
                self.told = body
                if body["state"] == "deferred":
                    self.deferral = Deferral.read(body)
            elif request.route == "run":
                self.pid = body["pid"]
            status, delay = next(self._faults.get(request.route, iter(())), (None, 0.0))
            self._changed.notify_all()
        time.sleep(delay)
        if status is not None:
            return status, {"detail": "as told"}
        if self._is_over and request.route in ("heartbeat", "state"):
            if request.route == "heartbeat":
                self.told_to_end_at = self.told_to_end_at or time.monotonic()
                self.is_told_to_end.set()
            return 409, {"detail": {"reason": "not_running", "current_state": "failed"}}
        with self._changed:
            do = getattr(self, f"_{request.route}", None)
            return do(request, body) if do else (204, None)

    def _run(self, request: Request, body: Any) -> tuple[int, Any]:
        threading.Thread(target=self._watch, args=(self.pid, self.is_gone), daemon=True).start()
        newer = {"partition_key": None} if request.version > "2026" else {}
        return 200, {
            "dag_run": _DAG_RUN | newer,
            "max_tries": self.max_tries,
            "should_retry": self.max_tries != 0 and self.try_number <= self.max_tries,
            "task_reschedule_count": self.reschedules,
            **self._resumed,
        }

    def _watch(self, pid: int, is_gone: threading.Event) -> None:
        # Its supervisor may notice seconds later.
        process = os.pidfd_open(pid)
        select.select([process], [], [])
        self.gone_at = time.monotonic()
        is_gone.set()
        os.close(process)

    def _connection(self, request: Request, body: Any) -> tuple[int, Any]:
        if (connection := self.connections.get(request.last)) is None:
            return 404, {"detail": {"reason": "not_found"}}
        fields = {name: connection.get(name) for name in ("host", "schema", "login", "password", "port")}
        return 200, {
            "conn_id": request.last,
            "conn_type": connection["conn_type"],
            "extra": json.dumps(connection.get("extra", {})),
            **fields,
        }

    def _store(self, request: Request, body: Any) -> tuple[int, Any]:
        if request.method == "PUT":
            self.store[request.last] = body["value"]
        elif request.method == "DELETE" and request.last == self.id:
            self.store.clear()
        elif request.method == "DELETE":
            self.store.pop(request.last, None)
        elif request.last not in self.store:
            return 404, {"detail": {"reason": "not_found"}}
        else:
            return 200, {"value": self.store[request.last]}
        return 204, None

    def _xcom(self, request: Request, body: Any) -> tuple[int, Any]:
        if request.method == "POST":
            self.xcoms[request.last] = body
            return 201, {"message": "stored"}
        return (404, {"detail": {"reason": "not_found"}}) if request.method == "GET" else (200, {})

    def _other(self, request: Request, body: Any) -> tuple[int, Any]:
        if request.last == "start_date":
            return 200, self.first_start
        return (404, {"detail": "unknown here"}) if request.method == "GET" else (200, {"ok": True})
