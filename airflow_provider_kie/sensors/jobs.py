"""Waiting for a job."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import PokeReturnValue

from airflow_provider_kie._compat import conf
from airflow_provider_kie.links import KieJobLink
from airflow_provider_kie.sensors._base import KieBaseSensor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_kie.client.api.records import Job
    from airflow_provider_kie.client.errors import KieError
    from airflow_provider_kie.decisions.waiting import ConsecutiveFailures, Decision
    from airflow_provider_kie.triggers.jobs import KieJobTrigger


class KieJobSensor(KieBaseSensor):
    """
    Wait until a job has ended, whoever submitted it; free.

    Failures to look at it are judged as by ``KieCreditsSensor``: a transient one is "not yet", until
    ``timeout``; a wrong key ends the sensor at once. A job that kie.ai does not know may be new: that counts
    90 seconds after the first look, and ends the sensor the third time in a row. A failed job ends it
    whatever ``silent_fail`` says. ``soft_fail`` makes nothing but the timeout a skip. Nothing that ends the
    waiting cancels the job.

    :param job_id: The job. (templated)
    :param api: Family of models that it was submitted to. (templated)
    :param deferrable: Wait in the triggerer, without a worker; by default as
        ``[operators] default_deferrable`` says. ``mode`` then has no meaning.
    :param kie_conn_id: Airflow connection. (templated)
    :return: The job, a dict: ``job_id``, ``api``, ``model``, ``state``, ``urls``, ``output``, ``credits``,
        ``seconds``, ``created_at``, ``completed_at``.
    :raises ValueError: It is no job's id, or there is no such family.
    :raises AirflowSensorTimeout: The job did not end within ``timeout`` seconds; it still runs, and will be
        billed.
    :raises KieJobFailedError: The job ended without a result.
    :raises KieError: A failure that waiting does not mend, as above; the job may still run.

    kie.ai page: https://docs.kie.ai/market/common/get-task-detail
    """

    template_fields: Sequence[str] = ("job_id", "api", "kie_conn_id")
    operator_extra_links = (KieJobLink(),)
    ui_color = "#fff2cc"

    def __init__(
        self,
        *,
        job_id: str,
        api: str = "market",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        kie_conn_id: str = "kie_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id
        self.api = api
        self.deferrable = deferrable
        self.kie_conn_id = kie_conn_id

    def poke(self, context: Context) -> PokeReturnValue:
        """Look at the job once."""
        from airflow_provider_kie.client.errors import KieError
        from airflow_provider_kie.hooks.kie import KieHook

        try:
            # One request a poke: the interval is the retry.
            job = KieHook(self.kie_conn_id).get_job(self.job_id, api=self.api, max_retries=0)
        except KieError as error:
            if self._judge(error, context).outcome == "fail":
                self._known.left_by(error)
                raise
            return PokeReturnValue(is_done=False)
        decision = self._judge(job, context)
        if decision.outcome == "fail" and not self.silent_fail:
            KieHook(self.kie_conn_id).finish(job, job)
        # With silent_fail an error here would be waited on after, so the failed job goes to ``execute``.
        return PokeReturnValue(is_done=decision.outcome != "wait", xcom_value=job)

    def _read(self, event: dict[str, Any] | None) -> Job:
        from airflow_provider_kie.triggers.jobs import job_in

        return job_in(event)

    def _result(self, value: Job, context: Context) -> dict[str, Any]:
        from airflow_provider_kie._outlets import add_result_to_outlet_events
        from airflow_provider_kie.hooks.kie import KieHook

        hook = KieHook(self.kie_conn_id)
        job = hook.finish(value, value)
        hook.report_lineage(job)
        result = job.to_dict()
        add_result_to_outlet_events(self, context, result)
        return result

    @property
    def _subject(self) -> str:
        return f"job {self.job_id}"

    def _check_arguments(self) -> None:
        from airflow_provider_kie.client.api.jobs import family_of
        from airflow_provider_kie.client.arguments import check_job_id

        check_job_id(self.job_id)
        family_of(self.api)

    def _decide(self, failures: ConsecutiveFailures, poll: Job | KieError, context: Context) -> Decision:
        from airflow_provider_kie.decisions.jobs import decide

        # Nobody says when the job was submitted, so the first look counts.
        unknown = getattr(poll, "unknown_job", False)
        return decide(self.job_id, failures, poll, age=self._seconds_waited(context) if unknown else 0.0)

    def _seconds_waited(self, context: Context) -> float:
        if self.reschedule and not self.deferrable:
            first = context["ti"].get_first_reschedule_date(context)
            return (datetime.now(UTC) - first).total_seconds() if first else 0.0
        return time.time() - self._began_at if self._began_at else 0.0

    def _trigger(self) -> KieJobTrigger:
        from airflow_provider_kie.triggers._polling import polling_interval
        from airflow_provider_kie.triggers.jobs import KieJobTrigger

        return KieJobTrigger(
            self.job_id,
            self.api,
            kie_conn_id=self.kie_conn_id,
            poll_interval=polling_interval(self.poke_interval),
            submitted_at=self._began_at or None,
            silent_fail=self.silent_fail,
        )

    @property
    def _known(self) -> Job:
        from airflow_provider_kie.client.api.records import Job

        return Job(self.job_id, self.api)

    def _after_timeout(self) -> str:
        return self._known.left_running
