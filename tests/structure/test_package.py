"""What the package declares, and what its source must not contain."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.structure.classes import PACKAGE, ROOT, modules_of

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = sorted((ROOT / "requirements").glob("*.txt"))
# pytest reads the plugin, OpenLineage asks for assets, the form of Airflow 3.1 brings WTForms, or a stand-in;
# the log of a DAG run is that of the Airflow that is there.
OF_WHOEVER_CALLS = {"openlineage", "pytest", "structlog", "wtforms"}


def declared(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~ ;]", requirement)[0] for requirement in requirements}


def imported(tree: ast.AST) -> set[str]:
    """Give the packages that are imported other than for types."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
        found |= imported(node)
    return found


def third_party(paths: list[Path]) -> set[str]:
    """Give the distributions that these modules import."""
    names = {name for path in paths for name in imported(ast.parse(path.read_text()))}
    names -= {"airflow", "airflow_provider_kie", *sys.stdlib_module_names, *OF_WHOEVER_CALLS}
    # The distribution python-multipart has a module multipart, which another has, too.
    known = {**packages_distributions(), "python_multipart": ["python-multipart"]}
    return {known[name][0].lower() for name in names}


def test_all_that_is_imported_is_declared_and_all_that_is_declared_is_imported() -> None:
    simulator = [path for name in ("simulator", "testing") for path in (PACKAGE / name).rglob("*.py")]
    rest = [path for path in PACKAGE.rglob("*.py") if path not in simulator]
    needed = declared(PROJECT["dependencies"]) - {"apache-airflow"}
    assert third_party(rest) == needed
    assert third_party(simulator) - needed == declared(PROJECT["optional-dependencies"]["simulator"])


def test_the_lowest_declared_versions_are_those_that_are_tested() -> None:
    pins = [(ROOT / f"requirements/{name}.txt").read_text() for name in ("airflow-3.1", "lowest")]
    pinned = dict(re.findall(r"^([\w.-]+)==([\d.]+)", "\n".join(pins), re.MULTILINE))
    for requirement in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["simulator"]]:
        name, floor = re.findall(r"^([\w-]+)>=([\d.]+)", requirement)[0]
        assert re.fullmatch(rf"{re.escape(floor)}(\.0)*", pinned[name]), requirement


@pytest.mark.parametrize("pins", PINS, ids=lambda path: path.stem)
def test_pins_are_names_and_versions_and_nothing_else(pins: Path) -> None:
    pin = re.compile(r"[a-z0-9.-]+(\[[a-z0-9,-]+\])?==[0-9][\w.!+]*( ; [\w\s.*'<>=!()]+)?")
    assert [line for line in pins.read_text().splitlines() if not pin.fullmatch(line)] == []


def test_no_error_is_a_bare_airflow_exception() -> None:
    raised = re.compile(r"raise AirflowException\b")
    assert [path for path in PACKAGE.rglob("*.py") if raised.search(path.read_text())] == []


def test_no_module_for_dags_uses_what_airflow_deprecates() -> None:
    kinds = ("hooks", "operators", "sensors", "triggers", "notifications")
    modules = [module for kind in kinds for module in modules_of(kind)]
    # Airflow's own deprecations, of what it imports itself, are over by then.
    code = (
        "import warnings, airflow.sdk, airflow.triggers.base, airflow.providers.standard.operators.branch;"
        f"warnings.simplefilter('error', DeprecationWarning); import {', '.join(modules)}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
