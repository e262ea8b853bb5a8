from airflow.sdk import DAG, task

from airflow_provider_kie.sensors.credits import KieCreditsSensor

with DAG("wait_for_credits", schedule="@daily"):
    wait = KieCreditsSensor(
        task_id="wait",
        threshold=50,
        poke_interval=60,
        timeout=6 * 3600,
        deferrable=True,
    )

    @task
    def work(balance: float) -> None:
        print(f"{balance} credits")

    work(wait.output)
