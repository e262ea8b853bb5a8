from airflow.sdk import DAG, task

from airflow_provider_kie.hooks.kie import KieHook

with DAG("chat_stream", schedule="@daily"):

    @task
    def tell_a_story() -> str:
        with KieHook().stream_chat(
            "Tell me a story", model="gemini-2.5-flash"
        ) as stream:
            for text in stream:
                print(text)
        print(stream.answer.usage, stream.answer.credits)
        return stream.answer.text

    tell_a_story()
