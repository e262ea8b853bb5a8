"""An Airflow for tests alone: neither the user's own home nor their database is touched."""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@contextmanager
def airflow_home() -> Iterator[bytes]:
    """
    Give Airflow a home that goes away in the end, unless it was imported before.

    :return: A migrated database, to be copied for each test.
    """
    with TemporaryDirectory(prefix="kie-airflow-") as home, pytest.MonkeyPatch.context() as patch:
        if "airflow" not in sys.modules:
            patch.setenv("AIRFLOW_HOME", home)
        database = Path(home, "airflow.db")
        with _airflow_on(database), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from airflow.sdk.execution_time import supervisor
            from airflow.utils.db import upgradedb

            upgradedb()
        # Built once, as by Airflow 3.3, and not anew for each task.
        patch.setattr(supervisor, "in_process_api_server", cache(supervisor.in_process_api_server))
        yield database.read_bytes()


@contextmanager
def airflow_of_a_test(migrated: bytes) -> Iterator[pytest.MonkeyPatch]:
    """
    Let Airflow use a database of its own, until the test ends.

    :param migrated: What the database begins with.
    :return: What can change more of Airflow until then.
    """
    # Airflow's task runner leaves its own behind, by which this process ignores that it is to end.
    on_terminate = signal.getsignal(signal.SIGTERM)
    with TemporaryDirectory(prefix="kie-airflow-") as folder:
        database = Path(folder, "airflow.db")
        database.write_bytes(migrated)
        with _airflow_on(database) as patch:
            yield patch
    # Airflow tells each task who it is, and leaves that behind.
    for name in [name for name in os.environ if name.startswith("AIRFLOW_CTX_")]:
        del os.environ[name]
    if signal.getsignal(signal.SIGTERM) is not on_terminate:
        signal.signal(signal.SIGTERM, on_terminate)


@contextmanager
def _airflow_on(database: Path) -> Iterator[pytest.MonkeyPatch]:
    # DAG.test() reads all that the bundles have, each time; the DAG under test is stored without one.
    bundle = {
        "name": "tests",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": f"{database.parent}/no-dags"},
    }
    settings = {
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGBAG_IMPORT_ERROR_TRACEBACK_DEPTH": "20",
        "DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}",
        "DATABASE__SQL_ALCHEMY_CONN_ASYNC": f"sqlite+aiosqlite:///{database}",
        "LOGGING__BASE_LOG_FOLDER": f"{database.parent}/logs",
    }
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in settings.items():
                patch.setenv(f"AIRFLOW__{name}", value)
            _connect()
            yield patch
    finally:
        _connect()


def _connect() -> None:
    """Let Airflow use the database that its settings name now."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from airflow import settings

        settings.configure_vars()
        settings.reconfigure_orm()
