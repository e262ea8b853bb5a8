"""docs/openai.rst, as its readers would use it: the connections, the code, the table of faults."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

from airflow_provider_kie.simulator import KieSimulator

MODEL = "gemini-2.5-flash"
PAGE = (Path(__file__).parents[2] / "docs" / "openai.rst").read_text()
_BLOCK = re.compile(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", re.MULTILINE)
_ROW = re.compile(r"^   \* - (.+)\n     - (.+)\n     - (.+)\n", re.MULTILINE)


def here(text: str, kie: KieSimulator) -> str:
    """Put the simulator and its key in the place of kie.ai and the reader's."""
    return text.replace("https://api.kie.ai", kie.api_url).replace("<API key>", kie.api_key)


def connection(name: str, kie: KieSimulator) -> str:
    """Give the value of a variable that the page exports."""
    found = re.search(rf"export {name}='(.+?)'", PAGE, re.DOTALL)
    assert found, f"the page does not export {name}"
    return here(found[1], kie)


def run(having: str, kie: KieSimulator) -> dict[str, Any]:
    """Run the block of code with a certain text in it, and give the names that it leaves behind."""
    [code] = [block for block in _BLOCK.findall(PAGE) if having in block]
    names: dict[str, Any] = {"__name__": "page"}
    exec(here(dedent(code), kie), names)
    return names


def faults() -> dict[str, tuple[str, str]]:
    """Give the table: what happens, what OpenAI's SDK makes of it, and what KieHook does."""
    [_, *rows] = _ROW.findall(PAGE)
    return {fault: (sdk, hook) for fault, sdk, hook in rows}
