"""Paid generation."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_kie._compat import TaskDeferralError, TaskDeferralTimeout, conf
from airflow_provider_kie._tasks import KiePaidOperator, fail_without_retry
from airflow_provider_kie.links import KieJobLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_kie.client.api.records import Job
    from airflow_provider_kie.decisions.jobs import OnDoubt
    from airflow_provider_kie.operators._generation import Generation
    from airflow_provider_kie.operators._order import Order

# How long after its deadline a trigger has to say so, before Airflow does: its last look may have to wait.
TRIGGER_SECONDS = 300.0


class KieGenerateOperator(KiePaidOperator):
    """
    Generate images, video, music, ...: submit a job, wait for it, give its result. Costs credits, once.

    From Airflow 3.3 on, the task writes down that it is about to submit, then the job's id, then its end. A
    retry goes on with the job that is there. Where kie.ai's answer was lost nobody can tell whether there is
    one: the task fails without a retry, and says where to look. A person who clears the task asks for another
    job, unless the first one still runs or no try has seen its success. Before Airflow 3.3 nothing can be
    written down: only the first try since a clear submits, a later one fails as in doubt.

    A timeout, a kill or a broken trigger cancels nothing, because kie.ai cannot cancel: the job goes on and
    is billed.

    :param input: For Market the model's input, for the other families the body that their page shows. No
        value changes its type: kie.ai takes "5" and 5 for different things. (templated)
    :param model: Model; a must for Market. (templated)
    :param api: Family of models: ``market`` by default, ``veo``, ``suno``, ... (templated)
    :param deferrable: Wait in the triggerer, without a worker; by default as
        ``[operators] default_deferrable`` says.
    :param wait_for_completion: False returns right after the submission, for a ``KieJobSensor`` to wait.
    :param poll_interval: Seconds between two looks at the job, or a ``timedelta``; one second at the least.
        By default the first look comes after 10 seconds, or in a triggerer after half of what such jobs
        usually take there, and the next ones after a tenth of the time so far, 2 to 60 seconds. (templated)
    :param timeout: Seconds of waiting, or a ``timedelta``; an hour by default. Each try has as many.
        (templated)
    :param on_doubt: What a retry does if the job may have been submitted, or may not: ``fail``, the default;
        or ``submit``, which may pay twice. (templated)
    :param callback_url: Where kie.ai announces the job's end; an https URL. (templated)
    :param kie_conn_id: Airflow connection. (templated)
    :return: ``{job_id, api, model, state, urls, output, credits, seconds, created_at, completed_at}``:
        ``urls`` are the result's files in order, ``output`` is all of kie.ai's result, times are ISO 8601 in
        UTC. Each key is an XCom of its own, too: ``generate.output["urls"]`` goes into a
        ``KieDownloadOperator``.
    :raises ValueError: An argument is unusable; nothing was sent.
    :raises AirflowFailException: No retry can help: kie.ai refused the job, it is in doubt, or it failed for
        a reason that does not pass.
    :raises KieJobFailedError: The job failed for a reason that may pass; a retry submits another one.
    :raises KieJobTimeoutError: The job still runs, and will be billed; a retry goes on waiting for it.
    :raises KieError: There is no job, but a retry may have one; or waiting does not mend what went wrong.

    kie.ai page: https://docs.kie.ai/market/quickstart
    """

    template_fields: Sequence[str] = (
        "input",
        "model",
        "api",
        "poll_interval",
        "timeout",
        "on_doubt",
        "callback_url",
        "kie_conn_id",
    )
    template_fields_renderers = {"input": "json"}
    masked_fields = ("input", "callback_url")
    operator_extra_links = (KieJobLink(),)
    ui_color = "#f3e6f2"

    job_id: str | None = None
    """The try's job, once it is known."""
    is_in_doubt = False
    """Whether nobody can tell if there is one."""

    def __init__(
        self,
        *,
        input: dict[str, Any],
        model: str | None = None,
        api: str = "market",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        wait_for_completion: bool = True,
        poll_interval: float | timedelta | str | None = None,
        timeout: float | timedelta | str = 3600,
        on_doubt: OnDoubt = "fail",
        callback_url: str | None = None,
        kie_conn_id: str = "kie_default",
        **kwargs: Any,
    ) -> None:
        # So that ``generate.output["urls"]`` is the list that a download takes.
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(**kwargs)
        self.input = input
        self.model = model
        self.api = api
        self.deferrable = deferrable
        self.wait_for_completion = wait_for_completion
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.on_doubt = on_doubt
        self.callback_url = callback_url
        self.kie_conn_id = kie_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Submit a job, unless an earlier try has, and wait for it."""
        order = self._order()
        with fail_without_retry(), self._job_noted():
            generation = self._generation(context, order.input)
            job = generation.begin(order)
            self.job_id = job.job_id
            if job.state != "success" and self.wait_for_completion:
                if self.deferrable:
                    self._defer(order, job, generation.age)
                job = generation.wait(job)
        return self._result(job, context)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Resume after the trigger's event."""
        from airflow_provider_kie.client.api.records import Job
        from airflow_provider_kie.client.errors import KieJobError
        from airflow_provider_kie.triggers.jobs import job_in

        self.job_id = event.get("job_id") if isinstance(event, dict) else None
        with fail_without_retry(), self._job_noted():
            generation = self._generation(context, self.input)
            try:
                job = job_in(event)
            except KieJobError as error:
                if error.job_id:
                    generation.resume(error.job_id)
                raise
            self.job_id = job.job_id
            generation.resume(job.job_id)
            job = generation.finish(Job(job.job_id, job.api, self.model), job)
        return self._result(job, context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume as the base class does; if the trigger is gone, say what that means for the job."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (TaskDeferralTimeout, TaskDeferralError) as error:
            with fail_without_retry(), self._job_noted():
                self._generation(context, self.input).give_up(error)

    @contextmanager
    def _job_noted(self) -> Iterator[None]:
        """Take note of what an error tells of the job."""
        from airflow_provider_kie.client.errors import KieError, KieInDoubtError

        try:
            yield
        except KieError as error:
            self.job_id = getattr(error, "job_id", None) or self.job_id
            self.is_in_doubt = isinstance(error, KieInDoubtError)
            raise

    def _result(self, job: Job, context: Context) -> dict[str, Any]:
        """Give the job as XCom has it, and tell lineage and the outlets' events of it."""
        from airflow_provider_kie._outlets import add_result_to_outlet_events
        from airflow_provider_kie.hooks.kie import KieHook

        result = job.to_dict()
        KieHook(self.kie_conn_id).report_lineage(job, self.input)
        add_result_to_outlet_events(self, context, result)
        return result

    def _order(self) -> Order:
        from airflow_provider_kie.operators._order import Order

        return Order.parse(
            self.input,
            model=self.model,
            api=self.api,
            callback_url=self.callback_url,
            timeout=self.timeout,
            poll_interval=self.poll_interval,
            on_doubt=self.on_doubt,
        )

    def _generation(self, context: Context, input: Any) -> Generation:
        from airflow_provider_kie.hooks.kie import KieHook
        from airflow_provider_kie.operators._generation import Generation
        from airflow_provider_kie.operators._job_memory import JobMemory

        return Generation(
            JobMemory(context, self.retries, self.api, self.model, input),
            KieHook(self.kie_conn_id),
            waits=self.wait_for_completion,
            is_ended=lambda: self._is_killed,
        )

    def _defer(self, order: Order, job: Job, age: float) -> NoReturn:
        from airflow_provider_kie.decisions.jobs import job_wait_message, seconds_to_look
        from airflow_provider_kie.triggers.jobs import KieJobTrigger

        now, first = time.time(), seconds_to_look(age, interval=order.poll_interval)
        self.log.info("%s", job_wait_message(job.job_id, first, order.poll_interval, order.timeout, now))
        self.defer(
            trigger=KieJobTrigger(
                job_id=job.job_id,
                api=job.api,
                model=job.model,
                kie_conn_id=self.kie_conn_id,
                poll_interval=order.poll_interval,
                submitted_at=now - age,
                deadline=now + order.timeout,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=order.timeout + TRIGGER_SECONDS),
        )
