"""What the provider offers to DAGs: its public modules and their classes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import airflow_provider_kie

PACKAGE = Path(airflow_provider_kie.__file__).parent
ROOT = PACKAGE.parent
# Of hooks, what settings.py has is read by the hook, not by DAGs.
_NOT_FOR_DAGS = {"airflow_provider_kie.hooks.settings"}


def modules_of(kind: str) -> list[str]:
    """Name the public modules of ``operators``, ``sensors``, ...; none if there is no such package."""
    name = f"airflow_provider_kie.{kind}"
    if find_spec(name) is None:
        return []
    public = [module.name for module in pkgutil.iter_modules(importlib.import_module(name).__path__)]
    return sorted({f"{name}.{module}" for module in public if module[0] != "_"} - _NOT_FOR_DAGS)


def classes_of(*kinds: str) -> list[Any]:
    """Give the public classes that these modules define."""
    return [
        value
        for kind in kinds
        for module in modules_of(kind)
        for name, value in sorted(vars(importlib.import_module(module)).items())
        if inspect.isclass(value) and value.__module__ == module and not name.startswith("_")
    ]
