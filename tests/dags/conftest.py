"""A migrated Airflow database, and DAGs run on it as ``airflow dags test`` does."""

from __future__ import annotations

import json
import os
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest

EXAMPLE_DAGS = Path(__file__).parent.parent.parent / "example_dags"


@pytest.fixture(scope="session")
def _database() -> None:
    from airflow.utils.db import upgradedb

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        upgradedb()


@pytest.fixture(scope="session", autouse=True)
def _one_execution_api() -> Iterator[None]:
    """Let ``dag.test()`` build the task API once, as Airflow 3.3 does, and not anew for each task."""
    from airflow.sdk.execution_time import supervisor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervisor, "in_process_api_server", cache(supervisor.in_process_api_server))
        yield


@pytest.fixture(autouse=True)
def _quick_looks_at_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_kie.decisions.jobs.FIRST_LOOK_SECONDS", 0.2)
    monkeypatch.setattr("airflow_provider_kie.decisions.jobs.SHORTEST_SECONDS", 0.1)


@pytest.fixture
def load_dag(_database: None) -> Callable[..., Any]:
    """Read the example of that name, or a file, or take a DAG; store it as Airflow's DAG processor does."""

    def load(dag: Any) -> Any:
        from airflow.dag_processing.bundles.manager import DagBundlesManager

        try:
            from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
        except ImportError:  # Airflow 3.1
            from airflow.models.dagbag import DagBag, sync_bag_to_db  # type: ignore[no-redef]

        if isinstance(dag, str):
            bag = DagBag(EXAMPLE_DAGS / f"{dag}.py")
            assert not bag.import_errors
            dag = bag.dags[dag]
        elif isinstance(dag, Path):
            bag = DagBag(dag)
            assert not bag.import_errors
            (dag,) = bag.dags.values()
        else:
            bag = DagBag(EXAMPLE_DAGS / "none")
            bag.bag_dag(dag)
        with warnings.catch_warnings():
            # Airflow's own database code is not what is tested here.
            warnings.simplefilter("ignore")
            DagBundlesManager().sync_bundles_to_db()
            sync_bag_to_db(bag, "dags-folder", None)
        return dag

    return load


@pytest.fixture
def run_dag(load_dag: Callable[..., Any]) -> Callable[..., Any]:
    """Run a DAG, or the example of that name, to its end; give its run."""

    def run(dag: Any, *, dated: bool = True, **conf: Any) -> Any:
        dag = load_dag(dag)
        date = {} if dated else {"logical_date": None}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return dag.test(run_conf=conf, **date)

    return run


@pytest.fixture
def returned() -> Callable[..., Any]:
    """Read what a task of a run returned, from the database itself."""

    def read(run: Any, task_id: str, map_index: int = -1) -> Any:
        key = "key = 'return_value' and run_id = ? and task_id = ? and map_index = ?"
        query = f"select value from xcom where {key}"
        with closing(sqlite3.connect(Path(os.environ["AIRFLOW_HOME"], "airflow.db"))) as database:
            row = database.execute(query, (run.run_id, task_id, map_index)).fetchone()
        # SQLite gives a JSON column's numbers as numbers.
        return json.loads(row[0]) if isinstance(row[0], str) else row[0]

    return read


@pytest.fixture
def states() -> Callable[[Any], dict[str, str]]:
    """Say how each task of a run ended; mapped ones as ``name[index]``."""

    def read(run: Any) -> dict[str, str]:
        return {
            f"{ti.task_id}[{ti.map_index}]" if ti.map_index >= 0 else ti.task_id: str(ti.state)
            for ti in run.get_task_instances()
        }

    return read
