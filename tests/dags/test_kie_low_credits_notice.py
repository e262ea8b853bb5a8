from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_kie.simulator import KieSimulator

NAME = "kie_low_credits_notice"


@pytest.mark.parametrize("ending", ["success", "failed"])
def test_a_low_balance_is_told_however_the_task_ends(
    ending: str, run_dag: Callable[..., Any], kie_simulator: KieSimulator, capfd: pytest.CaptureFixture[str]
) -> None:
    kie_simulator.credits = 40
    if ending == "failed":
        kie_simulator.fail_next("createTask", code=422)
    run = run_dag(NAME)
    assert run.state == ending
    assert f"kie.ai: {kie_simulator.credits:g} credits are left after generate" in capfd.readouterr().out
    assert len(kie_simulator.requests_to("credit")) == 1


def test_enough_credits_are_told_to_nobody(
    run_dag: Callable[..., Any], kie_simulator: KieSimulator, capfd: pytest.CaptureFixture[str]
) -> None:
    kie_simulator.credits = 1000
    assert run_dag(NAME).state == "success"
    assert "credits are left after" not in capfd.readouterr().out
