from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_kie.simulator import KieSimulator

Human = Callable[[str], list[str]]


def answer_all(option: str) -> list[str]:
    """Answer every open question through the function behind Airflow's REST API; say what was asked."""
    from airflow import settings
    from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
    from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance as TI

    asked = []
    user: Any = SimpleNamespace(get_id=lambda: "7", get_name=lambda: "night shift")
    payload = UpdateHITLDetailPayload(chosen_options=[option])
    task = (TI.dag_id, TI.run_id, TI.task_id, TI.map_index)
    questions = select(HITLDetail.subject, *task).join(TI, TI.id == HITLDetail.ti_id)
    with Session(settings.engine) as session:
        for question in session.execute(questions.where(HITLDetail.responded_at.is_(None))).all():
            asked.append(question.subject)
            update_hitl_detail(
                question.dag_id,
                question.run_id,
                question.task_id,
                payload,
                user,
                session,
                question.map_index,
            )
        session.commit()
    return asked


@pytest.fixture
def human(monkeypatch: pytest.MonkeyPatch) -> Human:
    """Somebody who answers as soon as Airflow has asked and waits; gives the list of what was asked."""

    def answering(option: str) -> list[str]:
        asked: list[str] = []
        really_sleep = time.sleep

        def sleep(seconds: float) -> None:
            # From Airflow 3.3 on, dag.test() sleeps while a task waits for a human.
            if threading.current_thread() is threading.main_thread():
                asked.extend(answer_all(option))
            else:
                really_sleep(seconds)

        def response(ti_id: Any) -> Any:
            # Before, a trigger asks for the response, for which dag.test() lacks what the triggerer has.
            from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor

            asked.extend(answer_all(option))
            return InProcessTestSupervisor._api_client().hitl.get_detail_response(ti_id)

        monkeypatch.setattr("time.sleep", sleep)
        monkeypatch.setattr(
            "airflow.providers.standard.triggers.hitl.get_hitl_detail_content_detail", response
        )
        return asked

    return answering


def test_with_enough_credits_nobody_is_asked(
    run_dag: Callable[..., Any], states: Callable[..., Any], kie_simulator: KieSimulator
) -> None:
    run = run_dag("kie_approval")

    assert run.state == "success"
    assert states(run) == {
        "enough_credits": "success",
        "balance": "skipped",
        "approve": "skipped",
        "start": "success",
    }


@pytest.mark.parametrize(("option", "start"), [("Approve", "success"), ("Reject", "skipped")])
def test_with_too_few_credits_a_human_decides(
    run_dag: Callable[..., Any],
    states: Callable[..., Any],
    kie_simulator: KieSimulator,
    human: Human,
    option: str,
    start: str,
) -> None:
    kie_simulator.credits = 12.5
    asked = human(option)
    run = run_dag("kie_approval")

    assert asked == ["Only 12.5 credits are left. Start anyway?"]
    assert run.state == "success"
    assert states(run) == {
        "enough_credits": "success",
        "balance": "success",
        "approve": "success",
        "start": start,
    }
