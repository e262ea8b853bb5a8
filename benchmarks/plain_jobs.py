"""What users write who have no provider: a trigger with a client of its own that asks every 5 seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_kie.client.api.jobs import get_job
from airflow_provider_kie.hooks.kie import KieHook

INTERVAL_SECONDS = 5.0


class PlainJobOperator(BaseOperator):
    """
    Submit a job and wait for it in the triggerer.

    :param model: Its model.
    :param input: Its input.
    """

    def __init__(self, *, model: str, input: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.input = input

    def execute(self, context: Any) -> None:
        """Submit the job."""
        job_id = KieHook().submit_job(self.input, model=self.model)
        self.defer(trigger=PlainJobTrigger(job_id), method_name="execute_complete")

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Give the job."""
        return event


class PlainJobTrigger(BaseTrigger):
    """
    Wait for a job.

    :param job_id: The job.
    """

    def __init__(self, job_id: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.job_id = job_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Serialize the trigger."""
        return f"{__name__}.{type(self).__name__}", {"job_id": self.job_id}

    async def run(self) -> AsyncGenerator[TriggerEvent, None]:
        """Give one event."""
        async with await KieHook().aget_conn() as client:
            while (job := await client.send(get_job(self.job_id))).state not in ("success", "failed"):
                await asyncio.sleep(INTERVAL_SECONDS)
        yield TriggerEvent(job.to_dict())
