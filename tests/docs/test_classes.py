"""Each class for DAGs has a page: its arguments, what it costs, how it fails, an example that runs."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

from airflow_provider_kie.get_provider_info import get_provider_info

from .pages import DOCS, PAGES, ROOT, included, text_of

KINDS = ("hooks", "operators", "sensors", "triggers")
# Of the triggers only this one is for DAGs; the others are behind operators and sensors.
TRIGGERS = {"KieCreditsEventTrigger"}


def classes() -> list[type]:
    """List the classes that a DAG author imports."""
    info = get_provider_info()
    modules = [module for kind in KINDS for entry in info[kind] for module in entry["python-modules"]]
    modules += [path.rpartition(".")[0] for path in info.get("notifications", [])]
    found = []
    for name in modules:
        module = importlib.import_module(name)
        for value in vars(module).values():
            if inspect.isclass(value) and value.__module__ == name and value.__name__.startswith("Kie"):
                found.append(value)
    return [kind for kind in found if ".triggers." not in kind.__module__ or kind.__name__ in TRIGGERS]


def page_of(kind: type) -> str:
    """Name the page that describes a class."""
    line = f".. autoclass:: {kind.__module__}.{kind.__name__}\n"
    (page,) = [page for page in PAGES if line in text_of(page)]
    return page


def imported(path: Path) -> set[str]:
    """List the names that a file imports."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {name.name for node in nodes if isinstance(node, ast.ImportFrom) for name in node.names}


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_a_class_has_a_page_with_an_example_its_costs_and_its_failures(kind: type) -> None:
    page = page_of(kind)
    examples = [path for path in included(page) if path.suffix == ".py" and kind.__name__ in imported(path)]
    assert examples, f"{page} shows no example of {kind.__name__}"
    run = {DOCS / "examples/howto", ROOT / "example_dags"}
    assert {path.resolve().parent for path in examples} & run
    text = text_of(page)
    if ".notifications." in kind.__module__:
        return  # its failures are lines in a log, and it costs nothing
    assert re.search(
        r"^(What happens on failure|What a failure costs|What each failure costs)$", text, re.MULTILINE
    )
    assert re.search(r"\b(free|costs?|credits)\b", text)


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_a_class_describes_every_parameter_and_what_it_gives(kind: type) -> None:
    doc = inspect.getdoc(kind) or ""
    own = [
        name
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    assert set(own) <= set(re.findall(r":param (\w+):", doc))
    assert ":return:" in doc or kind.__module__.split(".")[1] not in ("operators", "sensors")
