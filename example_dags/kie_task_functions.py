"""The same operations in ``@task`` functions, through ``KieHook``."""

from __future__ import annotations

from airflow.sdk import DAG, Param, task

from airflow_provider_kie.hooks.kie import KieHook

with DAG(
    "kie_task_functions",
    description="KieHook in task functions",
    schedule=None,
    catchup=False,
    params={
        "source": Param("/tmp/kie/inbox/photo.png", type="string"),
        "prompt": Param("a cat on a bicycle", type="string"),
        "destination": Param("/tmp/kie/outbox/", type="string"),
    },
    tags=["kie"],
) as dag:

    @task
    def balance() -> float:
        """Ask for the balance."""
        return KieHook().get_credits()

    @task
    def upload(source: str) -> str:
        """Upload a file and return its public URL."""
        uploaded = KieHook().upload_file(source, "airflow/examples")
        return uploaded.download_url

    @task
    def fetch(file_url: str, destination: str) -> str:
        """Download a file and return its path."""
        downloaded = KieHook().download_file(file_url, destination)
        return downloaded.path

    @task(retries=0)  # a retry would pay for another one
    def generate(prompt: str) -> list[str]:
        """Generate an image and return its URLs."""
        job = KieHook().generate({"prompt": prompt}, model="demo/image", timeout=600)
        return job.urls

    file_url = upload("{{ params.source }}")
    image_urls = generate("{{ params.prompt }}")
    balance() >> [file_url, image_urls]
    fetch(file_url, "{{ params.destination }}")
    fetch.partial(destination="{{ params.destination }}").expand(file_url=image_urls)
