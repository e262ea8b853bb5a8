"""Tests of a DAG against a simulated kie.ai."""

import pytest


@pytest.fixture
def conf(tmp_path):
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"these bytes go up and come down again")
    return {"source": str(photo), "folder": f"{tmp_path}/back/"}


def test_the_file_comes_back(kie_simulator, kie_run_dag, conf, tmp_path):
    run = kie_run_dag("dags/my_dag.py", conf=conf)

    assert run.state == "success"
    assert (tmp_path / "back/photo.png").read_bytes() == (tmp_path / "photo.png").read_bytes()
    (upload,) = kie_simulator.uploads.values()
    assert upload.path.endswith("/my/files/photo.png")
    assert run.xcom("upload", key="file_name") == "photo.png"


def test_a_busy_kie_ai_is_asked_again(kie_simulator, kie_run_dag, conf):
    kie_simulator.fail_next("file-base64-upload", code=429, retry_after=0, times=2)

    assert kie_run_dag("dags/my_dag.py", conf=conf).state == "success"
    assert len(kie_simulator.requests_to("file-base64-upload")) == 3


def test_a_refused_key_fails_the_upload_at_once(kie_simulator, kie_run_dag, conf):
    kie_simulator.fail_next("file-base64-upload", code=401)

    run = kie_run_dag("dags/my_dag.py", conf=conf)

    assert run.states == {"wait": "success", "upload": "failed", "download": "upstream_failed"}
    assert "key" in str(run.errors["upload"])
    assert len(kie_simulator.requests_to("file-base64-upload")) == 1
