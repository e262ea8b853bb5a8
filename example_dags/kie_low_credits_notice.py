"""
A job after which someone is told if credits run low, whether it succeeded or not.

It needs the connection ``kie_default``, and costs credits on a real account. In place of ``LogNotifier`` put
the one you read: ``SlackNotifier`` of apache-airflow-providers-slack, or ``SmtpNotifier`` of
apache-airflow-providers-smtp.
"""

from __future__ import annotations

from airflow.sdk import DAG, BaseNotifier, Context, Param

from airflow_provider_kie.notifications.credits import KieLowCreditsNotifier
from airflow_provider_kie.operators.jobs import KieGenerateOperator


class LogNotifier(BaseNotifier):
    """Write a message to the task's log."""

    template_fields = ("message",)

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message

    def notify(self, context: Context) -> None:
        """Write it."""
        self.log.warning("%s", self.message)


with DAG(
    "kie_low_credits_notice",
    description="Generates, and tells if fewer than 50 credits are left",
    schedule=None,
    catchup=False,
    params={"model": Param("demo/edit", type="string"), "prompt": Param("wind in the trees", type="string")},
    tags=["kie"],
) as dag:
    notice = KieLowCreditsNotifier(
        threshold=50,
        notifiers=[
            LogNotifier("kie.ai: {{ '%g' | format(kie_credits) }} credits are left after {{ ti.task_id }}")
        ],
    )
    generate = KieGenerateOperator(
        task_id="generate",
        model="{{ params.model }}",
        input={"prompt": "{{ params.prompt }}"},
        on_success_callback=[notice],
        on_failure_callback=[notice],
    )
