from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_kie._compat import AirflowFailException
from airflow_provider_kie.client import errors
from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator
from airflow_provider_kie.simulator import KieSimulator


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(os.urandom(30_000))
    return path


def execute(operator: BaseOperator) -> Any:
    return operator.execute({})


def test_an_upload_gives_a_json_safe_dict(kie_simulator: KieSimulator, photo: Path) -> None:
    result = execute(KieUploadOperator(task_id="up", source=photo, upload_path="a", method="stream"))
    assert list(result) == [
        "source",
        "method",
        "file_name",
        "file_path",
        "download_url",
        "file_size",
        "mime_type",
        "uploaded_at",
        "expires_at",
        "sha256",
        "seconds",
        "retries",
    ]
    assert json.loads(json.dumps(result)) == result
    assert result["method"] == "stream"
    assert result["source"] == str(photo)


def test_a_download_gives_a_json_safe_dict(kie_simulator: KieSimulator, tmp_path: Path) -> None:
    url = kie_simulator.add_generated_file("a.png", b"abc")
    result = execute(KieDownloadOperator(task_id="down", file_url=url, destination=f"{tmp_path}/out/"))
    assert list(result)[:6] == ["file_url", "path", "size", "sha256", "mime_type", "skipped"]
    assert list(result)[6:] == ["verified", "seconds", "retries"]
    assert json.loads(json.dumps(result)) == result
    assert result["path"] == f"{tmp_path}/out/a.png"


@pytest.mark.parametrize("operator", [KieUploadOperator, KieDownloadOperator])
def test_every_argument_is_templated_and_assigned_as_it_came(operator: Any) -> None:
    given = {name: f"{{{{ {name} }}}}" for name in operator.template_fields}
    with DAG("d"):
        task = operator(task_id="t", **given)
    assert {name: getattr(task, name) for name in operator.template_fields} == given
    assert {"source_conn_id", "destination_conn_id"} & set(operator.template_fields)
    assert "kie_conn_id" in operator.template_fields


def test_making_an_operator_touches_no_connection_and_no_network() -> None:
    no: Any = "no"
    with DAG("d"):
        KieUploadOperator(
            task_id="u", source="s3://b/k", upload_path="", source_conn_id="no", kie_conn_id="no"
        )
        KieDownloadOperator(task_id="d", file_url="no url", destination="", sign=no, kie_conn_id="no")
        KieUploadOperator.partial(task_id="m", upload_path="a").expand(source=["s3://b/k"])
        KieDownloadOperator.partial(task_id="n", destination="a/").expand(file_url=["https://e.example/a"])


def test_a_wrong_key_fails_without_retry(
    kie_simulator: KieSimulator, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = kie_simulator.connection().replace(kie_simulator.api_key, "another-key")
    monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", other)
    with pytest.raises(AirflowFailException, match="KieAuthError") as caught:
        execute(KieUploadOperator(task_id="up", source=photo, upload_path="a"))
    assert isinstance(caught.value.__context__, errors.KieAuthError)


@pytest.mark.parametrize("code", [401, 402, 404, 422, 433, 505])
def test_what_no_retry_can_mend_fails_at_once(code: int, kie_simulator: KieSimulator, tmp_path: Path) -> None:
    url = kie_simulator.add_generated_file("a.png", b"abc")
    kie_simulator.fail_next("download-url", code=code)
    with pytest.raises(AirflowFailException) as caught:
        execute(KieDownloadOperator(task_id="down", file_url=url, destination=tmp_path / "a"))
    assert isinstance(caught.value.__context__, errors.KieError)
    assert caught.value.__context__.code == code
    assert len(kie_simulator.requests) == 1


@pytest.mark.parametrize("code", [429, 455, 500])
def test_what_may_pass_is_left_to_airflows_retries(
    code: int, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    url = kie_simulator.add_generated_file("a.png", b"abc")
    kie_simulator.fail_next("download-url", code=code, times=5)
    with pytest.raises(errors.KieError) as caught:
        execute(KieDownloadOperator(task_id="down", file_url=url, destination=tmp_path / "a"))
    assert caught.value.transient
    assert len(kie_simulator.requests) == 5


def test_bad_input_is_a_value_error(kie_simulator: KieSimulator, photo: Path) -> None:
    unknown: Any = "carrier-pigeon"
    with pytest.raises(ValueError, match="auto, stream, url, base64"):
        execute(KieUploadOperator(task_id="up", source=photo, upload_path="a", method=unknown))
    url = "https://e.example/a"
    with pytest.raises(ValueError, match="overwrite, skip, fail"):
        execute(KieDownloadOperator(task_id="d", file_url=url, destination="a", if_exists=unknown))
    with pytest.raises(ValueError, match="auto, always, never"):
        execute(KieDownloadOperator(task_id="d", file_url=url, destination="a", sign=unknown))


def test_an_unusable_connection_fails_without_retry(photo: Path, connect: Callable[..., str]) -> None:
    connect("kie_b", extra={"timeout": "soon"})
    with pytest.raises(AirflowFailException, match="'kie_b', extra 'timeout'"):
        execute(KieUploadOperator(task_id="up", source=photo, upload_path="a", kie_conn_id="kie_b"))


def test_a_connection_that_airflow_does_not_find_leaves_the_task_its_retries(photo: Path) -> None:
    with pytest.raises(errors.KieConnectionNotFoundError, match="'kie_nowhere' does not exist"):
        execute(KieUploadOperator(task_id="up", source=photo, upload_path="a", kie_conn_id="kie_nowhere"))


def test_no_query_is_stored_however_many_urls_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow stores what is rendered up to a length, after masking it."""
    masked: list[str] = []
    monkeypatch.setattr("airflow_provider_kie._rendering.mask_secret", masked.append)
    urls = [f"https://cdn.example/{number}.png?signature-{number:04}" for number in range(2000)]
    with DAG("d"):
        task = KieDownloadOperator(task_id="t", file_url=urls, destination="/tmp/")
    task.render_template_fields({})
    stored = str(urls)
    for query in masked:
        stored = stored.replace(query, "***")
    assert "signature" not in stored[:4096]
    assert len(masked) < 300
