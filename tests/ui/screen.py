"""What a person does and sees in Airflow's pages."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs

from playwright.sync_api import Locator, Page, expect

from airflow_provider_kie.simulator import KieSimulator

# Airflow's pages are large, and whoever runs this may be busy.
PATIENCE_SECONDS = 30
PICTURES = Path(__file__).parents[2] / "docs/images"

Text = str | re.Pattern[str]


class Screen:
    """
    Airflow in a browser.

    :param page: The browser's tab.
    :param airflow: Airflow's address.
    :param kie: The kie.ai whose signed links must not be seen.
    :param keys: Keys that must not be seen either.
    """

    def __init__(self, page: Page, airflow: str, kie: KieSimulator, keys: Sequence[str]) -> None:
        self.page = page
        self._airflow = airflow
        self._kie = kie
        self._keys = keys

    def open(self, path: str) -> None:
        """Open a page by its path."""
        self.page.goto(f"{self._airflow}/{path}")

    def open_task(self, dag_id: str, task_id: str, map_index: int | None = None) -> None:
        """Open the page of a task of the DAG's one run; it shows the log."""
        mapped = "" if map_index is None else f"/mapped/{map_index}"
        self.open(f"dags/{dag_id}/runs/run/tasks/{task_id}{mapped}")

    def click(self, *links: str) -> None:
        """Click on one link after the other, each by its whole text."""
        for link in links:
            self.page.get_by_role("link", name=link, exact=True).click()

    def shows(self, *texts: Text, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until the page shows each of these texts; there may be no secret beside them."""
        for text in texts:
            expect(self.page.get_by_text(text).first).to_be_visible(timeout=1000 * seconds)
        self.keeps_secrets()

    def shows_value(self, *texts: Text) -> None:
        """Unfold the result in the XCom tab, and wait until it shows each of these texts."""
        self.page.get_by_role("button", name="Expand all").click()
        for text in texts:
            expect(self.row("return_value")).to_contain_text(text)
        self.keeps_secrets()

    def row(self, text: str) -> Locator:
        """Find the row of a table that has this text in a cell of its own."""
        return self.page.get_by_role("row").filter(has=self.page.get_by_role("cell", name=text, exact=True))

    def keeps_secrets(self) -> None:
        """Check that no key and no signature stands in the page or in its address."""
        queries = (parse_qs(request.query) for request in self._kie.requests_to("file"))
        signatures = [value for query in queries for value in query.get("X-Amz-Signature", [])]
        everything = self.page.content() + self.page.url
        assert not [secret for secret in (*self._keys, *signatures) if secret in everything]

    def picture(self, name: str, of: Locator | None = None, *, height: int = 640) -> None:
        """
        Take one of the documentation's pictures, if they are to be taken anew.

        :param name: Its file's name, without the ending.
        :param of: What it shows; the whole window by default.
        :param height: The window's height.
        """
        if os.environ.get("KIE_PICTURES"):
            size = self.page.viewport_size
            assert size
            self.page.set_viewport_size({"width": size["width"], "height": height})
            self.page.mouse.move(0, 0)
            path = PICTURES / f"{name}.png"
            (of or self.page).screenshot(path=path, animations="disabled")
            self.page.set_viewport_size(size)
