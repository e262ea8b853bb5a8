"""Where to look at kie.ai's side of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator


class KieLogsLink(BaseOperatorLink):
    """The account's own log at kie.ai; always the same page, so that no link to a file is ever kept."""

    name = "kie.ai logs"

    def get_link(self, operator: BaseOperator, *, ti_key: object) -> str:
        """Give the page's address."""
        return "https://kie.ai/logs"
