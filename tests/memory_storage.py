"""An object storage in memory that Airflow knows, empty, for one test."""

from __future__ import annotations

from typing import TypeVar

import pytest
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

Storage = TypeVar("Storage", bound=MemoryFileSystem)


def attached(
    kind: type[Storage],
    monkeypatch: pytest.MonkeyPatch,
    *,
    protocol: str = "memory",
    conn_id: str | None = None,
) -> Storage:
    """
    Attach a storage, in place of any that Airflow has in its cache.

    :param kind: Its class; fsspec keeps the files there.
    :param monkeypatch: Undoes it after the test.
    :param protocol: Scheme of its URLs.
    :param conn_id: Airflow connection that it belongs to.
    :return: The storage.
    """
    monkeypatch.setattr("airflow.sdk.io.store._STORE_CACHE", {})
    monkeypatch.setattr(kind, "store", {})
    monkeypatch.setattr(kind, "pseudo_dirs", [""])
    fs = kind()
    attach(protocol=protocol, conn_id=conn_id, fs=fs)
    return fs
