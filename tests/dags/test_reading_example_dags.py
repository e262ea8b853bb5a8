"""What holds for every example: what reading it does, and what it must not take from a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent.parent / "example_dags").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_is_read_and_stored_without_looking_up_a_connection(
    load_dag: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("a connection was looked up")

    for name in ("get_connection", "aget_connection"):
        monkeypatch.setattr(f"airflow.sdk.BaseHook.{name}", refuse)
    monkeypatch.setattr("airflow.sdk.Connection.get", refuse)
    dag = load_dag(path.stem)
    assert dag.tags == {"kie"}
    assert dag.catchup is False


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_asks_nothing_of_a_run_that_a_run_without_a_logical_date_lacks(path: Path) -> None:
    templates = " ".join(re.findall(r"{{.*?}}", path.read_text()))
    lacking = r"\b(ds\w*|ts\w*|logical_date|data_interval_\w+|prev_\w+|next_\w+|yesterday_\w+|tomorrow_\w+)\b"
    assert re.findall(lacking, templates) == []


def test_the_readmes_dag_is_one(load_dag: Callable[..., Any]) -> None:
    (code,) = re.findall(
        r"```python\n(.*?)```", (EXAMPLES[0].parents[1] / "README.md").read_text(), re.DOTALL
    )
    names: dict[str, Any] = {}
    exec(code, names)
    dag = load_dag(names["fetch"].dag)
    assert [task.task_id for task in dag.topological_sort()] == ["wait", "upload", "generate", "fetch"]
