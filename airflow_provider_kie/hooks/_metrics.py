"""Airflow's metrics: told of what happened, and unable to change it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from airflow_provider_kie._compat import get_stats
from airflow_provider_kie.files.results import Moved, UploadedFile

log = logging.getLogger(__name__)

_troubles: set[type[Exception]] = set()


def report(tell: Callable[[Any], object]) -> None:
    """
    Tell Airflow's metrics; if that fails, what they are told of goes on.

    :param tell: Called with what has ``incr``, ``gauge`` and ``timing``.
    """
    try:
        tell(get_stats())
    except Exception as error:
        # Once a process for each sort of error: a thousand files would say it a thousand times.
        if type(error) not in _troubles:
            _troubles.add(type(error))
            log.warning("Airflow's metrics cannot be told: %s: %s", type(error).__name__, error)


def report_balance(balance: float, conn_id: str) -> None:
    """
    Tell of a balance.

    :param balance: Credits.
    :param conn_id: Airflow connection of the account.
    """
    report(lambda stats: stats.gauge("kie.credits", balance, tags={"conn_id": conn_id}))


def report_moved(moved: Moved) -> None:
    """
    Tell of a file that was moved.

    :param moved: What was uploaded or downloaded.
    """
    if isinstance(moved, UploadedFile):
        what, size = "upload", moved.file_size
    else:
        what, size = "download", 0 if moved.skipped else moved.size

    def tell(stats: Any) -> None:
        stats.incr(f"kie.{what}.files")
        stats.incr(f"kie.{what}.bytes", size)
        stats.incr("kie.retries", moved.retries)
        stats.timing(f"kie.{what}.seconds", timedelta(seconds=moved.seconds))

    report(tell)
