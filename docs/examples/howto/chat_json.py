from airflow.sdk import DAG, task

from airflow_provider_kie.operators.chat import KieChatOperator

with DAG("chat_json", schedule="@daily"):
    describe = KieChatOperator(
        task_id="describe",
        model="gemini-2.5-flash",
        prompt='Describe a fox as JSON: {"name": ..., "colours": [...]}',
        options={"response_format": {"type": "json_object"}},
        output_type="json",
    )

    @task
    def use(fox: dict) -> None:
        print(sorted(fox))

    use(describe.output["parsed"])
