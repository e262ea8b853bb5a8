from airflow.sdk import DAG, task

from airflow_provider_kie.hooks.kie import KieHook

with DAG("upload_inbox", schedule="@daily"):

    @task
    def upload_inbox() -> list[str]:
        uploaded = KieHook().upload_files("/data/inbox/*.png", "nightly")
        return [file.download_url for file in uploaded]

    upload_inbox()
