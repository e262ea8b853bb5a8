from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_kie.triggers.credits import KieCreditsEventTrigger

credits_low = Asset(
    "credits_low",
    watchers=[
        AssetWatcher(
            name="balance",
            trigger=KieCreditsEventTrigger(threshold=50, condition="below"),
        )
    ],
)

with DAG("credits_are_low", schedule=[credits_low]):

    @task
    def tell(triggering_asset_events=None) -> str:
        event = triggering_asset_events[credits_low][-1].extra["payload"]
        return f"{event['balance']} credits are left"

    tell()
