"""The key and the signed links, looked for wherever a task leaves something behind."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from airflow import __version__ as airflow_version
from airflow.sdk import DAG

from airflow_provider_kie.operators.credits import KieCreditsBranchOperator
from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator
from airflow_provider_kie.sensors.credits import KieCreditsSensor
from airflow_provider_kie.simulator import KieSimulator

# Below 3.3 Airflow stores rendered fields as they are, whatever has been registered to be masked.
AIRFLOW_MASKS_RENDERED_FIELDS = tuple(map(int, airflow_version.split(".")[:2])) >= (3, 3)


@pytest.fixture
def _everything_is_logged() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("", "httpx", "httpcore")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def secret_tasks(generated: str, source: Path, back: Path, signature: str) -> DAG:
    """All our classes, with the key in a rendered field and a signed URL from elsewhere as a source."""
    with DAG("secrets", schedule=None, user_defined_macros={"signature": signature}) as dag:
        wait = KieCreditsSensor(task_id="wait", threshold=1)
        branch = KieCreditsBranchOperator(
            task_id="branch",
            threshold=1,
            follow_task_ids_if_true="upload",
            follow_task_ids_if_false=["{{ conn.kie_default.password }}"]
            if AIRFLOW_MASKS_RENDERED_FIELDS
            else [],
        )
        upload = KieUploadOperator(
            task_id="upload", source=str(source), upload_path="x", multiple_outputs=True
        )
        by_url = KieUploadOperator.partial(task_id="by_url", upload_path="x").expand(
            source=["{{ ti.xcom_pull('upload')['download_url'] }}?X-Signature={{ signature }}"]
        )
        fetch = KieDownloadOperator.partial(task_id="fetch", destination=f"{back}/").expand(
            file_url=[generated, "{{ ti.xcom_pull('upload')['download_url'] }}?X-Signature={{ signature }}"]
        )
        wait >> branch >> upload >> by_url >> fetch
    return dag


@pytest.mark.usefixtures("_everything_is_logged")
def test_no_secret_is_left_in_logs_rendered_fields_or_xcom(
    run_dag: Callable[..., Any],
    states: Callable[..., Any],
    kie_simulator: KieSimulator,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = tmp_path / "a.txt"
    source.write_text("hello")
    url = kie_simulator.add_generated_file("generated.png", b"generated")
    signature, token = secrets.token_hex(), secrets.token_hex()
    cut_link = f'{{"code":200,"msg":"success","data":"https://signed.example/{token}'
    kie_simulator.fail_next("file", delay=0.01)  # kie.ai's own fetching of the url upload
    kie_simulator.fail_next("file", drop_after=3)
    kie_simulator.fail_next("download-url", body=cut_link)

    run = run_dag(secret_tasks(url, source, tmp_path / "back", signature))
    assert run.state == "success", states(run)

    signed = [request for request in kie_simulator.requests_to("file") if request.path.startswith("/signed")]
    assert signed
    unwanted = [kie_simulator.api_key, token]
    unwanted += [parse_qs(request.query)["X-Amz-Signature"][0] for request in signed]
    unwanted += [request.path for request in signed]
    captured = capfd.readouterr()
    left = {"output": captured.out + captured.err, "log records": caplog.text}
    home = Path(os.environ["AIRFLOW_HOME"])
    left |= {
        str(path): path.read_bytes().decode(errors="replace") for path in home.rglob("*") if path.is_file()
    }
    if AIRFLOW_MASKS_RENDERED_FIELDS:
        unwanted.append(signature)
    assert any("generated.png" in text for name, text in left.items() if "airflow.db" in name)
    found = [(name, secret) for name, text in left.items() for secret in unwanted if secret in text]
    assert found == []
