from airflow.sdk import DAG, Asset, task

from airflow_provider_kie.operators.jobs import KieGenerateOperator

movie = Asset("movie")

with DAG("make_movie", schedule="@daily") as make_movie:
    KieGenerateOperator(
        task_id="make",
        model="grok-imagine/text-to-video",
        input={"prompt": "wind in the trees"},
        deferrable=True,
        outlets=[movie],
    )

with DAG("list_movies", schedule=[movie]) as list_movies:

    @task
    def list_urls(triggering_asset_events=None) -> list[str]:
        events = triggering_asset_events[movie]
        return [url for event in events for url in event.extra["urls"]]

    list_urls()
