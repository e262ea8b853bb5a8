"""The trigger that waits for a job."""

from __future__ import annotations

import asyncio
import copy
import logging
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_kie.client.api.families import MARKET
from airflow_provider_kie.client.api.jobs import family_of
from airflow_provider_kie.client.api.records import Job
from airflow_provider_kie.client.arguments import check_job_id, optional_seconds
from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.decisions.jobs import Durations, decide, seconds_to_look
from airflow_provider_kie.decisions.waiting import ConsecutiveFailures
from airflow_provider_kie.decisions.waiting_log import WaitingLog
from airflow_provider_kie.triggers._events import event_of, job_in, read_job_event
from airflow_provider_kie.triggers._poller import shared_poller
from airflow_provider_kie.triggers._polling import seconds_to_wait

__all__ = ["KieJobTrigger", "job_in", "read_job_event"]

log = logging.getLogger(__name__)

# Learned by the process that waits, from all jobs that it sees succeed.
durations = Durations()


class KieJobTrigger(BaseTrigger):
    """
    Wait until a job has ended: what a deferred ``KieGenerateOperator`` or ``KieJobSensor`` waits with.

    All triggers of a connection share one client and one request budget. A restart of the triggerer loses
    nothing, and nothing that ends the waiting cancels the job.

    :param job_id: The job.
    :param api: Family of models that it was submitted to.
    :param model: Model, if known: jobs of one model take about as long, which decides when to look.
    :param kie_conn_id: Airflow connection.
    :param poll_interval: Seconds between two looks, one at the least; by default more often at first than
        later.
    :param submitted_at: Time of the submission, in seconds since the epoch; by default now.
    :param deadline: Time at which to give up, likewise, after a last look; by default never.
    :param silent_fail: Whether no failure to look ends the waiting; a failed job does all the same.
    :raises ValueError: An argument is unusable.
    """

    def __init__(
        self,
        job_id: str,
        api: str = MARKET,
        model: str | None = None,
        kie_conn_id: str = "kie_default",
        poll_interval: float | None = None,
        submitted_at: float | None = None,
        deadline: float | None = None,
        silent_fail: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        family_of(api)
        self.job_id = check_job_id(job_id)
        self.api = api
        self.model = model
        self.kie_conn_id = kie_conn_id
        self.poll_interval = optional_seconds("poll_interval", poll_interval)
        self.submitted_at = time.time() if submitted_at is None else submitted_at
        self.deadline = deadline
        self.silent_fail = silent_fail

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Serialize the trigger; never includes secrets."""
        return "airflow_provider_kie.triggers.jobs.KieJobTrigger", {
            "job_id": self.job_id,
            "api": self.api,
            "model": self.model,
            "kie_conn_id": self.kie_conn_id,
            "poll_interval": self.poll_interval,
            "submitted_at": self.submitted_at,
            "deadline": self.deadline,
            "silent_fail": self.silent_fail,
        }

    async def run(self) -> AsyncGenerator[TriggerEvent, None]:
        """Give one event, for :func:`read_job_event`."""
        yield TriggerEvent(event_of(await self._wait()) | {"job_id": self.job_id})

    async def on_kill(self) -> None:
        """Say what becomes of the job when a person ends the waiting (from Airflow 3.3 on)."""
        await asyncio.to_thread(log.warning, "%s", self._known.left_running)

    @property
    def _known(self) -> Job:
        return Job(self.job_id, self.api, self.model)

    @property
    def _age(self) -> float:
        return max(0.0, time.time() - self.submitted_at)

    async def _wait(self) -> Job | KieError:
        failures, failed, waiting_log = ConsecutiveFailures(), 0, WaitingLog()
        pause = self._pause(failed, None)
        async with shared_poller(self.kie_conn_id) as poller:
            while True:
                await asyncio.sleep(pause)
                poll = await poller.look(self.job_id, self.api)
                decision = decide(self.job_id, failures, poll, age=self._age, silent_fail=self.silent_fail)
                if decision.outcome != "wait":
                    return self._end(poll)
                failures = decision.failures
                # Before a new job has a record there is nothing wrong with kie.ai.
                failed = failed + 1 if isinstance(poll, KieError) and not poll.unknown_job else 0
                if self.deadline is not None and time.time() >= self.deadline:
                    return self._timeout(poll)
                pause = self._pause(failed, poll)
                if line := waiting_log.line(decision, self._age, pause):
                    # Off the event loop: writing waits for whoever reads the log.
                    await asyncio.to_thread(log.log, decision.level, "%s", line)

    def _pause(self, failed: int, poll: Job | KieError | None) -> float:
        """Calculate how many seconds to wait: never beyond the deadline."""
        model = self.model or (poll.model if isinstance(poll, Job) else None)
        usual = durations.usual((self.api, model))
        pause = seconds_to_look(self._age, usual, self.poll_interval)
        retry_after = poll.retry_after if isinstance(poll, KieError) else None
        pause = seconds_to_wait(pause, failed, retry_after)
        return pause if self.deadline is None else max(0.0, min(pause, self.deadline - time.time()))

    def _end(self, poll: Job | KieError) -> Job | KieError:
        """Complete the look that ended the waiting."""
        if isinstance(poll, KieError):
            return self._known.left_by(copy.copy(poll))
        job = replace(poll, model=poll.model or self.model)
        if job.state == "success" and job.seconds is not None:
            durations.learn((self.api, job.model), job.seconds)
        return job

    def _timeout(self, poll: Job | KieError) -> KieError:
        return (poll if isinstance(poll, Job) else self._known).to_timeout("its timeout")
