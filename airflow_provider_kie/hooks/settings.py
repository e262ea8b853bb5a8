"""From an Airflow connection to the client's settings."""

from __future__ import annotations

import functools
import json
import logging
from dataclasses import replace
from difflib import get_close_matches
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
    "uploaded_files_host": "extra 'uploaded_files_host'",
    "chat_path": "extra 'chat_path'",
}
_TEXTS = {"upload_base_url": "a URL", "uploaded_files_host": "a host", "chat_path": "a path"}
_NUMBERS = ("timeout", "max_retries", "upload_retention_hours")
# What Airflow shows instead of a secret; the "Test connection" button of its first 3.1 releases sends it.
_MASK = "***"

log = logging.getLogger(__name__)


def settings_of(connection: Connection, *, max_retries: int | None = None) -> KieSettings:
    """
    Read the settings out of a connection.

    :param connection: Airflow connection of the type ``kie``, from JSON, URI, the form or a secrets backend.
    :param max_retries: Instead of the connection's.
    :return: The settings, checked.
    :raises KieConfigError: Something is missing or unusable; the message names connection and field.
    """
    try:
        extra = _extra(connection.extra)
        settings = KieSettings(**_arguments(connection, extra))
    except KieConfigError as error:
        field, _, problem = str(error).partition(": ")
        place = _FIELDS.get(field, field)
        raise KieConfigError(f"Connection {connection.conn_id!r}, {place}: {problem}") from None
    for name in sorted(extra.keys() - {*_TEXTS, *_NUMBERS}):
        _warn_of(connection.conn_id, name)
    return settings if max_retries is None else replace(settings, max_retries=max_retries)


@functools.lru_cache(maxsize=1000)
def _warn_of(conn_id: str, name: str) -> None:
    """Warn of an extra that nothing reads, once a process; its value may be a secret, so it stays out."""
    known = sorted([*_TEXTS, *_NUMBERS])
    nearest = get_close_matches(name, known, n=1)
    log.warning(
        "Connection %r, extra %.60r: is not known and does nothing; %s",
        conn_id,
        name,
        f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(known)}",
    )


def _arguments(connection: Connection, extra: dict[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = {"api_key": (connection.password or "").strip()}
    if arguments["api_key"] == _MASK:
        raise KieConfigError(f"api_key: is the {_MASK} that Airflow shows instead of a key")
    if base_url := _base_url(connection):
        arguments["base_url"] = base_url
    for name, kind in _TEXTS.items():
        value = extra.get(name)
        if value not in (None, ""):
            if not isinstance(value, str):
                raise KieConfigError(f"{name}: must be {kind}")
            arguments[name] = value.strip()
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
