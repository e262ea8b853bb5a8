"""A StatsD for the cluster test: what Airflow really sends of the provider's metrics."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseRequestHandler, UDPServer
from typing import Any


class Metrics(UDPServer):
    """A StatsD on a free loopback port, and what has come."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), BaseRequestHandler)
        self.lines: list[str] = []

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Keep a datagram; each is one value."""
        self.lines.append(request[0].decode())

    @property
    def settings(self) -> dict[str, str]:
        """The settings, as environment variables, with which Airflow sends them."""
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self.server_address[1]),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
            # Airflow's own are left out: thousands of them would only cost time.
            "AIRFLOW__METRICS__METRICS_ALLOW_LIST": "kie",
        }

    def count(self, name: str) -> int:
        """
        Count the values of a metric.

        :param name: Its name, whatever its tags.
        """
        return sum(line.partition(":")[0].partition(",")[0] == f"airflow.{name}" for line in list(self.lines))


@contextmanager
def statsd() -> Iterator[Metrics]:
    """
    Run a StatsD.

    :return: What comes.
    """
    with Metrics() as metrics:
        thread = threading.Thread(target=metrics.serve_forever)
        thread.start()
        try:
            yield metrics
        finally:
            metrics.shutdown()
            thread.join()
