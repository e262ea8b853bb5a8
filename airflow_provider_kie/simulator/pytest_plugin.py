"""The pytest fixture ``kie_simulator``, in every session where the provider is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_kie.simulator import KieSimulator


@pytest.fixture
def kie_simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[KieSimulator]:
    """
    Run a simulated kie.ai with 100 credits, to which the connection ``kie_default`` leads.

    :param monkeypatch: sets ``AIRFLOW_CONN_KIE_DEFAULT`` for the duration of the test.
    :return: the simulator.
    """
    from airflow_provider_kie.simulator import KieSimulator

    with KieSimulator(credits=100) as kie:
        monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", kie.connection())
        yield kie
