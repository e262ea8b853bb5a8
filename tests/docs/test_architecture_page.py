"""The architecture page lists every module of the provider, and no other."""

from __future__ import annotations

import re

from .pages import ROOT, blocks

PACKAGE = ROOT / "airflow_provider_kie"
# Its modules are its own affair: nothing of the provider's imports them.
LISTED_AS_A_WHOLE = "simulator"


def listed() -> set[str]:
    """Read the modules from the page's list: names, two spaces, what for; packages end with a slash."""
    [block] = [text for text in blocks("architecture.rst", "text") if "decisions/" in text]
    above: list[str] = []
    found = set()
    for line in block.splitlines():
        indent, names = re.findall(r"^( *)(\S*(?: \S+)*)", line)[0]
        above[len(indent) // 2 :] = []
        for name in names.split():
            if name.endswith("/"):
                above.append(name.removesuffix("/"))
            else:
                found.add("/".join([*above, name]))
    return found


def test_the_list_names_every_module_that_is_there_and_no_other() -> None:
    paths = (path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py"))
    modules = {path.as_posix() for path in paths if path.name != "__init__"}
    assert listed() == {name for name in modules if not name.startswith(f"{LISTED_AS_A_WHOLE}/")}
