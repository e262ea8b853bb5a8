"""What is wrong with the URL of an object storage, said before anything moves."""

from __future__ import annotations

import asyncio
import sys
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach, has_fs
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_kie.client.errors import KieCancelledError
from airflow_provider_kie.files.local import Unfinished
from airflow_provider_kie.files.storage import open_source, open_target
from tests.memory_storage import attached


def open_as_target(location: Any) -> object:
    return open_target(location, None, "a.png")


both = pytest.mark.parametrize("look", [open_source, open_as_target], ids=["source", "destination"])
Look = Callable[[Any], object]


@pytest.fixture(autouse=True)
def _memory(monkeypatch: pytest.MonkeyPatch) -> None:
    attached(MemoryFileSystem, monkeypatch)


@both
@pytest.mark.parametrize(
    "url",
    ["memory://b/a.png\n", "memory://b/a\nb.png", "s3://b/a\r.png", "s3://b\t/a", "s3://b/\x85", "s3://b/\0"],
)
def test_a_control_character_is_refused_rather_than_dropped(look: Look, url: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        look(url)


@both
def test_a_control_character_is_refused_in_a_path_too(look: Look) -> None:
    with pytest.raises(ValueError, match="control character"):
        look(ObjectStoragePath("memory://bucket") / "a\nb.png")


@both
def test_a_key_that_is_no_utf_8_is_refused(look: Look) -> None:
    with pytest.raises(ValueError, match=r"udce9.* no valid UTF-8") as caught:
        look("memory://bucket/caf\udce9.png")
    str(caught.value).encode()


@both
@pytest.mark.parametrize(
    "url", ["s3://", "s3:///", "s3:///a.png", "s3a://", "gs://", "gs:///a.png", "s3://aws_default@"]
)
def test_a_url_without_a_bucket_is_refused(look: Look, url: str) -> None:
    with pytest.raises(ValueError, match=r"names no bucket: write .*://bucket/key"):
        look(url)


@both
@pytest.mark.parametrize(
    ("scheme", "provider", "extra"),
    [
        ("gs", "apache-airflow-providers-google", "gs"),
        ("gcs", "apache-airflow-providers-google", "gs"),
        ("abfs", "apache-airflow-providers-microsoft-azure", "abfs"),
        ("abfss", "apache-airflow-providers-microsoft-azure", "abfs"),
        ("adl", "apache-airflow-providers-microsoft-azure", "abfs"),
    ],
)
def test_a_missing_provider_is_named(look: Look, scheme: str, provider: str, extra: str) -> None:
    if has_fs(scheme):
        pytest.skip("the provider is here")
    advice = rf"{scheme}:// comes with {provider}: pip install 'airflow-provider-kie\[{extra}\]'"
    with pytest.raises(ValueError, match=rf"{scheme}://bucket/a.png: .*{advice}"):
        look(f"{scheme}://bucket/a.png")
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"][extra] == [provider]


@both
def test_a_provider_without_its_library_says_what_to_install(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ValueError, match=r"s3://bucket/a\.png: .*apache-airflow-providers-amazon\[s3fs\]"):
        look("s3://bucket/a.png")
    with pytest.raises(ValueError, match=r"pip install 'airflow-provider-kie\[s3\]'"):
        look("s3://bucket/a.png")


@both
def test_an_unknown_storage_is_named(look: Look) -> None:
    with pytest.raises(ValueError, match=r"nowhere://bucket/a\.png: .*nowhere"):
        look("nowhere://bucket/a.png")


def test_an_attached_storage_needs_no_provider() -> None:
    attach(protocol="gs", fs=MemoryFileSystem())
    assert str(open_target("gs://bucket/a.png", None, "x")) == "gs://bucket/a.png"


def test_a_bucket_is_a_folder_even_if_nobody_may_look(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    attach(protocol="gs", fs=MemoryFileSystem())
    monkeypatch.setattr(MemoryFileSystem, "isdir", refuse)
    assert str(open_target("gs://bucket", None, "a.png")) == "gs://bucket/a.png"
    assert str(open_target("gs://bucket/out", None, "a.png")) == "gs://bucket/out"
    assert str(open_target("gs://bucket/out/", None, "a.png")) == "gs://bucket/out/a.png"


class Slow(AsyncFileSystem):
    """A storage like Google's and Azure's: what it does runs on fsspec's event loop."""

    cachable = False

    def __init__(self, seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seconds = seconds
        self.begun = threading.Event()
        self.ended = threading.Event()
        self.objects: dict[str, bytes] = {}

    async def _put_file(self, lpath: Any, rpath: Any, mode: Any = "overwrite", **kwargs: Any) -> None:
        self.begun.set()
        try:
            await asyncio.sleep(self.seconds)
            self.objects[rpath] = Path(lpath).read_bytes()
        finally:
            self.ended.set()

    async def _info(self, path: Any, **kwargs: Any) -> Any:
        raise FileNotFoundError(path)


def test_a_storage_with_an_event_loop_gets_the_object() -> None:
    fs = Slow(0.2)
    attach(protocol="gs", fs=fs)
    with open_target("gs://bucket/a.png", None, "x").writing() as sink:
        sink.write(b"new")
    assert fs.objects == {"bucket/a.png": b"new"}


def test_a_storage_with_an_event_loop_is_stopped_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fs = Slow(60)
    attach(protocol="gs", fs=fs)

    def check_running() -> None:
        if fs.begun.is_set():
            raise KieCancelledError("stopped")

    with (
        pytest.raises(KieCancelledError),
        open_target("gs://bucket/a.png", None, "x").writing(Unfinished(check_running)) as sink,
    ):
        sink.write(b"new")
    assert fs.ended.wait(10)
    assert fs.objects == {}
    assert list(tmp_path.iterdir()) == []
