"""What Airflow's lineage is told, and that it can neither fail nor slow what it is told of."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_kie.client.api.records import Job
from airflow_provider_kie.files.results import DownloadedFile
from airflow_provider_kie.hooks import _lineage
from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.simulator import KieSimulator
from tests.memory_storage import attached

try:
    from airflow.sdk import lineage
except ImportError:  # Airflow 3.1
    from airflow.lineage import hook as lineage  # type: ignore[no-redef]


class Collected:
    """What a collector has been told: extras by URI."""

    def __init__(self) -> None:
        self.collector = lineage.HookLineageCollector()

    @property
    def inputs(self) -> dict[str, Any]:
        return {info.asset.uri: dict(info.asset.extra) for info in self.collector.collected_assets.inputs}

    @property
    def outputs(self) -> dict[str, Any]:
        return {info.asset.uri: dict(info.asset.extra) for info in self.collector.collected_assets.outputs}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Collected:
    collected = Collected()
    monkeypatch.setattr(_lineage, "get_lineage_collector", lambda: collected.collector)
    # Airflow's own paths ask here.
    monkeypatch.setattr(lineage, "get_hook_lineage_collector", lambda: collected.collector)
    return collected


def at_kie(url: str) -> str:
    return url.replace("http://", "kie+http://").replace("https://", "kie://")


def test_an_upload_and_a_download_tell_both_sides_once(
    kie_simulator: KieSimulator, told: Collected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = attached(MemoryFileSystem, monkeypatch)
    memory.pipe("/bucket/a.png", b"abc")
    uploaded = KieHook().upload_file("memory://bucket/a.png", "x")
    known = {"size": 3, "sha256": uploaded.sha256}
    assert told.inputs == {"memory://bucket/a.png": known}
    assert told.outputs == {at_kie(uploaded.download_url): known}
    KieHook().download_file(uploaded.download_url, tmp_path / "b.png")
    assert told.inputs == {"memory://bucket/a.png": known, at_kie(uploaded.download_url): known}
    assert told.outputs == {at_kie(uploaded.download_url): known, f"file://{tmp_path}/b.png": known}


def test_a_job_tells_what_it_was_given_and_what_it_made(kie_simulator: KieSimulator, told: Collected) -> None:
    given = "https://someone:secret@cdn.example:8443/in/a.png?X-Signature=secret#x"
    input = {
        "prompt": "see https://e.example",
        "image_urls": [given],
        "deep": {"mask": "https://e.example/m"},
    }
    job = Job("job-1", model="m", credits=5.0, urls=["https://cdn.example/out/a.mp4?token=secret"])
    KieHook().report_lineage(job, input)
    assert told.inputs == {"kie://cdn.example:8443/in/a.png": {}, "kie://e.example/m": {}}
    assert told.outputs == {"kie://cdn.example/out/a.mp4": {"job_id": "job-1", "model": "m", "credits": 5.0}}


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("/in/a b.png", "file:///in/a b.png"),
        ("/in/a#b?c.png", "file:///in/a%23b%3Fc.png"),
        ("/in/\u6587.png", "file:///in/\u6587.png"),
        ("file:///in/../a.png", "file:///a.png"),
        ("a.png", f"file://{os.getcwd()}/a.png"),
        ("s3://conn@bucket/in/a.png", "s3://bucket/in/a.png"),
        ("s3a://bucket/a#1.png", "s3://bucket/a%231.png"),
        ("gcs://bucket/a.png", "gs://bucket/a.png"),
    ],
)
def test_a_file_has_the_name_that_airflow_gives_it(told: Collected, path: str, uri: str) -> None:
    _lineage.report_moved(KieHook(), [DownloadedFile("https://e.example/a", path, 1, "0", None, False)])
    assert list(told.outputs) == [uri]


def test_many_files_are_told_by_their_folders(told: Collected) -> None:
    moved = [
        DownloadedFile(
            f"https://e.example/in/{number}.png", f"s3://bucket/{number % 2}/x.png", 10, "0", None, False
        )
        for number in range(10_000)
    ]
    _lineage.report_moved(KieHook(), moved)
    assert told.inputs == {"kie://e.example/in": {"files": 10_000, "size": 100_000}}
    assert told.outputs == {f"s3://bucket/{number}": {"files": 5_000, "size": 50_000} for number in range(2)}


def test_what_was_skipped_is_not_told(told: Collected) -> None:
    _lineage.report_moved(KieHook(), [DownloadedFile("https://e.example/a", "/a", 1, None, None, True)])
    assert not told.collector.has_collected


def test_a_path_that_is_too_long_for_airflow_does_not_hide_the_others(told: Collected) -> None:
    moved = [
        DownloadedFile("https://e.example/a", path, 1, "0", None, False) for path in ("/" + "a" * 2000, "/b")
    ]
    _lineage.report_moved(KieHook(), moved)
    assert list(told.outputs) == ["file:///b"]


def test_lineage_that_fails_fails_nothing(
    kie_simulator: KieSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("no lineage today")

    monkeypatch.setattr(_lineage, "get_lineage_collector", broken)
    (tmp_path / "a.png").write_bytes(b"abc")
    assert KieHook().upload_file(tmp_path / "a.png", "x").file_size == 3
    KieHook().report_lineage(Job("job-1", urls=["https://cdn.example/a"]))
    KieHook().report_lineage(Job("job-1", urls=["no url", 3]))  # type: ignore[list-item]


def test_where_no_plugin_reads_it_no_other_provider_is_loaded() -> None:
    code = """
        import sys
        from airflow_provider_kie.files.results import DownloadedFile
        from airflow_provider_kie.hooks._lineage import report_moved
        from airflow_provider_kie.hooks.kie import KieHook

        report_moved(KieHook(), [DownloadedFile("https://e.example/a", "/a", 1, "0", None, False)])
        print([name for name in sys.modules if name.startswith("airflow.providers.amazon.aws")])
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    environment = {**os.environ, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert told.stdout.splitlines()[-1] == "[]"
