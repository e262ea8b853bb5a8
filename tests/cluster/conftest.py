"""A cluster of Airflow on this machine, on loopback; kie.ai is the simulator."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from airflow_provider_kie.simulator import KieSimulator
from scripts.running import end_on_signals, environment, wait_until_healthy

from .parts import Cluster
from .services import StatsD, find, postgres_server, serving
from .settings import DAGS, SETTINGS

BUCKET = "kie"
WORKERS = ["worker-1", "worker-2"]
S3_KEYS = {"login": "someone", "password": "something"}  # moto takes any

log = logging.getLogger(__name__)
# It would log every request.
logging.getLogger("httpx").setLevel(logging.WARNING)


@pytest.fixture(scope="session")
def exit_stack(_simulator: KieSimulator) -> Iterator[ExitStack]:
    """What ends all processes, before the simulator, whatever ends the run; no second signal stops that."""
    if not (find("postgres") and find("redis-server")):
        # Not skipped: that would be green.
        command = "apt-get update && apt-get install --no-install-recommends postgresql redis-server"
        pytest.fail(f"PostgreSQL or Redis is missing: {command}", pytrace=False)
    end_on_signals()
    with ExitStack() as stack:
        yield stack
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for all that the cluster writes."""
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="session")
def postgres(exit_stack: ExitStack, home: Path) -> str:
    """A PostgreSQL, as ``user:password@host:port/database``."""
    return exit_stack.enter_context(postgres_server(home / "postgres.log"))


@pytest.fixture(scope="session")
def redis(exit_stack: ExitStack, home: Path) -> str:
    """The URL of a Redis that keeps nothing."""
    command = ["redis-server", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"]
    return f"redis://127.0.0.1:{exit_stack.enter_context(serving(command, home / 'redis.log'))}/0"


@pytest.fixture(scope="session")
def s3_url(exit_stack: ExitStack, home: Path) -> str:
    """The URL of moto's S3, in a process of its own: the simulator keeps this one busy."""
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port"]
    return f"http://127.0.0.1:{exit_stack.enter_context(serving(command, home / 's3.log'))}"


@pytest.fixture(scope="session")
def statsd(exit_stack: ExitStack) -> StatsD:
    """A StatsD, which gets the provider's metrics."""
    statsd = exit_stack.enter_context(StatsD())
    threading.Thread(target=statsd.serve_forever).start()
    exit_stack.callback(statsd.shutdown)
    return statsd


@pytest.fixture(scope="session")
def variables(
    home: Path, postgres: str, redis: str, s3_url: str, statsd: StatsD, _simulator: KieSimulator
) -> dict[str, str]:
    """The environment of all parts of Airflow."""
    (home / "tmp").mkdir()
    s3 = {"endpoint_url": s3_url, "region_name": "us-east-1"}
    connection = json.loads(_simulator.connection())
    # A failure of kie.ai is one of the task, so that tries can be counted.
    connection["extra"]["max_retries"] = 0
    settings = {
        "AIRFLOW__CELERY__BROKER_URL": redis,
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2://{postgres}",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{postgres}",
        "AIRFLOW__METRICS__STATSD_PORT": str(statsd.server_address[1]),
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps({"conn_type": "aws", **S3_KEYS, "extra": s3}),
        "TMPDIR": str(home / "tmp"),
    }
    made = environment(home, json.dumps(connection), dags=DAGS, settings=SETTINGS | settings)
    # Airflow behaves differently where these say that pytest runs it.
    return {name: value for name, value in made.items() if not name.startswith("PYTEST_")}


@pytest.fixture(scope="session")
def cluster(exit_stack: ExitStack, home: Path, variables: dict[str, str]) -> Cluster:
    """All parts of Airflow, with two Celery workers."""
    log.info("Starting Airflow in %s ...", home)
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=variables, check=True)
    cluster = Cluster(exit_stack, home, variables)
    for part in ("api-server", "scheduler", "dag-processor", "triggerer"):
        cluster.start(part)
    for worker in WORKERS:
        cluster.start_worker(worker)
    workers = [cluster.parts[worker].log for worker in WORKERS]
    assert cluster.wait(lambda: all(f"{log.stem} ready." in log.read_text() for log in workers))
    server = cluster.parts["api-server"]
    try:
        wait_until_healthy(cluster.api, server.process, server.log)
    except SystemExit as error:
        pytest.fail(str(error))
    log.info("All is up.")
    return cluster


@pytest.fixture
def s3(s3_url: str) -> Any:
    """A client of the S3, in which there is a bucket and nothing else."""
    httpx.post(f"{s3_url}/moto-api/reset").raise_for_status()
    keys = {"aws_access_key_id": S3_KEYS["login"], "aws_secret_access_key": S3_KEYS["password"]}
    s3 = boto3.client("s3", endpoint_url=s3_url, region_name="us-east-1", **keys)
    s3.create_bucket(Bucket=BUCKET)
    # Half an object that a whole one replaces later would go unnoticed otherwise.
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return s3
