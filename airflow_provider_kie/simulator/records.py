"""How a job's record is worded, given what is special to its family. No HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_kie.simulator.jobs import Model, SimulatedJob

Fields = dict[str, Any]


@dataclass(frozen=True)
class Family:
    """Where a family's jobs are submitted and looked up, and how their record is worded."""

    submit: str
    """The path, below ``/api/v1/``, like the next one."""
    record: str
    key: str
    """The record's field with the state."""
    running: tuple[str | int, ...]
    """The words for a job under way, each for an equal part of its time."""
    success: str | int
    failed: str | int
    result: Callable[[SimulatedJob, Mapping[str, Any]], Fields]
    """Gives what only a job that has succeeded has, from the job and its model's ``output``."""
    field: str | None = "response"
    """The record's field for that, null before; None: text fields of the record itself, empty before."""
    param: str | None = None
    """The record's field with the submitted body, as JSON text."""
    callback: str = "data.taskId"
    """Where a callback has the job's id."""
    error: tuple[str, str] = ("errorCode", "errorMessage")
    no_error: tuple[Any, Any] = (None, None)
    error_type: type = int
    data: Callable[[SimulatedJob], Fields] = lambda _: {}
    """What else the record has."""
    files: tuple[tuple[str, bytes], ...] = ()
    """What a model generates by default."""


def milliseconds(moment: float | None) -> int | None:
    """
    Write a moment as kie.ai's records do.

    :param moment: seconds since the epoch, or None.
    :return: milliseconds since the epoch, or None.
    """
    return None if moment is None else round(moment * 1000)


def body_of(job: SimulatedJob) -> Fields:
    """
    Give a job's body as it was submitted.

    :param job: the job.
    :return: the body, without what was not sent.
    """
    model = {} if job.model is None else {"model": job.model}
    callback = {} if job.callback_url is None else {"callBackUrl": job.callback_url}
    return model | callback | ({"input": job.input} if job.api == "market" else dict(job.input))


def record_of(family: Family, job: SimulatedJob, model: Model) -> Fields:
    """
    Describe a job as its family's record does.

    :param family: its family.
    :param job: the job.
    :param model: what was said of its result.
    :return: the ``data`` of the answer.
    """
    error = family.no_error
    if job.fail_code is not None:
        error = (family.error_type(job.fail_code), job.fail_msg)
    return {
        "taskId": job.job_id,
        **({family.param: json.dumps(body_of(job))} if family.param else {}),
        family.key: word_of(family, job, model),
        **result_of(family, job, model),
        **dict(zip(family.error, error, strict=True)),
        # invented: that every family has these two in milliseconds; the documents show text for some.
        "createTime": milliseconds(job.submitted_at),
        "completeTime": milliseconds(job.completed_at),
        **family.data(job),
    }


def result_of(family: Family, job: SimulatedJob, model: Model) -> Fields:
    """
    Give the part of a record that is its result.

    :param family: the job's family.
    :param job: the job.
    :param model: what was said of its result.
    :return: the fields; without a value while the job has not succeeded.
    """
    done = job.state == "success"
    result = family.result(job, model.output)
    if family.field is None:
        return result if done else dict.fromkeys(result, "")
    return {family.field: result if done else None}


def word_of(family: Family, job: SimulatedJob, model: Model) -> str | int:
    """
    Give the family's word for a job's state.

    :param family: the job's family.
    :param job: the job.
    :param model: what was said of its end.
    :return: such as ``success``, ``SUCCESS`` or 1.
    """
    if job.completed_at is None:
        return family.running[int(job.progress * len(family.running))]
    if model.word is not None:
        return model.word
    return family.failed if job.state == "failed" else family.success
