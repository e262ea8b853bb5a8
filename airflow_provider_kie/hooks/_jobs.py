"""The hook's verbs for jobs: submit one, look at it, wait for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from airflow_provider_kie.client.api import jobs
from airflow_provider_kie.client.api.families import MARKET
from airflow_provider_kie.client.api.records import Job
from airflow_provider_kie.client.arguments import optional_seconds, positive_seconds
from airflow_provider_kie.client.call import Call
from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import (
    KieError,
    KieInDoubtError,
    quote,
)
from airflow_provider_kie.client.retries import RETRY_AFTER_LIMIT
from airflow_provider_kie.decisions.jobs import decide, job_wait_message, seconds_to_look
from airflow_provider_kie.decisions.waiting import ConsecutiveFailures
from airflow_provider_kie.decisions.waiting_log import WaitingLog
from airflow_provider_kie.hooks import _lineage, _metrics
from airflow_provider_kie.hooks._base import STEP_SECONDS, KieBaseHook, send_in_thread

log = logging.getLogger(__name__)


class KieJobsHook(KieBaseHook):
    """Submits jobs and waits for them."""

    def submit_job(
        self,
        input: dict[str, Any],
        *,
        model: str | None = None,
        api: str = MARKET,
        callback_url: str | None = None,
    ) -> str:
        """
        Submit a job; costs credits.

        It is sent again only if kie.ai refused it for now (rate limit, maintenance) or it never got there.
        The hook remembers nothing: called again, it submits another job. ``KieGenerateOperator``
        does remember.

        :param input: For Market the model's input, for the other families the body that their page shows.
        :param model: Model; a must for Market.
        :param api: Family of models.
        :param callback_url: Where kie.ai announces the job's end.
        :return: The job's id.
        :raises ValueError: An argument is unusable; nothing was sent.
        :raises KieInDoubtError: kie.ai may have accepted the job, or may not: look at https://kie.ai/logs.
        :raises KieError: There is no job: kie.ai refused it, or could not be reached after all retries.

        kie.ai page: https://docs.kie.ai/market/quickstart
        """
        call = jobs.submit_job(input, model=model, api=api, callback_url=callback_url)
        with self.get_conn() as client:
            return self.send_submission(client, call, model or api, input)

    def send_submission(
        self,
        client: KieClient,
        call: Call[str],
        model: str,
        keys: Iterable[str],
        *,
        before: Callable[[], None] = lambda: None,
    ) -> str:
        """
        Send a submission that is ready, for callers that take note of it before.

        :param client: Sends it.
        :param call: What to send, from :func:`airflow_provider_kie.client.api.jobs.submit_job`.
        :param model: The model, for metrics and log.
        :param keys: The input's keys, for the log, which never shows values.
        :param before: Called right before each time it is sent; ends it by raising.
        :return: The job's id.
        :raises KieInDoubtError: kie.ai may have accepted the job, or may not.
        :raises KieError: There is no job.
        """
        log.info("Submitting a job to %s", model)
        try:
            job_id = client.send(call, before=before)
        except KieError as error:
            judged = jobs.judge_submission(error)
            if isinstance(judged, KieInDoubtError):
                _metrics.report_job("in_doubt", model, self.kie_conn_id)
            if judged is error:
                raise
            raise judged from error
        log.info("Submitted job %s to %s, with %s", job_id, model, quote(", ".join(keys)) or "no input")
        _metrics.report_job("submitted", model, self.kie_conn_id)
        return job_id

    def get_job(self, job_id: str, *, api: str = MARKET, max_retries: int | None = None) -> Job:
        """
        Read a job's record; free.

        :param job_id: The job.
        :param api: Family of models that it was submitted to.
        :param max_retries: Instead of the connection's.
        :return: The job; its ``state`` may be ``failed``.
        :raises ValueError: An argument is unusable.
        :raises KieJobNotFoundError: kie.ai knows no such job under this ``api``; right after the submission,
            not yet.
        :raises KieError: kie.ai refused, or could not be reached after all retries.

        kie.ai page: https://docs.kie.ai/market/common/get-task-detail
        """
        call = jobs.get_job(job_id, api=api)
        with self.get_conn(max_retries=max_retries) as client:
            return client.send(call)

    async def aget_job(self, job_id: str, *, api: str = MARKET, max_retries: int | None = None) -> Job:
        """
        Read a job's record on an event loop; otherwise as :meth:`get_job`.

        :param job_id: The job.
        :param api: Family of models that it was submitted to.
        :param max_retries: Instead of the connection's.
        :return: The job; its ``state`` may be ``failed``.
        :raises ValueError: An argument is unusable.
        :raises KieError: As :meth:`get_job`.

        kie.ai page: https://docs.kie.ai/market/common/get-task-detail
        """
        call = jobs.get_job(job_id, api=api)
        async with await self.aget_conn(max_retries=max_retries) as client:
            return await client.send(call)

    def generate(
        self,
        input: dict[str, Any],
        *,
        model: str | None = None,
        api: str = MARKET,
        callback_url: str | None = None,
        timeout: float | timedelta = 3600.0,
        poll_interval: float | timedelta | None = None,
    ) -> Job:
        """
        Submit a job and wait for it, for a ``@task``; costs credits.

        It has no memory across tries: a retry of the task submits, and pays for, another job. Give the task
        ``retries=0``, or use ``KieGenerateOperator``, which pays once.

        :param input: As for :meth:`submit_job`.
        :param model: Model; a must for Market.
        :param api: Family of models.
        :param callback_url: Where kie.ai announces the job's end.
        :param timeout: Seconds to wait, or a ``timedelta``; an hour by default.
        :param poll_interval: Seconds between two looks, or a ``timedelta``; by default 10 seconds before the
            first, and then a tenth of the time so far, 2 to 60 seconds.
        :return: The job, which has succeeded.
        :raises ValueError: An argument is unusable; nothing was sent.
        :raises KieJobFailedError: The job ended without a result.
        :raises KieJobTimeoutError: The job still runs, and will be billed.
        :raises KieError: As :meth:`submit_job`, and what ended the waiting.

        kie.ai page: https://docs.kie.ai/market/quickstart
        """
        patience = positive_seconds("timeout", timeout)
        interval = optional_seconds("poll_interval", poll_interval)
        job_id = self.submit_job(input, model=model, api=api, callback_url=callback_url)
        job = Job(job_id, api, model)
        done = self.finish(job, self.wait_for_end(job, timeout=patience, poll_interval=interval))
        self.report_lineage(done, input)
        return done

    def wait_for_end(
        self,
        job: Job,
        *,
        timeout: float,
        poll_interval: float | None = None,
        age: float = 0.0,
        on_wait: Callable[[], None] = lambda: None,
    ) -> Job | KieError:
        """
        Wait for a job, for callers that take note of its end.

        :param job: What is known of it: id, api and model.
        :param timeout: Seconds.
        :param poll_interval: Seconds between two looks; None for more often at first than later.
        :param age: Seconds since its submission.
        :param on_wait: Called at least ten times a second; ends the waiting by raising.
        :return: The job, which has succeeded or failed, or why it cannot be asked for.
        :raises KieJobTimeoutError: It still runs, and will be billed.
        """
        try:
            return self._wait(job, timeout, poll_interval, age, on_wait)
        except KieError:
            raise
        except BaseException:
            # Airflow's execution_timeout, for example, which knows nothing of jobs.
            log.warning("%s", job.left_running)
            raise

    def _wait(
        self,
        job: Job,
        timeout: float,
        poll_interval: float | None,
        age: float,
        on_wait: Callable[[], None],
    ) -> Job | KieError:
        """Give the look that ends the waiting."""
        begin, elapsed, last = time.monotonic(), 0.0, job
        failures, waiting_log = ConsecutiveFailures(), WaitingLog()
        pause = seconds_to_look(age, interval=poll_interval)
        log.info("%s", job_wait_message(job.job_id, pause, poll_interval, timeout, time.time()))
        while True:
            self._sleep(min(pause, timeout - elapsed), on_wait)
            poll = self._look(job, on_wait)
            elapsed = time.monotonic() - begin
            decision = decide(job.job_id, failures, poll, age=age + elapsed)
            failures = decision.failures
            if decision.outcome != "wait":
                return poll
            pause = seconds_to_look(age + elapsed, interval=poll_interval)
            if isinstance(poll, KieError):
                pause = max(pause, min(poll.retry_after or 0.0, RETRY_AFTER_LIMIT))
            else:
                last = poll
            if line := waiting_log.line(decision, age + elapsed, pause):
                log.log(decision.level, "%s", line)
            if elapsed >= timeout:
                raise last.to_timeout(f"{timeout:g} seconds")

    def finish(self, job: Job, poll: Job | KieError) -> Job:
        """
        Give a job's result, and tell log and metrics of its end.

        :param job: What is known of it: id, api and model.
        :param poll: The last look at it.
        :return: The job, which has succeeded.
        :raises KieJobFailedError: It ended without a result.
        :raises KieError: It cannot be asked for; the message says that it may still run.
        """
        if isinstance(poll, KieError):
            if poll.ended_job:
                _metrics.report_job("failed", job.model or job.api, self.kie_conn_id)
            raise job.left_by(poll)
        poll = replace(poll, model=poll.model or job.model)
        if poll.state == "failed":
            _metrics.report_job("failed", poll.model or poll.api, self.kie_conn_id)
            raise poll.to_error()
        _metrics.report_success(poll, self.kie_conn_id)
        cost = "price unknown" if poll.credits is None else f"{poll.credits:.15g} credits"
        log.info("Job %s has succeeded: %s, %d file(s)", poll.job_id, cost, len(poll.urls))
        return poll

    def report_lineage(self, job: Job, input: Any = None) -> None:
        """
        Report to Airflow's lineage which files a job was given, and which it has made; never fails.

        :meth:`generate`, the operator and the sensor do so by themselves.

        :param job: The job, which has succeeded.
        :param input: Its input, if known; each URL in it is a file that was read.
        """
        _lineage.report_job(self, job, input)

    def _look(self, job: Job, on_wait: Callable[[], None]) -> Job | KieError:
        call = jobs.get_job(job.job_id, api=job.api)
        try:
            client = self.get_conn(max_retries=0)
        except KieError as error:
            return error
        with client:
            looking = send_in_thread(client, call, on_wait)
        failed = looking.exception()
        return failed if isinstance(failed, KieError) else looking.result()

    def _sleep(self, seconds: float, on_wait: Callable[[], None]) -> None:
        end = time.monotonic() + seconds
        on_wait()
        while (missing := end - time.monotonic()) > 0:
            time.sleep(min(missing, STEP_SECONDS))
            on_wait()
