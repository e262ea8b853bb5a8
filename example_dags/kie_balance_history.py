"""
The balance over time: every hour a small file with a line of CSV, ``time,balance``.

It is one file per run because object storage cannot append: a retry writes the same file again, and
``cat folder/*.csv`` is the history. The param ``folder`` is a folder, or a URL such as
``s3://aws_default@bucket/kie``, whose user name is the storage's connection. It needs the connection
``kie_default``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, ObjectStoragePath, Param, task

from airflow_provider_kie.hooks.kie import KieHook

with DAG(
    "kie_balance_history",
    description="Records the balance every hour",
    schedule="@hourly",
    catchup=False,
    params={"folder": Param("/tmp/kie/balance", type="string")},
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["kie"],
) as dag:

    @task
    def record(folder: str, name: str) -> float:
        """Write the current balance to the file of this run."""
        balance = KieHook().get_credits()
        path = ObjectStoragePath(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{datetime.now(UTC).isoformat(timespec='seconds')},{balance}\n")
        return balance

    record("{{ params.folder }}", "{{ dag_run.run_after.strftime('%Y%m%dT%H%M%S.%f') }}.csv")
