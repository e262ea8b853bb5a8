"""Fixtures for tests of DAGs, in every session where the provider is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_kie.simulator import KieSimulator
    from airflow_provider_kie.testing.dag_runs import DagRunner


@pytest.fixture
def kie_simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[KieSimulator]:
    """
    Run a simulated kie.ai with 100 credits, to which the connection ``kie_default`` leads.

    :param monkeypatch: Sets ``AIRFLOW_CONN_KIE_DEFAULT`` and ``NO_PROXY`` for the duration of the test.
    :return: The simulator.
    """
    try:
        from airflow_provider_kie.simulator import KieSimulator
    except ImportError as error:
        extra = "pip install 'airflow-provider-kie[simulator]'"
        pytest.fail(
            f"The fixture kie_simulator needs more packages: {error}. Install them: {extra}", pytrace=False
        )

    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1", prepend=",")
    with KieSimulator(credits=100) as kie:
        monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", kie.connection())
        yield kie


@pytest.fixture(scope="session")
def _kie_migrated_database() -> Iterator[bytes]:
    from airflow_provider_kie.testing.throwaway import airflow_home

    with airflow_home() as migrated:
        yield migrated


@pytest.fixture
def kie_run_dag(request: pytest.FixtureRequest, _kie_migrated_database: bytes) -> Iterator[DagRunner]:
    """
    Run DAGs from their files, in an Airflow of this test alone.

    :return: A function: ``run = kie_run_dag("dags/my_dag.py", conf={...})``.
    """
    from airflow_provider_kie.testing.dag_runs import DagRunner
    from airflow_provider_kie.testing.throwaway import airflow_of_a_test

    def report(line: str) -> None:
        request.node.add_report_section("call", "kie_run_dag", line)

    with airflow_of_a_test(_kie_migrated_database) as patch:
        runner = DagRunner(request.path.parent, patch, report)
        yield runner
        runner.forget_modules()
