"""A DAG with a task of its own."""

from airflow.sdk import DAG, task

from airflow_provider_kie.hooks.kie import KieHook


@task
def percent_left(budget: float) -> float:
    return 100 * KieHook("kie_default").get_credits() / budget


with DAG("balance", schedule="@daily", catchup=False):
    percent_left(budget=200)
