from airflow.sdk import DAG, task

from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.retry_policy import KieRetryPolicy

with DAG("retry_policy", schedule="@hourly"):

    @task(retries=3, retry_policy=KieRetryPolicy())
    def balance() -> float:
        return KieHook().get_credits()

    balance()
