"""Tests of a task's function and of what uses KieHook; no DAG runs."""

import pytest
from balance import percent_left

from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.simulator import KieSimulator


def test_the_balance_in_percent(kie_simulator):
    kie_simulator.credits = 50

    assert percent_left.function(budget=200) == 25


def test_maintenance_that_does_not_end(kie_simulator):
    kie_simulator.fail_next("credit", code=455, retry_after=0, times=10)

    with pytest.raises(KieError, match="maintenance"):
        percent_left.function(budget=200)


def test_two_accounts(monkeypatch):
    with KieSimulator(credits=5) as staging, KieSimulator(credits=500) as production:
        monkeypatch.setenv("AIRFLOW_CONN_KIE_STAGING", staging.connection())
        monkeypatch.setenv("AIRFLOW_CONN_KIE_PRODUCTION", production.connection())

        assert KieHook("kie_staging").get_credits() == 5
        assert KieHook("kie_production").get_credits() == 500
