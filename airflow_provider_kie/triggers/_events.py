"""The event that resumes a deferred task: a result, or the error that ended the waiting."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_provider_kie.client import errors
from airflow_provider_kie.client.api.records import Job
from airflow_provider_kie.client.errors import KieBatchError, KieError, KieJobError


def event_of(poll: float | Job | KieError) -> dict[str, Any]:
    """
    Convert the poll that ended the waiting.

    :param poll: The balance, a job that has ended, or an error.
    :return: The event's payload, JSON-safe; tasks deferred by one version of the provider may be resumed by
        another, so its form stays.
    """
    if isinstance(poll, KieError):
        return {"status": "error"} | {name: _carriable(value) for name, value in poll.to_event().items()}
    if isinstance(poll, Job):
        # Not asdict, which would copy a record of a megabyte on the event loop.
        job = {"job": json.dumps(vars(poll))}
        return event_of(poll.to_error()) | job if poll.state == "failed" else {"status": "success"} | job
    return {"status": "success", "credits": poll}


def _carriable(value: Any) -> Any:
    """
    Change what Airflow's wire format cannot carry: half a character, an integer of more than 64 bits.

    A triggerer dies of an event that has one, with all its triggers. Whatever kie.ai or a proxy has answered
    may be in a message; a job, with what its model has answered, goes as text in ASCII.
    """
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return None if isinstance(value, int) and abs(value) >= 2**63 else value


def read_event(event: dict[str, Any] | None) -> float:
    """
    Read the event that resumes a sensor of the balance.

    :param event: The payload of :class:`KieCreditsTrigger`.
    :return: The balance.
    :raises KieError: The permanent error that ended the waiting, of its own class again.
    :raises ValueError: It is no event of :class:`KieCreditsTrigger`.
    """
    match event:
        case {"status": "success", "credits": float() | int() as balance}:
            return float(balance)
    _raise_error_in(event)
    raise ValueError(f"Resumed with something that is no event of KieCreditsTrigger: {event!r}")


def read_job_event(event: dict[str, Any] | None) -> Job:
    """
    Read the event that resumes whoever waits for a job.

    :param event: The payload of :class:`KieJobTrigger`.
    :return: The job, which has succeeded.
    :raises KieError: What ended the waiting, of its own class again.
    :raises ValueError: It is no event of :class:`KieJobTrigger`.
    """
    job = job_in(event)
    if job.state == "failed":
        raise job.to_error()
    return job


def job_in(event: dict[str, Any] | None) -> Job:
    """
    Read the job out of an event, for callers that keep count of failed ones.

    :param event: The payload of :class:`KieJobTrigger`.
    :return: The job, which has succeeded or failed.
    :raises KieError: What else ended the waiting, of its own class again.
    :raises ValueError: It is no event of :class:`KieJobTrigger`.
    """
    match event:
        case {"status": "success" | "error", "job": str() as text}:
            if job := _job_of(text):
                return job
    _raise_error_in(event)
    raise ValueError(f"Resumed with something that is no event of KieJobTrigger: {event!r}")


def _job_of(text: str) -> Job | None:
    try:
        return Job.from_dict(json.loads(text))
    except (ValueError, TypeError, AttributeError):
        return None


def error_from_event(event: Mapping[str, Any]) -> KieError:
    """
    Read what :meth:`KieError.to_event` wrote, maybe in another version of the provider.

    :param event: Class, message and code; :class:`KieError` stands in for a class that is unknown here, or
        made of several.
    :return: The error.
    """
    kind = getattr(errors, event["error"], None)
    if not (isinstance(kind, type) and issubclass(kind, KieError)) or kind is KieBatchError:
        kind = KieError
    error = kind(event["message"])
    error.code = event["code"]
    error.said_by_kie = bool(event.get("said_by_kie", True))
    if isinstance(error, KieJobError):
        vars(error).update(
            {name: event[name] for name in ("job_id", "credits", "transient") if name in event}
        )
    return error


def _raise_error_in(event: Mapping[str, Any] | None) -> None:
    match event:
        case {"status": "error", "error": str(), "message": str(), "code": _} if event:
            raise error_from_event(event)
