"""The wheel and the sdist: what is in them, and that they are the same whoever builds them."""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from .conftest import ROOT, Dist, build, run

PACKAGE = ROOT / "airflow_provider_kie"


@pytest.fixture(scope="module")
def in_wheel(dist: Dist) -> list[str]:
    return zipfile.ZipFile(dist.wheel).namelist()


@pytest.fixture(scope="module")
def metadata(dist: Dist, in_wheel: list[str]) -> Message:
    (name,) = [name for name in in_wheel if name.endswith(".dist-info/METADATA")]
    return message_from_bytes(zipfile.ZipFile(dist.wheel).read(name))


def test_the_wheel_has_the_package_and_nothing_else(in_wheel: list[str]) -> None:
    files = {
        str(path.relative_to(ROOT)) for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"
    }
    assert {name for name in in_wheel if ".dist-info/" not in name} == files
    assert "airflow_provider_kie/py.typed" in files
    assert [name for name in in_wheel if name.endswith("dist-info/licenses/LICENSE")]


def test_the_sdist_has_what_its_reader_needs(dist: Dist) -> None:
    with tarfile.open(dist.sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers()}
    assert {"LICENSE", "CHANGELOG.md", "README.md", "PKG-INFO", "pyproject.toml"} <= names
    assert {name.partition("/")[0] for name in names if "/" in name} == {
        "airflow_provider_kie",
        "example_dags",
    }


def test_the_metadata_is_what_an_index_takes(dist: Dist, metadata: Message) -> None:
    run(sys.executable, "-m", "twine", "check", "--strict", dist.wheel, dist.sdist)
    classifiers = metadata.get_all("Classifier") or []
    assert "Framework :: Apache Airflow :: Provider" in classifiers
    assert "Typing :: Typed" in classifiers
    assert (metadata["License-Expression"], metadata["Requires-Python"]) == ("Apache-2.0", ">=3.11")
    # Airflow takes the page that it shows from here.
    assert "Documentation, https://docs.kie.ai" in (metadata.get_all("Project-URL") or [])


def test_another_folder_and_another_day_give_the_same_bytes(dist: Dist, tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns(".*", "__pycache__", "docs", "tests", "benchmarks", "requirements")
    copy = shutil.copytree(ROOT, tmp_path / "elsewhere", ignore=ignored)
    shutil.copy(ROOT / ".gitignore", copy)
    for path in copy.rglob("*"):
        os.utime(path, (0x50000000, 0x50000000))
    again = build(copy, tmp_path / "again")
    assert again.wheel.read_bytes() == dist.wheel.read_bytes()
    assert again.sdist.read_bytes() == dist.sdist.read_bytes()


def test_the_wheel_from_the_sdist_is_the_wheel_from_the_tree(dist: Dist, tmp_path: Path) -> None:
    with tarfile.open(dist.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    assert build(unpacked, tmp_path / "again").wheel.read_bytes() == dist.wheel.read_bytes()
