"""Every block of code on the pages and in the README can be copied as it is."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys

import pytest

from airflow_provider_kie.hooks.kie import KieHook

from .pages import DOCS, PAGES, blocks, included, readme_blocks, text_of

# Pages whose blocks go on from each other; their own tests take them from there and run them in order.
TESTED_ELSEWHERE = {"openai.rst": "tests/contract/openai_page.py", "testing.rst": "make docs-example"}
SHOWN = sorted(
    {
        path
        for page in PAGES
        if page not in TESTED_ELSEWHERE
        for path in included(page)
        if path.suffix == ".py"
    }
)
CODE = {path.name: path.read_text() for path in SHOWN} | {
    f"{page}:{number}": block
    for page in PAGES
    if page not in TESTED_ELSEWHERE
    for number, block in enumerate(blocks(page, "python"))
}
SHELL = {f"{page}:{number}": block for page in PAGES for number, block in enumerate(blocks(page, "bash"))}


def test_what_is_shown_is_whole_and_without_marks() -> None:
    for page in set(PAGES) - set(TESTED_ELSEWHERE):
        assert not re.search(r":(start|end|lines|pyobject)[a-z-]*:", text_of(page)), page
    assert [path for path in SHOWN if "[START" in path.read_text()] == []


@pytest.mark.parametrize("name", CODE)
def test_what_a_block_imports_is_there(name: str) -> None:
    for node in ast.walk(ast.parse(CODE[name])):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module or "")
            assert [name.name for name in node.names if not hasattr(module, name.name)] == []


@pytest.mark.parametrize("name", CODE)
def test_a_block_has_no_undefined_names(name: str) -> None:
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select=F821", "-"]
    checked = subprocess.run(command, input=CODE[name], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", SHELL)
def test_a_block_for_a_shell_can_be_read_by_one(name: str) -> None:
    subprocess.run(["bash", "-n"], input=SHELL[name], text=True, check=True)


def test_the_readmes_first_dag_is_the_one_that_is_tested() -> None:
    assert readme_blocks("python") == [(DOCS / "examples/howto/first.py").read_text()]


EXPORTS = [
    (page, found)
    for page in PAGES
    for block in blocks(page, "bash")
    for found in re.findall(r"^export AIRFLOW_CONN_\w+='.+?'$", block, re.MULTILINE | re.DOTALL)
    if '"kie"' in found or "kie://" in found
]


@pytest.mark.parametrize(("page", "export"), EXPORTS)
def test_a_connection_that_is_shown_can_be_pasted(
    page: str, export: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = export.replace("<API key>", "a-key").replace("<", "").replace(">", "") + "; env -0"
    environment = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    (variable,) = [
        line
        for line in environment.split("\0")
        if line.partition("=")[0] not in os.environ and "CONN" in line
    ]
    name, _, value = variable.partition("=")
    monkeypatch.setenv(name, value)
    with KieHook(name.removeprefix("AIRFLOW_CONN_").lower()).get_conn() as client:
        assert client.settings.api_key == "a-key"
