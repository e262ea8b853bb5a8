"""
A human decides when credits are low: with enough of them the work starts, otherwise Airflow asks first.

The question waits under "Required Actions" in Airflow's web interface, and holds no worker; "Reject" skips
the work. A run that nobody answers fails after 20 hours. It needs the connection ``kie_default``, and, before
Airflow 3.3, a triggerer.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, task

from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.operators.credits import KieCreditsBranchOperator

with DAG(
    "kie_approval",
    description="Asks a human when credits are low",
    schedule="@daily",
    catchup=False,
    dagrun_timeout=timedelta(hours=20),
    tags=["kie"],
) as dag:
    enough_credits = KieCreditsBranchOperator(
        task_id="enough_credits",
        threshold=50,
        follow_task_ids_if_true="start",
        follow_task_ids_if_false="balance",
    )

    @task
    def balance() -> float:
        """Ask for the balance, to show it in the question."""
        return KieHook().get_credits()

    approve = ApprovalOperator(
        task_id="approve",
        subject="Only {{ ti.xcom_pull('balance') }} credits are left. Start anyway?",
    )

    # Your own tasks come after this one.
    start = EmptyOperator(task_id="start", trigger_rule="none_failed_min_one_success")

    enough_credits >> balance() >> approve >> start
    enough_credits >> start
