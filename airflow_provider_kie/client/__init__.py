"""
The kie.ai client; knows nothing of Airflow.

``from airflow_provider_kie.client import KieClient`` loads its modules lazily, so that a DAG file importing
only :mod:`airflow_provider_kie.client.errors` does not pay for an HTTP library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_kie.client.client import AsyncKieClient, KieClient
    from airflow_provider_kie.client.errors import KieError
    from airflow_provider_kie.client.settings import KieSettings

__all__ = ["AsyncKieClient", "KieClient", "KieError", "KieSettings"]

_HOMES = {
    "AsyncKieClient": "client",
    "KieClient": "client",
    "KieError": "errors",
    "KieSettings": "settings",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
