"""The settings of the cluster, as environment variables."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DAGS = Path(__file__).resolve().parent / "dags"
BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"
BUNDLES = [
    {"name": f"kie_{folder.name}", "classpath": BUNDLE, "kwargs": {"path": str(folder)}}
    for folder in (ROOT / "example_dags", DAGS)
]
# Modules that every task would import anew; a worker imports them once, and its tasks are forks of it.
PRELOADED = ["airflow_provider_kie.hooks.kie", "airflow.providers.amazon.aws.fs.s3", "s3fs"]
NAME = "KIE_CLUSTER_NAME"

SETTINGS = {
    "AIRFLOW__API__MAXIMUM_PAGE_LIMIT": "1000",
    "AIRFLOW__CELERY__EXTRA_CELERY_CONFIG": json.dumps({"imports": PRELOADED}),
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__CORE__HOSTNAME_CALLABLE": f"{__name__}.host_name",
    # A few more than there are slots: a slot that falls free has its next task at once.
    "AIRFLOW__CORE__PARALLELISM": "16",
    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(BUNDLES),
    "AIRFLOW__METRICS__STATSD_ON": "True",
    "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
    "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
    # Airflow's own are left out: thousands of them would only cost time.
    "AIRFLOW__METRICS__METRICS_ALLOW_LIST": "kie",
    # A worker that died is noticed by its tasks' silence, and by tasks that it had taken but not begun.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
    # The example DAGs run when they are told to, not by their schedules.
    "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
    # The triggers of one that was killed are another's after that many seconds.
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
    "PYTHONPATH": str(ROOT),
}


def host_name() -> str:
    """Name the process that asks; Airflow notes it as the host that a try ran on."""
    return os.environ.get(NAME) or socket.gethostname()
