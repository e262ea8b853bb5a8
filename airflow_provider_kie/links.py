"""Where to look at kie.ai's side of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

LOGS = "https://kie.ai/logs"


class KieJobLink(BaseOperatorLink):
    """
    The account's log at kie.ai, with the job's id behind it, for whoever looks for the job there.

    There is no link before there is a job. Where nobody can tell whether there is one, it is the log alone.
    """

    name = "kie.ai logs"

    def get_link(self, operator: BaseOperator, *, ti_key: object) -> str:
        """
        Give the address; called by Airflow on the worker, after each part of a try.

        :param operator: The task, which knows its ``job_id`` once there is one.
        :param ti_key: The task instance; plays no part.
        :return: The log's URL with the job's id, or alone; empty if there is no job.
        """
        job_id = getattr(operator, "job_id", None)
        if isinstance(job_id, str) and job_id:
            return f"{LOGS}#{quote(job_id, safe='')}"
        return LOGS if getattr(operator, "is_in_doubt", False) else ""
