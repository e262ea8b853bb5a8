"""Airflow's metrics: told of what happened, and unable to change it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal

from airflow_provider_kie._compat import get_stats
from airflow_provider_kie.client.api.chat import ChatAnswer
from airflow_provider_kie.client.api.records import Job
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


def report_job(what: Literal["submitted", "in_doubt", "failed"], model: str, conn_id: str) -> None:
    """
    Tell of what became of a job.

    :param what: What.
    :param model: Its model, or its api where that has no models.
    :param conn_id: Airflow connection of the account.
    """
    report(lambda stats: stats.incr(f"kie.jobs.{what}", tags={"model": model, "conn_id": conn_id}))


def report_chat(answer: ChatAnswer, model: str, seconds: float, conn_id: str) -> None:
    """
    Tell of a chat's answer: what it cost and how long it took.

    :param answer: The answer.
    :param model: Model, as it was asked for.
    :param seconds: How long it took.
    :param conn_id: Airflow connection of the account.
    """
    tags = {"model": model, "conn_id": conn_id}

    def tell(stats: Any) -> None:
        stats.incr("kie.chat.answers", tags=tags)
        if answer.credits:
            stats.incr("kie.credits.spent", answer.credits, tags=tags)
        stats.timing("kie.chat.seconds", timedelta(seconds=seconds), tags=tags)

    report(tell)


def report_success(job: Job, conn_id: str) -> None:
    """
    Tell of a job that has succeeded: what it cost and how long it took.

    :param job: Its record.
    :param conn_id: Airflow connection of the account.
    """
    tags = {"model": job.model or job.api, "conn_id": conn_id}

    def tell(stats: Any) -> None:
        stats.incr("kie.jobs.succeeded", tags=tags)
        if job.credits:
            stats.incr("kie.credits.spent", job.credits, tags=tags)
        if job.seconds is not None:
            stats.timing("kie.job.seconds", timedelta(seconds=job.seconds), tags=tags)

    report(tell)
