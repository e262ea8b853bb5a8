"""The built documentation in a browser: it loads, it can be searched, its blocks can be copied."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import ConsoleMessage, Page, Response, expect

from .conftest import ROOT

PAGES = sorted(Path(ROOT / "docs/_build/html").glob("*.html"))


class Complaints(list[str]):
    """What goes wrong in a tab, as it goes wrong."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("requestfailed", lambda request: self.append(request.url))
        page.on("response", self._judge)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.append(message.text)

    def _judge(self, answer: Response) -> None:
        if answer.status >= 400:
            self.append(f"{answer.status} {answer.url}")


def test_every_page_loads_without_an_error_and_without_another_host(page: Page, documentation: str) -> None:
    complaints = Complaints(page)
    for path in PAGES:
        page.goto(f"{documentation}/{path.name}")
        assert complaints == [], path.name


def test_a_search_for_what_an_error_says_finds_its_page(page: Page, documentation: str) -> None:
    page.goto(f"{documentation}/index.html")
    search = page.get_by_role("textbox", name="Search")
    search.fill("expired")
    search.press("Enter")
    results = page.get_by_role("main").get_by_role("listitem")
    expect(results.filter(has=page.get_by_role("link", name="error")).first).to_be_visible()


def test_each_block_has_a_button_that_copies_it(page: Page, documentation: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{documentation}/connection.html")
    blocks = page.locator("div.highlight")
    expect(blocks.get_by_role("button", name="Copy")).to_have_count(blocks.count())
    blocks.first.hover()
    blocks.first.get_by_role("button", name="Copy").click()
    expect(blocks.first.get_by_role("button", name="Copied!")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("export AIRFLOW_CONN_KIE_DEFAULT=")
