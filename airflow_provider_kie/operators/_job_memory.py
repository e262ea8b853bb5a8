"""What a task remembers of its job, so that no later try pays for another."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_kie._state import TaskStateStore
from airflow_provider_kie.client.errors import KieError, KieJobFailedError
from airflow_provider_kie.decisions.jobs import Stage

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

KEY = "kie-job"
# Whatever Airflow is configured to: a note that is gone too early is a job that is paid again.
RETENTION = timedelta(days=30)
# Airflow warns of values above 64 KiB; a larger result is read again at kie.ai.
RESULT_BYTES = 48 * 1024


@dataclass(frozen=True)
class Note:
    """
    What is written down of a job.

    :param stage: How far it came: ``sending``, ``submitted``, ``success``, ``failed``.
    :param max_tries: The task instance's; a clear sets it anew.
    :param api: Family of models.
    :param model: Model.
    :param input: A hash of each value of the input, by its key.
    :param sent_at: Time of the submission, ISO 8601 in UTC.
    :param job_id: The job, once kie.ai has answered.
    :param delivered: Whether the try had nothing to wait for.
    :param result: The operator's result.
    :param reason: Why the job failed.
    :param may_pass: Whether that reason may pass.
    """

    stage: Stage
    max_tries: int
    api: str = ""
    model: str | None = None
    input: Mapping[str, str] = field(default_factory=dict)
    sent_at: str = ""
    job_id: str | None = None
    delivered: bool = False
    result: Mapping[str, Any] | None = None
    reason: str = ""
    may_pass: bool = False

    @classmethod
    def read(cls, value: Any) -> Self | None:
        """
        Read what an earlier try has written, maybe in another version of the provider.

        :param value: The stored value.
        :return: The note; None if it cannot be read.
        """
        match value:
            case {"stage": "sending", "max_tries": int()}:
                pass
            case {"stage": "submitted" | "success" | "failed", "max_tries": int(), "job_id": str()}:
                pass
            case _:
                return None
        note = cls(**{name: value[name] for name in cls.__dataclass_fields__ if name in value})
        match note.input, note.result:
            case {}, None | {"job_id": str(), "state": "success"}:
                return note
        return None

    def differences(self, other: Note) -> list[str]:
        """
        Name what two notes ask differently of kie.ai.

        :param other: Another note.
        :return: ``api``, ``model``, and keys of the input.
        """
        names = [name for name in ("api", "model") if getattr(self, name) != getattr(other, name)]
        keys = sorted(self.input.keys() | other.input.keys())
        return names + [f"input[{key!r}]" for key in keys if self.input.get(key) != other.input.get(key)]

    @property
    def age(self) -> float:
        """Seconds since the submission, by the clock on the wall."""
        try:
            return max((datetime.now(UTC) - datetime.fromisoformat(self.sent_at)).total_seconds(), 0.0)
        except (TypeError, ValueError):
            return 0.0


class JobMemory:
    """
    The note of a task's job, in the task's state store: from Airflow 3.3 on.

    :param context: The task's context.
    :param retries: How often Airflow retries the task.
    :param api: Family of models that is asked now.
    :param model: Model that is asked now.
    :param input: Input that is given now.
    """

    def __init__(
        self, context: Context, retries: int | None, api: str, model: str | None, input: Any
    ) -> None:
        self._state = TaskStateStore(context)
        self.may_have_forgotten = not self._state.is_available and not self._state.is_first_try(retries)
        """Whether an earlier try may have submitted a job that nothing could be written down of."""
        self.asked = self.now = Note("sending", self._state.max_tries, api, model, _hashes(input))
        """What is asked for now, and the note of the job that this try submits or waits for."""

    def load(self) -> Note | None:
        """
        Read the note of an earlier try.

        :return: The note; None where there is none.
        :raises KieError: It cannot be read, so nothing may be sent.
        """
        try:
            value = self._state.load(KEY)
        except Exception as error:
            raise KieError(
                "Airflow's state store cannot tell whether an earlier try has submitted a job, so nothing "
                f"was sent: {type(error).__name__}: {error}",
                transient=True,
            ) from error
        if value is None:
            return None
        if (note := Note.read(value)) is None:
            # Something was sent, or was to be. Written down legibly, a person's clear can settle it.
            note = self.now = Note("sending", self._state.max_tries)
            self._try(self._save, "Airflow's state store has a note that cannot be read")
        return note

    def was_cleared_since(self, note: Note) -> bool:
        """
        Tell a person's clear from Airflow's own retry.

        :param note: The note of an earlier try.
        :return: Whether a person has cleared the task since.
        """
        return note.max_tries != self._state.max_tries

    def save_sending(self) -> None:
        """
        Write down that a job is about to be submitted.

        :raises KieError: It cannot be written down, so nothing may be sent.
        """
        self.now = replace(self.asked, sent_at=datetime.now(UTC).isoformat())
        try:
            self._save()
        except Exception as error:
            # It may have been written nevertheless, and would leave the next try in doubt.
            self.forget()
            raise KieError(
                "Airflow's state store cannot keep that a job is about to be submitted, so nothing was sent: "
                f"{type(error).__name__}: {error}",
                transient=True,
            ) from error

    def save_job(self, job_id: str, *, delivered: bool) -> None:
        """
        Write down the id of the job.

        :param job_id: The job.
        :param delivered: Whether the try has nothing to wait for.
        """
        self.now = replace(self.now, stage="submitted", job_id=job_id, delivered=delivered)
        self._try(self._save, f"Airflow's state store cannot keep the id of job {job_id}; going on with it")

    def adopt(self, note: Note) -> None:
        """
        Go on with the job of an earlier try.

        :param note: The note of it.
        """
        self.now = replace(note, max_tries=self._state.max_tries)

    def save_success(self, job_id: str, result: Mapping[str, Any]) -> None:
        """
        Write down that the job has succeeded.

        :param job_id: The job.
        :param result: What the operator returns; one that is too large is left out.
        """
        fits = len(json.dumps(result)) <= RESULT_BYTES
        self.now = replace(self.now, stage="success", job_id=job_id, result=result if fits else None)
        self._try(self._save, f"Airflow's state store cannot keep that job {job_id} has succeeded")

    def save_failure(self, error: KieJobFailedError) -> None:
        """
        Write down that the job has failed.

        :param error: Which job, and why it failed.
        """
        reason, may_pass = str(error.args[0]), error.airflow_may_retry
        self.now = replace(self.now, stage="failed", job_id=error.job_id, reason=reason, may_pass=may_pass)
        self._try(self._save, f"Airflow's state store cannot keep that job {error.job_id} has failed")

    def forget(self) -> None:
        """Remove the note: there is no job."""
        self._try(
            lambda: self._state.delete(KEY),
            "Airflow's state store cannot forget that a job was about to be submitted; none was accepted, "
            "but a retry will take it for doubtful",
        )

    def _save(self) -> None:
        self._state.save(KEY, asdict(self.now), retention=RETENTION)

    def _try(self, work: Callable[[], None], trouble: str) -> None:
        """Do what the task can go on without."""
        try:
            work()
        except Exception as error:
            log.warning("%s: %s: %s", trouble, type(error).__name__, error)


def _hashes(input: Any) -> dict[str, str]:
    # A task that is resumed gets its job's result, whatever has become of its arguments meanwhile.
    given = input if isinstance(input, Mapping) else {}
    return {str(key): _hash(one) for key, one in given.items()}


def _hash(value: Any) -> str:
    try:
        text = json.dumps(value, sort_keys=True, default=repr)
    except (TypeError, ValueError):
        text = repr(value)
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
