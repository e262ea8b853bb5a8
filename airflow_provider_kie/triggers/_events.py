"""The event that resumes a deferred task: a result, or the error that ended the waiting."""

from __future__ import annotations

from typing import Any

from airflow_provider_kie.client.errors import KieError, error_from_event


def event_of(poll: float | KieError) -> dict[str, Any]:
    """
    Convert the poll that ended the waiting.

    :param poll: The balance, or an error.
    :return: The event's payload, JSON-safe; tasks deferred by one version of the provider may be resumed by
        another, so its form stays.
    """
    if isinstance(poll, KieError):
        return {"status": "error", **poll.to_event()}
    return {"status": "success", "credits": poll}


def read_event(event: dict[str, Any] | None) -> float:
    """
    Read the event that resumes the sensor.

    :param event: The payload of :class:`KieCreditsTrigger`.
    :return: The balance.
    :raises KieError: The permanent error that ended the waiting, of its own class again.
    :raises ValueError: It is no event of :class:`KieCreditsTrigger`.
    """
    match event:
        case {"status": "success", "credits": float() | int() as balance}:
            return float(balance)
        case {"status": "error", "error": str(name), "message": str(message), "code": code}:
            raise error_from_event(name, message, code)
    raise ValueError(f"Resumed with something that is no event of KieCreditsTrigger: {event!r}")
