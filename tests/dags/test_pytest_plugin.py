"""The pytest plugin in projects of others: pytest in a process of its own, as their authors start it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "docs" / "examples"
SETTINGS = "[pytest]\nasyncio_default_fixture_loop_scope = function\n"

RunPytest = Callable[..., str]


def run_python(*arguments: str, home: Path, fails: bool = False) -> str:
    """Run Python in a user's shell, where ``AIRFLOW_HOME`` is the one that they work with."""
    ours = ("AIRFLOW_", "PYTEST_")
    shell = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = os.pathsep.join(filter(None, [str(ROOT), shell.get("PYTHONPATH")]))
    shell |= {"PYTHONPATH": path, "AIRFLOW_HOME": str(home), "TMPDIR": str(home.parent / "tmp")}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=home.parent, env=shell, capture_output=True, text=True)
    printed = done.stdout + done.stderr
    assert (done.returncode != 0) is fails, printed
    return printed


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the documentation's DAG, and with no test yet."""
    shutil.copytree(EXAMPLES / "dags", tmp_path / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    (tmp_path / "tmp").mkdir()
    return tmp_path


@pytest.fixture
def run_pytest(project: Path) -> RunPytest:
    def run(*options: str, fails: bool = False, **files: str) -> str:
        for name, text in files.items():
            (project / f"{name}.py").write_text(dedent(text))
        return run_python("-m", "pytest", "-rA", *options, home=project / "home", fails=fails)

    return run


def test_the_recipe_passes_in_a_strict_project_and_leaves_nothing_behind(
    project: Path, run_pytest: RunPytest
) -> None:
    (project / "pytest.ini").write_text(SETTINGS + "filterwarnings = error")
    options = ["--numprocesses=2", "--import-mode=importlib", "-p", "no:cacheprovider"]
    printed = run_pytest(*options, test_my_dag=(EXAMPLES / "test_my_dag.py").read_text())
    assert re.search(r"=+ 3 passed in ", printed), printed
    assert not (project / "home").exists()
    assert [path.name for path in (project / "tmp").iterdir() if "pytest-of" not in path.name] == []


def test_what_a_user_has_stays_as_it_is(project: Path, run_pytest: RunPytest) -> None:
    home = project / "home"
    home.mkdir()
    (home / "airflow.cfg").write_text(f"[database]\nsql_alchemy_conn = sqlite:///{home}/real.db\n")
    print(run_python("-c", "from airflow.utils.db import upgradedb; upgradedb()", home=home))
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    assert home / "real.db" in before

    printed = run_pytest(
        fails=True,
        conftest="from airflow.sdk import DAG",
        test_it="""
            from airflow.models import Variable

            def test_theirs():
                assert Variable.get("whose", "nobody's") == "nobody's"

            def test_ours(kie_simulator, kie_run_dag):
                Variable.set("whose", "ours")
                run = kie_run_dag("dags/my_dag.py", conf={"source": "/not/there.png"})
                assert run.state == "success"

            def test_theirs_again():
                test_theirs()
        """,
    )
    assert " 1 failed, 2 passed in " in printed, printed
    assert re.search(r"Captured kie_run_dag call -+\n<my_dag failed; upload: .*/not/there.png", printed)
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


def test_the_missing_extra_is_named_where_the_simulator_is_wanted(run_pytest: RunPytest) -> None:
    printed = run_pytest(
        fails=True,
        conftest="""
            import sys

            sys.modules["python_multipart"] = None
        """,
        test_it="""
            def test_with(kie_simulator):
                pass

            def test_without():
                pass
        """,
    )
    assert "pip install 'airflow-provider-kie[simulator]'" in printed, printed
    assert re.search(r" 1 passed, .*1 error in ", printed)


def test_a_session_that_wants_none_of_it_pays_for_three_small_modules(project: Path) -> None:
    plugin = "airflow_provider_kie.testing.pytest_plugin"
    code = (
        f"import sys, pytest; before = set(sys.modules); import {plugin}; print(*set(sys.modules) - before)"
    )
    printed = run_python("-c", code, home=project / "home")
    assert set(printed.split()) == {plugin, "airflow_provider_kie", "airflow_provider_kie.testing"}
