"""Where a file names the latest Airflow, or the environment that has it, it names the one that is pinned."""

from __future__ import annotations

import re

import pytest

from .pages import README, ROOT

LATEST = re.findall(r"^LATEST := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[0]
PINNED = {
    path.stem.removeprefix("airflow-"): re.findall(r"^apache-airflow==(.+)$", path.read_text(), re.MULTILINE)
    for path in (ROOT / "requirements").glob("airflow-*.in")
}


@pytest.mark.parametrize("name", ["README", "docs/quickstart", "docs/install", "docs/openai", "docs/scaling"])
def test_the_latest_airflow_is_the_pinned_one(name: str) -> None:
    path = ROOT / (f"{name}.md" if name == "README" else f"{name}.rst")
    assert set(re.findall(rf"\b{re.escape(LATEST)}\.\w+", path.read_text())) == set(PINNED[LATEST])


def test_the_readme_names_every_airflow_of_the_matrix() -> None:
    [named] = re.findall(r"demo on Airflow (.+?), each on", " ".join(README.split()))
    assert re.split(", | and ", named) == [pin for version in sorted(PINNED) for pin in PINNED[version]]


@pytest.mark.parametrize(
    "name",
    [
        ".pre-commit-config.yaml",
        "CONTRIBUTING.md",
        "README.md",
        "benchmarks/README.md",
        "tests/dist/conftest.py",
    ],
)
def test_the_environment_of_the_latest_airflow_is_the_one_that_make_installs(name: str) -> None:
    named = re.findall(r"(?:\.venv-|airflow-)(\d\.\d+)\b", (ROOT / name).read_text())
    assert set(named) == {LATEST}
