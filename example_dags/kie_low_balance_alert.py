"""
An alert when the balance falls below 50 credits.

Nothing runs until that happens: the triggerer watches the balance and makes an event each time it falls
below, or is below from the start, and the event starts the DAG; started by hand, it has no event to report
and fails. It needs the connection ``kie_default``, and a triggerer. In place of ``LogNotifier`` put the one
you read at night: ``SlackNotifier`` of apache-airflow-providers-slack, or ``SmtpNotifier`` of
apache-airflow-providers-smtp.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, BaseNotifier, Context, task

from airflow_provider_kie.triggers.credits import KieCreditsEventTrigger


class LogNotifier(BaseNotifier):
    """Write a message to the task's log."""

    template_fields = ("message",)

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message

    def notify(self, context: Context) -> None:
        """Write it."""
        self.log.warning("%s", self.message)


credits_low = Asset(
    "kie_credits_low",
    watchers=[
        AssetWatcher(
            name="kie_balance",
            trigger=KieCreditsEventTrigger(threshold=50, condition="below", fire_on_start=True),
        )
    ],
)

with DAG(
    "kie_low_balance_alert",
    description="Tells that the balance has fallen below 50 credits",
    schedule=[credits_low],
    catchup=False,
    tags=["kie"],
) as dag:

    @task(on_success_callback=[LogNotifier("{{ ti.xcom_pull('write_alert') }}")])
    def write_alert(triggering_asset_events: Any = None) -> str:
        """Return what has happened, in words."""
        event = triggering_asset_events[credits_low][-1].extra["payload"]
        before = event["previous_balance"]
        return (
            f"kie.ai: {event['balance']:g} credits are left, fewer than {event['threshold']:g}; "
            f"{'unknown' if before is None else f'{before:g}'} before "
            f"({event['kie_conn_id']}, {event['time']})"
        )

    write_alert()
