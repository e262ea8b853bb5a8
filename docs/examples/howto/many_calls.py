from airflow.sdk import DAG, Param, task

from airflow_provider_kie.client.api import jobs
from airflow_provider_kie.hooks.kie import KieHook

with DAG("many_calls", schedule=None, params={"job_ids": Param(type="array")}):

    @task
    def look(params=None) -> dict[str, str]:
        with KieHook().get_conn() as client:
            return {
                job_id: client.send(jobs.get_job(job_id)).state
                for job_id in params["job_ids"]
            }

    look()
