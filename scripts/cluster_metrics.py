"""A StatsD for the cluster test: what Airflow really sends of the provider's metrics."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Airflow's own metrics are left out: thousands of them would only cost time.
ONLY = "kie"


class Metrics:
    """What has come."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def count(self, name: str) -> int:
        """
        Count the values of a metric.

        :param name: Its name, whatever its tags.
        """
        return sum(line.partition(":")[0].partition(",")[0] == f"airflow.{name}" for line in list(self.lines))


@contextmanager
def statsd() -> Iterator[tuple[Metrics, dict[str, str]]]:
    """
    Run a StatsD on a free loopback port.

    :return: What comes, and the settings with which Airflow sends it.
    """
    metrics = Metrics()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(0.2)
        ended = threading.Event()
        thread = threading.Thread(target=_receive, args=(receiver, metrics, ended))
        thread.start()
        try:
            yield (
                metrics,
                {
                    "AIRFLOW__METRICS__STATSD_ON": "True",
                    "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
                    "AIRFLOW__METRICS__STATSD_PORT": str(receiver.getsockname()[1]),
                    "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
                    "AIRFLOW__METRICS__METRICS_ALLOW_LIST": ONLY,
                },
            )
        finally:
            ended.set()
            thread.join()


def _receive(receiver: socket.socket, metrics: Metrics, ended: threading.Event) -> None:
    while not ended.is_set():
        try:
            metrics.lines.append(receiver.recv(65535).decode())
        except TimeoutError:
            continue
