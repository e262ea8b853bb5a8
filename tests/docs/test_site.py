"""The built pages: every link leads somewhere, and the search finds what a reader looks for."""

from __future__ import annotations

import fcntl
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from .pages import DOCS, ROOT

pytest.importorskip("sphinx_copybutton", reason="the documentation is not built in this environment")

# Nothing else is asked whether it is there: no test needs the internet.
HOSTS = {
    "airflow.apache.org",
    "docs.kie.ai",
    "github.com",
    "kie.ai",
    "pradyunsg.me",
    "www.sphinx-doc.org",
}


class Page(HTMLParser):
    """What a page links to, and what can be linked to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name == "id" and value:
                self.anchors.add(value)
            elif value and (name, tag) in {
                ("href", "a"),
                ("href", "link"),
                ("src", "img"),
                ("src", "script"),
            }:
                self.links.append(value)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Build the pages, once for all workers of pytest-xdist."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "site"
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "index.html").exists():
            command = ["-m", "sphinx", "--fail-on-warning", "--quiet", str(DOCS), str(folder)]
            subprocess.run([sys.executable, *command], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[str, Page]:
    return {path.relative_to(site).as_posix(): Page(path) for path in site.rglob("*.html")}


def test_every_link_inside_leads_to_a_page_a_file_or_an_anchor(site: Path, pages: dict[str, Page]) -> None:
    dead = []
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or link == "#":
                continue
            target = (Path(name).parent / unquote(parts.path)).as_posix() if parts.path else name
            is_there = parts.fragment in ("", *(pages[target].anchors if target in pages else ()))
            if not (site / target).exists() or not is_there:
                dead.append((name, link))
    assert dead == []


def test_links_to_elsewhere_lead_to_known_hosts(pages: dict[str, Page]) -> None:
    links = [link for page in pages.values() for link in page.links if urlsplit(link).scheme]
    assert {urlsplit(link).netloc for link in links if not link.startswith("data:")} <= HOSTS
    assert {urlsplit(link).scheme for link in links} <= {"https", "data"}


@pytest.mark.parametrize(
    ("word", "page"), [("expired", "download"), ("quickstart", "quickstart"), ("MWAA", "install")]
)
def test_the_search_finds_what_readers_look_for(word: str, page: str, site: Path) -> None:
    index = json.loads(re.fullmatch(r"Search\.setIndex\((.*)\)", (site / "searchindex.js").read_text())[1])  # type: ignore[index]
    stems = [
        stem for kind in ("terms", "titleterms") for stem in index[kind] if word.lower().startswith(stem)
    ]
    pages = {
        index["docnames"][number]
        for kind in ("terms", "titleterms")
        for stem in stems
        for number in as_list(index[kind].get(stem, []))
    }
    assert page in pages


def as_list(numbers: int | list[int]) -> list[int]:
    return numbers if isinstance(numbers, list) else [numbers]


def test_code_can_be_copied_with_a_click(site: Path) -> None:
    assert 'src="_static/copybutton.js' in (site / "upload.html").read_text()
