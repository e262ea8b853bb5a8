"""What the sensors of a benchmark ask: the simulator, or a gate that HttpSensor can wait at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from airflow_provider_kie.simulator import KieSimulator


class Gate:
    """
    Answers ``GET /enough/50`` with 200 if there are 50 credits, else with 404: no worker waits for it.

    :param balance: Gives the credits that there are.
    """

    def __init__(self, balance: Callable[[], float]) -> None:
        self._count = 0
        self._lock = threading.Lock()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                gate._counted()
                enough = balance() >= float(self.path.rpartition("/")[2])
                self.send_response(200 if enough else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it answers, without a trailing slash."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def requests(self) -> int:
        """How many there were so far."""
        with self._lock:
            return self._count

    def _counted(self) -> None:
        with self._lock:
            self._count += 1

    def __enter__(self) -> Gate:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A thousand sensors may well come at once.
    request_queue_size = 1024


@dataclass
class Service:
    """
    One balance behind two doors.

    :param kie: The simulator.
    :param gate: The gate.
    """

    kie: KieSimulator
    gate: Gate

    def requests(self) -> int:
        """Count the requests so far, of whichever kind of sensor."""
        return len(self.kie.requests_to("credit")) + self.gate.requests

    def set_balance(self, credits: float) -> None:
        """Set the balance, in credits."""
        self.kie.credits = credits

    @contextmanager
    def down(self) -> Iterator[None]:
        """Let the API refuse as too many requests at first, and then hang up on everyone."""
        self.kie.fail_next("credit", status=429, times=2)
        self.kie.fail_next("credit", drop_after=-1, times=10_000)
        yield
        self.kie.reset()
