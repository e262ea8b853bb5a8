"""Airflow's metrics: told of what happened, and unable to change it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from airflow_provider_kie._compat import get_stats

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
