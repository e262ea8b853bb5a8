"""From an order to a job that is paid once: what an earlier try left, then at most one submission."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from airflow_provider_kie.client.api.records import Job
from airflow_provider_kie.client.errors import (
    KieCancelledError,
    KieError,
    KieInDoubtError,
    KieJobFailedError,
    KieJobTimeoutError,
)
from airflow_provider_kie.decisions.jobs import (
    GRACE_SECONDS,
    SHORTEST_SECONDS,
    first_step,
    step_after_look,
)
from airflow_provider_kie.decisions.waiting import LIMIT
from airflow_provider_kie.hooks import _metrics
from airflow_provider_kie.operators._job_memory import JobMemory, Note

if TYPE_CHECKING:
    from airflow_provider_kie.hooks.kie import KieHook
    from airflow_provider_kie.operators._order import Order

log = logging.getLogger(__name__)


class Generation:
    """
    A task's job.

    :param memory: What its tries remember.
    :param hook: Talks to kie.ai.
    :param waits: Whether the task waits for the job.
    :param is_ended: Whether the task is to end.
    """

    _order: Order

    def __init__(
        self, memory: JobMemory, hook: KieHook, *, waits: bool, is_ended: Callable[[], bool]
    ) -> None:
        self._memory = memory
        self._hook = hook
        self._waits = waits
        self._is_ended = is_ended
        self._cleared = False

    @property
    def age(self) -> float:
        """Seconds since the submission."""
        return self._memory.now.age

    def begin(self, order: Order) -> Job:
        """
        Find the job of an earlier try, or submit one.

        :param order: What the task asks for.
        :return: A job to wait for, or one that has succeeded.
        :raises KieInDoubtError: Nobody can tell whether there is a job.
        :raises KieJobFailedError: The earlier try's job has failed, for a reason that does not pass.
        :raises KieError: There is no job, and why.
        """
        self._order = order
        note = self._memory.load()
        self._cleared = note is not None and self._memory.was_cleared_since(note)
        changes = note.differences(self._memory.asked) if note else []
        step = first_step(
            note.stage if note else None,
            forgotten=self._memory.may_have_forgotten,
            cleared=self._cleared,
            differs=bool(changes),
            may_pass=note is not None and note.may_pass,
            on_doubt=self._order.on_doubt,
        )
        if step == "doubt":
            self._doubt(note)
        if note is None:
            return self._submit()
        if step == "submit":
            self._say_why(note)
            return self._submit()
        if changes:
            log.warning(
                "This is still job %s, which an earlier try submitted; changed since then: %s",
                note.job_id,
                ", ".join(changes),
            )
        if step == "fail":
            raise KieJobFailedError(note.reason, job_id=note.job_id)
        return self._take_over(note)

    def resume(self, job_id: str) -> None:
        """
        Take up the note of a job that was waited for; where there is none yet, write it.

        :param job_id: The job.
        """
        try:
            note = self._memory.load()
        except KieError as error:
            log.warning("Going on with job %s: %s", job_id, error)
            return
        if note is not None and note.job_id == job_id:
            self._memory.adopt(note)
        elif note is None or note.job_id is None:
            self._memory.save_job(job_id, delivered=not self._waits)

    def wait(self, job: Job) -> Job:
        """
        Wait for a job on this worker.

        :param job: The job.
        :return: The same, which has succeeded.
        :raises KieError: As :meth:`~airflow_provider_kie.hooks.kie.KieHook.wait_for_end`.
        """
        try:
            record = self._hook.wait_for_end(
                job,
                timeout=self._order.timeout,
                poll_interval=self._order.poll_interval,
                age=self.age,
                on_wait=partial(self._check_running, job),
            )
        except KieJobTimeoutError:
            # A retry needs its id, and the store may have been away when it was first written down.
            self.resume(job.job_id)
            raise
        return self.finish(job, record)

    def finish(self, job: Job, record: Job | KieError) -> Job:
        """
        End the waiting with the last look at a job.

        :param job: The job.
        :param record: Its record, or what ended the waiting.
        :return: The job, which has succeeded.
        :raises KieError: It has not.
        """
        if isinstance(record, Job) and record.state == "failed":
            self._memory.save_failure(record.to_error())
        done = self._hook.finish(job, record)
        self._memory.save_success(done.job_id, done.to_dict())
        return done

    def give_up(self, trouble: Exception) -> NoReturn:
        """
        End without knowing what becomes of the job.

        :param trouble: What befell the trigger.
        :raises KieJobTimeoutError: It says so, and which job it is.
        """
        try:
            note = self._memory.load()
        except KieError:
            note = None
        job_id = note.job_id if note else None
        job = Job(job_id or "whose id stands further up in the log", self._memory.asked.api)
        raise KieJobTimeoutError(
            f"The waiting broke off ({type(trouble).__name__}: {trouble}). {job.left_running}", job_id=job_id
        ) from trouble

    def _take_over(self, note: Note) -> Job:
        """Go on with the job of an earlier try."""
        job = Job(note.job_id or "", note.api, note.model, created_at=note.sent_at or None)
        self._memory.adopt(note)
        if note.result is not None:
            log.info("Job %s of an earlier try has succeeded; nothing is paid again", note.job_id)
            return Job.from_dict(note.result)
        if not self._waits and not self._cleared:
            return job
        try:
            record = self._look(job)
        except KieError as error:
            if self._cleared and error.unknown_job and note.age > GRACE_SECONDS:
                # A person wants it done, and what is gone cannot be waited for.
                return self._submit()
            if not self._waits:
                raise
            log.warning("Job %s of an earlier try cannot be looked at now: %s", job.job_id, error)
            return job
        return self._go_on(job, record, note)

    def _look(self, job: Job) -> Job:
        """Look at an earlier try's job, more than once: a single odd answer must not lead to another job."""
        for _ in range(LIMIT - 1):
            try:
                return self._hook.get_job(job.job_id, api=job.api, max_retries=0)
            except KieError as error:
                log.warning("Cannot look at job %s, will ask again: %s", job.job_id, error)
            time.sleep(SHORTEST_SECONDS)
            self._check_running(job)
        return self._hook.get_job(job.job_id, api=job.api, max_retries=0)

    def _go_on(self, job: Job, record: Job, note: Note) -> Job:
        """Do what follows from the record of an earlier try's job."""
        may_pass = record.state == "failed" and record.to_error().airflow_may_retry
        step = step_after_look(record, cleared=self._cleared, may_pass=may_pass, delivered=note.delivered)
        log.info("Job %s of an earlier try: %s", job.job_id, record.reason or record.state)
        if step == "submit":
            return self._submit()
        if step == "wait":
            return job
        # What an earlier try has noted, it has told the metrics, too.
        return record if note.stage == "success" else self.finish(job, record)

    def _submit(self) -> Job:
        """Submit a job; what may be paid is written down before it is sent."""
        order, memory = self._order, self._memory
        self._check_running()
        with self._hook.get_conn() as client:
            memory.save_sending()
            try:
                job_id = self._hook.send_submission(
                    client, order.call, order.name, order.input, before=self._check_running
                )
            except KieInDoubtError as error:
                # Where doubt is to end in another submission, Airflow's retry makes it.
                error.transient = order.on_doubt == "submit"
                then = "Airflow's retry submits another." if error.transient else "Nothing more is sent."
                error.saying(f"{error.args[0]} It was sent at {memory.now.sent_at}. {then}")
                raise
            except KieError:
                memory.forget()
                raise
            except BaseException:
                # Airflow's timeout, which says nothing of the job.
                log.error("Ended while a job was sent, which may be billed: look at https://kie.ai/logs")
                raise
            memory.save_job(job_id, delivered=not self._waits)
        return Job(job_id, order.api, order.model, created_at=memory.now.sent_at)

    def _doubt(self, note: Note | None) -> NoReturn:
        """End because an earlier try may have submitted a job, or may not."""
        if note is None:
            what = "Airflow before 3.3 cannot remember whether an earlier try has submitted a job"
        else:
            then = note.sent_at or "an unknown time"
            what = f"An earlier try was sending a job at {then}, and its id was never stored"
        _metrics.report_job("in_doubt", self._order.name, self._hook.kie_conn_id)
        raise KieInDoubtError(
            f"{what} (model {self._order.model!r}, api {self._order.api!r}). If that try's log says "
            "'Submitted job ...', a KieJobSensor can wait for it."
        )

    def _say_why(self, note: Note) -> None:
        """Log why another job is submitted where there was one, or may be."""
        if note.stage == "sending" and not self._cleared:
            log.warning(
                "An earlier try was sending a job at %s, which may run and be billed; submitting another, "
                "because on_doubt is 'submit'",
                note.sent_at,
            )
        elif note.stage == "submitted":
            log.warning("Job %s of an earlier try may still run, and will be billed too", note.job_id)
        elif note.stage == "failed":
            log.info("Submitting another job, because that of an earlier try has failed: %s", note.reason)
        else:
            log.info("Submitting another job, because the task was cleared after job %s", note.job_id)

    def _check_running(self, job: Job | None = None) -> None:
        if self._is_ended():
            fate = job.left_running if job else "Nothing was sent."
            cancelled = KieCancelledError(f"The task was ended from outside. {fate}")
            cancelled.never_sent = job is None
            raise cancelled
