from airflow.sdk import DAG

from airflow_provider_kie.operators.jobs import KieGenerateOperator

with DAG("submit_with_callback", schedule="@daily"):
    KieGenerateOperator(
        task_id="generate",
        model="bytedance/seedream",
        input={"prompt": "a fox"},
        callback_url="https://callbacks.example.com/kie/market",
        wait_for_completion=False,
    )
