from __future__ import annotations

from importlib import import_module
from typing import Any

import airflow.sdk
import pytest

from airflow_provider_kie._compat import AirflowFailException
from airflow_provider_kie.client.errors import KieUnavailableError
from airflow_provider_kie.operators.credits import KieCreditsBranchOperator
from airflow_provider_kie.simulator import KieSimulator


def branch(threshold: Any, **kwargs: Any) -> Any:
    operator = KieCreditsBranchOperator(
        task_id="b",
        threshold=threshold,
        follow_task_ids_if_true="enough",
        follow_task_ids_if_false=["too", "few"],
        **kwargs,
    )
    return operator.choose_branch({})


@pytest.mark.parametrize(
    ("balance", "threshold", "chosen"),
    [
        (10.5, 10.5, "enough"),
        (10.5, 10.4, "enough"),
        (10.5, 10.6, ["too", "few"]),
        (0, 0, "enough"),
        (10, "10", "enough"),
        (10, " 1e1 ", "enough"),
        (-1, 0, ["too", "few"]),
    ],
)
def test_enough_means_the_threshold_or_more(
    balance: float, threshold: Any, chosen: Any, kie_simulator: KieSimulator
) -> None:
    kie_simulator.credits = balance
    assert branch(threshold) == chosen


@pytest.mark.parametrize("threshold", ["many", "", None, True, "nan", "inf", [1]])
def test_a_threshold_that_is_no_number_is_refused(threshold: Any, kie_simulator: KieSimulator) -> None:
    with pytest.raises(ValueError, match="threshold must be a number of credits"):
        branch(threshold)
    assert kie_simulator.requests == []


def test_it_is_airflows_own_branch_operator() -> None:
    in_sdk = hasattr(airflow.sdk, "BaseBranchOperator")  # from 3.2 on
    home = airflow.sdk if in_sdk else import_module("airflow.providers.standard.operators.branch")
    assert issubclass(KieCreditsBranchOperator, home.BaseBranchOperator)


def test_a_permanent_failure_is_not_retried(kie_simulator: KieSimulator) -> None:
    kie_simulator.fail_next("credit", code=433)
    with pytest.raises(AirflowFailException, match="KieQuotaError"):
        branch(1)


def test_a_transient_failure_is_left_to_airflow_after_the_clients_retries(
    kie_simulator: KieSimulator,
) -> None:
    kie_simulator.fail_next("credit", code=500, times=5)
    with pytest.raises(KieUnavailableError):
        branch(1)
    assert branch(1) == "enough"
