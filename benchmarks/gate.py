"""A server that HttpSensor can wait for: it says 404 until there are enough credits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from airflow_provider_kie.simulator import KieSimulator


class Gate(ThreadingHTTPServer):
    """
    Answers ``GET /enough/50`` with 200 if there are 50 credits, else with 404.

    :param kie: Simulator that holds the balance.
    """

    daemon_threads = True
    # A thousand sensors may well come at once.
    request_queue_size = 1024

    def __init__(self, kie: KieSimulator) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kie = kie
        self.lock = threading.Lock()
        self.requests = 0

    @property
    def url(self) -> str:
        """Where it answers, without a trailing slash."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Gate

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.requests += 1
        enough = self.server.kie.credits >= float(self.path.rpartition("/")[2])
        self.send_response(200 if enough else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def gate(kie: KieSimulator) -> Iterator[Gate]:
    """
    Run a gate.

    :param kie: Simulator that holds the balance.
    :return: The gate; it counts its ``requests``.
    """
    with Gate(kie) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
