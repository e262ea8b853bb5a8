"""The wheel at work in an environment that has Airflow and what the package declares."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_provider_kie import __version__
from airflow_provider_kie.get_provider_info import get_provider_info

Run = Callable[..., str]
NAME = "airflow-provider-kie"

TEST = """
from airflow_provider_kie.hooks.kie import KieHook

def test_the_balance(kie_simulator):
    assert KieHook().get_credits() == 100
"""


def listed(installed: Run, *command: str) -> list[dict[str, Any]]:
    printed = installed("airflow", "providers", *command, "--output", "json")
    rows: list[dict[str, Any]] = json.loads(printed[printed.index("[") :])
    return rows


def test_what_it_needs_is_there(installed: Run) -> None:
    installed("python", "-m", "pip", "check")


def test_airflow_lists_it(installed: Run) -> None:
    (row,) = [row for row in listed(installed, "list") if row["package_name"] == NAME]
    assert row["version"] == __version__
    assert "kie.ai" in row["description"]


def test_airflow_describes_it(installed: Run) -> None:
    printed = installed("airflow", "providers", "get", NAME, "--full", "--output", "json")
    (info,) = json.loads(printed[printed.index("[") :])
    assert info["package-name"] == NAME
    assert info["description"] == get_provider_info()["description"].rstrip(".")


def test_airflow_finds_its_hook_and_its_form(installed: Run) -> None:
    (hook,) = [row for row in listed(installed, "hooks") if row["connection_type"] == "kie"]
    assert hook["class"] == "airflow_provider_kie.hooks.kie.KieHook"
    fields = {
        row["connection_parameter_name"]
        for row in listed(installed, "widgets")
        if row["class"] == "airflow_provider_kie.hooks.kie.KieHook"
    }
    assert fields == {
        f"extra__kie__{name}" for name in get_provider_info()["connection-types"][0]["conn-fields"]
    }


def test_the_simulator_starts_in_a_shell(installed: Run) -> None:
    assert "usage" in installed("python", "-m", "airflow_provider_kie.simulator", "--help")


def test_users_tests_have_the_fixture(installed: Run, tmp_path: Path) -> None:
    (tmp_path / "test_user.py").write_text(TEST)
    assert "1 passed" in installed("python", "-m", "pytest", "-q", "-W", "error", tmp_path)


def test_importing_its_classes_brings_no_deprecation(installed: Run) -> None:
    info = get_provider_info()
    kinds = ("hooks", "operators", "sensors", "triggers")
    modules = [module for kind in kinds for module in info[kind][0]["python-modules"]]
    # Airflow's own come first, and are Airflow's.
    code = "import warnings, airflow.sdk, airflow.triggers.base; warnings.simplefilter('error', DeprecationWarning)"
    installed("python", "-c", f"{code}; import {', '.join(modules)}")
