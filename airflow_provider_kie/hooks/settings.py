"""From an Airflow connection to the client's settings."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_kie.client.errors import KieConfigError
from airflow_provider_kie.client.settings import KieSettings

if TYPE_CHECKING:
    from airflow.sdk import Connection

# The settings' names, and where in the connection each comes from: the words that the form shows.
_FIELDS = {
    "api_key": "password",
    "base_url": "host",
    "upload_base_url": "extra 'upload_base_url'",
    "timeout": "extra 'timeout'",
    "max_retries": "extra 'max_retries'",
    "upload_retention_hours": "extra 'upload_retention_hours'",
}
_NUMBERS = ("timeout", "max_retries", "upload_retention_hours")


def settings_of(connection: Connection, *, max_retries: int | None = None) -> KieSettings:
    """
    Read the settings out of a connection.

    :param connection: Airflow connection of the type ``kie``, from JSON, URI, the form or a secrets backend.
    :param max_retries: Instead of the connection's.
    :return: The settings, checked.
    :raises KieConfigError: Something is missing or unusable; the message names connection and field.
    """
    try:
        settings = KieSettings(**_arguments(connection))
    except KieConfigError as error:
        field, _, problem = str(error).partition(": ")
        place = _FIELDS.get(field, field)
        raise KieConfigError(f"Connection {connection.conn_id!r}, {place}: {problem}") from None
    return settings if max_retries is None else replace(settings, max_retries=max_retries)


def _arguments(connection: Connection) -> dict[str, Any]:
    extra = _extra(connection.extra)
    arguments: dict[str, Any] = {"api_key": (connection.password or "").strip()}
    if base_url := _base_url(connection):
        arguments["base_url"] = base_url
    upload_base_url = extra.get("upload_base_url")
    if upload_base_url not in (None, ""):
        if not isinstance(upload_base_url, str):
            raise KieConfigError("upload_base_url: must be a URL")
        arguments["upload_base_url"] = upload_base_url.strip()
    for name in _NUMBERS:
        value = extra.get(name)
        if value not in (None, ""):
            arguments[name] = _number(value)
    return arguments


def _base_url(connection: Connection) -> str:
    """Put together what the URI form takes apart: scheme, host and port."""
    host = (connection.host or "").strip()
    if not host:
        return ""
    url = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    return f"{url}:{connection.port}" if connection.port else url


def _extra(text: str | None) -> dict[str, Any]:
    try:
        extra = json.loads(text) if text else {}
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise KieConfigError("extra: must be a JSON object")
    return extra


def _number(value: Any) -> Any:
    """Read a number that came as text, as all of a URI's extras do; the settings judge the rest."""
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            pass
        try:
            return float(value)
        except ValueError:
            pass
    return value
