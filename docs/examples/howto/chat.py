from airflow.sdk import DAG, task

from airflow_provider_kie.operators.chat import KieChatOperator

with DAG("chat", schedule="@daily"):
    write = KieChatOperator(
        task_id="write",
        model="gemini-2.5-flash",
        system="You write prompts for a painter: one sentence, nothing else.",
        prompt="a cat on a bicycle",
        options={"temperature": 0.9},
    )

    @task
    def use(text: str, credits: float) -> None:
        print(f"{text} (it cost {credits} credits)")

    use(write.output["text"], write.output["credits"])
