"""
Results of jobs whose end kie.ai has announced to a callback receiver; nothing runs or waits until then.

The receiver, ``docs/examples/callback_receiver.py``, makes an event of the asset ``kie_jobs`` for each job
that has ended. A job that is announced twice is downloaded once. One that has failed fails the run, and the
files of the others come all the same. Started by hand, the DAG goes through all events that Airflow still
has. It needs the connection ``kie_default``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, Param, task

from airflow_provider_kie.operators.files import KieDownloadOperator

kie_jobs = Asset("kie_jobs")

with DAG(
    "kie_callback_results",
    description="Downloads what kie.ai's callbacks announce",
    schedule=[kie_jobs],
    catchup=False,
    params={
        "outbox": Param("/tmp/kie/results", type="string", description="Folder for the results"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["kie"],
) as dag:

    @task(inlets=[kie_jobs])
    def ended_jobs(triggering_asset_events: Any = None, inlet_events: Any = None) -> list[dict[str, Any]]:
        """List the jobs that were announced, each once: several events may announce the same one."""
        # Airflow 3.3 and before leave an event that comes right after another one to the run after this.
        since = min((event.timestamp for event in triggering_asset_events[kie_jobs]), default=None)
        events = inlet_events[kie_jobs]
        if since and hasattr(events, "after"):  # from Airflow 3.3 on; before, all there ever were are read
            events = events.after(since.isoformat())
        jobs = [event.extra for event in events if since is None or event.timestamp >= since]
        # An event that a person has made by hand may be about no job.
        return list({job["job_id"]: job for job in jobs if "job_id" in job}.values())

    @task
    def results(jobs: list[dict[str, Any]], outbox: str) -> list[dict[str, Any]]:
        """Name the files to fetch, and a folder for each job."""
        return [
            {"file_url": job["urls"], "destination": f"{outbox}/{job['job_id']}/"}
            for job in jobs
            if job["urls"]
        ]

    @task(retries=0)
    def report_failures(jobs: list[dict[str, Any]]) -> None:
        """Fail if a job has."""
        if failed := [f"{job['job_id']}: {job['reason']}" for job in jobs if job["state"] == "failed"]:
            raise RuntimeError(f"{len(failed)} of {len(jobs)} jobs failed: {'; '.join(failed)}")

    jobs = ended_jobs()
    KieDownloadOperator.partial(
        task_id="download",
        if_exists="skip",
        map_index_template="{{ task.destination }}",
    ).expand_kwargs(results(jobs, "{{ params.outbox }}"))
    report_failures(jobs)
