"""What Airflow asks of the constructors of operators and sensors, as its own providers are checked for it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from typing import Any

import pytest

from airflow_provider_kie._compat import conf
from tests.structure.classes import PACKAGE, classes_of

TASKS = classes_of("operators", "sensors")
TRIGGERS = {trigger.__name__: trigger for trigger in classes_of("triggers")}
each_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.__name__)


@cache
def own_parameters(task: type) -> dict[str, inspect.Parameter]:
    """Give what a constructor takes beside what the base class does."""
    taken = inspect.signature(inspect.unwrap(vars(task)["__init__"])).parameters
    return {name: parameter for name, parameter in taken.items() if name not in ("self", "kwargs")}


def constructor(task: type) -> ast.FunctionDef:
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(vars(task)["__init__"])))
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    return function


@each_task
def test_a_constructor_assigns_each_argument_as_it_is_and_looks_at_none(task: type) -> None:
    assignments = {f"self.{name} = {name}" for name in own_parameters(task)}
    others = [statement for statement in constructor(task).body if ast.unparse(statement) not in assignments]
    assert len(others) + len(assignments) == len(constructor(task).body)
    names = {node.id for other in others for node in ast.walk(other) if isinstance(node, ast.Name)}
    assert names & own_parameters(task).keys() == set()


@each_task
def test_template_fields_are_arguments(task: Any) -> None:
    assert set(task.template_fields) <= set(own_parameters(task))
    assert {name.partition(".")[0] for name in task.template_fields_renderers} <= set(task.template_fields)


@each_task
def test_connection_ids_are_templated(task: Any) -> None:
    ids = {name for name in own_parameters(task) if name.endswith("conn_id")}
    assert "kie_conn_id" in ids
    assert ids <= set(task.template_fields)


@each_task
def test_deferrable_is_airflows_setting_by_default(task: type) -> None:
    if "deferrable" not in own_parameters(task):
        return
    defaults = {
        argument.arg: default
        for argument, default in zip(
            constructor(task).args.kwonlyargs, constructor(task).args.kw_defaults, strict=True
        )
    }
    shown = ast.unparse(defaults["deferrable"])  # type: ignore[arg-type]
    assert shown == "conf.getboolean('operators', 'default_deferrable', fallback=False)"
    assert own_parameters(task)["deferrable"].default is conf.getboolean("operators", "default_deferrable")


def made_triggers() -> list[Any]:
    """Find where operators and sensors make triggers, and what they give them."""
    found = []
    for path in [*(PACKAGE / "operators").glob("*.py"), *(PACKAGE / "sensors").glob("*.py")]:
        for makes in ast.walk(ast.parse(path.read_text())):
            if isinstance(makes, ast.ClassDef):
                found += [
                    pytest.param(makes.name, call, id=f"{makes.name}-{call.func.id}")
                    for call in ast.walk(makes)
                    if isinstance(call, ast.Call)
                    and isinstance(call.func, ast.Name)
                    and call.func.id in TRIGGERS
                ]
    return found


@pytest.mark.parametrize(("name", "call"), made_triggers())
def test_a_trigger_gets_all_that_its_task_was_given(name: str, call: ast.Call) -> None:
    assert isinstance(call.func, ast.Name)
    (task,) = [task for task in TASKS if task.__name__ == name]
    takes = inspect.signature(TRIGGERS[call.func.id].__init__).parameters
    positional = [parameter for parameter in takes if parameter != "self"][: len(call.args)]
    given = {*positional, *(keyword.arg for keyword in call.keywords)}
    offered = {parameter for base in task.__mro__[:-1] for parameter in parameters_of(base)}
    assert takes.keys() & offered <= given


def parameters_of(base: type) -> set[str]:
    constructor = vars(base).get("__init__")
    return set(inspect.signature(inspect.unwrap(constructor)).parameters) - {"self"} if constructor else set()


def test_every_deferrable_task_is_looked_at() -> None:
    deferrable = {task.__name__ for task in TASKS if "deferrable" in own_parameters(task)}
    assert {param.values[0] for param in made_triggers()} == deferrable
