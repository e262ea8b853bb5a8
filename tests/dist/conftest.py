"""What is published, built twice, and an environment that has it beside nothing but Airflow."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PINS = ROOT / "requirements/airflow-3.3.txt"


def run(*command: str | Path, cwd: Path = ROOT, **variables: str) -> str:
    """Run a command, which must succeed; give what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Dist:
    """A wheel and an sdist."""

    wheel: Path
    sdist: Path


def build(source: Path, folder: Path) -> Dist:
    """Build both from the tree, or from an unpacked sdist."""
    run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "--wheel", "--outdir", folder, source)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Dist(wheel, sdist)


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Dist:
    """Give what is published."""
    return build(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def installed(dist: Dist, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Install the wheel where there is nothing; give what runs a program there, away from the tree."""
    home = tmp_path_factory.mktemp("home")
    venv = home / "venv"
    run(sys.executable, "-m", "venv", venv)
    # As a user with Airflow's constraints would; pytest is for the fixture.
    wanted = [f"{dist.wheel}[simulator]", "apache-airflow", "pytest", "--constraint", str(PINS)]
    uv = Path(sys.executable).with_name("uv")
    try:
        run(uv, "pip", "install", "--quiet", "--python", venv / "bin/python", *wanted)
    except (AssertionError, FileNotFoundError):  # pip knows mirrors that uv does not
        run(venv / "bin/pip", "install", "--quiet", *wanted)

    def run_there(program: str, *arguments: str | Path) -> str:
        return run(venv / "bin" / program, *arguments, cwd=home, AIRFLOW_HOME=str(home / "airflow"))

    return run_there
