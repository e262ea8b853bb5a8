"""Tests of a DAG against a simulated kie.ai: ``AIRFLOW_HOME=$(mktemp -d) python -m pytest docs/examples``."""
# ruff: noqa: S101, S603

# [START test_my_dag]
import os
import subprocess
import sys
from pathlib import Path

import pytest

DAGS = Path(__file__).parent / "dags"

# Before anything imports Airflow. AIRFLOW_HOME has to be the tests' own as well, set
# outside: otherwise the runs land in your database.
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(DAGS)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
sys.path.insert(0, str(DAGS))


@pytest.fixture(scope="session", autouse=True)
def database():
    for command in (["db", "migrate"], ["dags", "reserialize"]):
        subprocess.run([sys.executable, "-m", "airflow", *command], check=True)


@pytest.fixture
def run(tmp_path):
    from my_dag import dag

    source = tmp_path / "photo.png"
    source.write_bytes(b"these bytes go up and come down again")
    conf = {"source": str(source), "folder": f"{tmp_path}/back/"}
    return lambda: dag.test(run_conf=conf)


def test_the_file_comes_back(run, kie_simulator, tmp_path):
    assert run().state == "success"

    (upload,) = kie_simulator.uploads.values()
    assert upload.path.endswith("/my/files/photo.png")
    sent, received = tmp_path / "photo.png", tmp_path / "back" / "photo.png"
    assert received.read_bytes() == sent.read_bytes()


def test_a_busy_kie_ai_is_asked_again(run, kie_simulator):
    kie_simulator.fail_next("file-base64-upload", code=429, retry_after=0, times=2)

    assert run().state == "success"
    assert len(kie_simulator.requests_to("file-base64-upload")) == 3


def test_a_refused_key_fails_the_upload_at_once(run, kie_simulator):
    kie_simulator.fail_next("file-base64-upload", code=401)

    assert run().state == "failed"
    assert len(kie_simulator.requests_to("file-base64-upload")) == 1


# [END test_my_dag]
