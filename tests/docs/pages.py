"""The documentation's sources, as far as the tests have to read them."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.rst"))
README = (ROOT / "README.md").read_text()

_BLOCK = r"^( *)\.\. code-block:: {language}\n\n((?:\1   .*\n|\n)+)"
_TABLE = re.compile(r"^\.\. list-table::.*\n(?:   :.*\n)*\n((?:   .*\n|\n)+)", re.MULTILINE)


def text_of(page: str) -> str:
    """Give the source of a page."""
    return (DOCS / page).read_text()


def blocks(page: str, language: str) -> list[str]:
    """List a page's blocks of code that are written into it."""
    pattern = re.compile(_BLOCK.format(language=language), re.MULTILINE)
    return [dedent(block) for _, block in pattern.findall(text_of(page))]


def readme_blocks(language: str) -> list[str]:
    """List the README's blocks of code."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def included(page: str) -> list[Path]:
    """List the files that a page shows."""
    shown = re.findall(r"^ *\.\. literalinclude:: (\S+)", text_of(page), re.MULTILINE)
    return [DOCS / path.lstrip("/") for path in shown]


def table(page: str, heading: str) -> list[list[str]]:
    """Give the rows of a list-table, but for the first one, which begins with a heading."""
    for found in _TABLE.findall(text_of(page)):
        lines = re.split(r"^   \* - ", found, flags=re.MULTILINE)[1:]
        rows = [
            [" ".join(cell.split()) for cell in re.split(r"^     - ?", line, flags=re.MULTILINE)]
            for line in lines
        ]
        if rows[0][0] == heading:
            return rows[1:]
    raise LookupError(f"{page} has no table that begins with {heading!r}")


def literals(text: str) -> list[str]:
    """List what stands between double backticks."""
    return [" ".join(literal.split()) for literal in re.findall(r"``(.+?)``", text, re.DOTALL)]
