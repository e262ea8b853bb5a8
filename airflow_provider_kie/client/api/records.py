"""A job's record, in every family's words, read into one shape."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import pendulum

from airflow_provider_kie.client.api.families import FAMILIES, MARKET
from airflow_provider_kie.client.errors import (
    KieError,
    KieJobFailedError,
    KieJobTimeoutError,
    KieResponseError,
    quote,
)
from airflow_provider_kie.client.portable import finite_number, portable
from airflow_provider_kie.client.urls import is_http_url

State = Literal["waiting", "running", "success", "failed"]

_STATES: Mapping[str, State] = {
    **dict.fromkeys(("waiting", "wait", "queuing", "queueing", "pending"), "waiting"),
    **dict.fromkeys(("generating", "text_success", "first_success", "0"), "running"),
    **dict.fromkeys(("success", "1"), "success"),
    **dict.fromkeys(("fail", "failed", "2", "3"), "failed"),
}
# The media may be there, and only their announcement has failed.
_UNANNOUNCED = "callback_"
# Failures for which no input is to blame, although their codes look like it.
_PASSING = frozenset({408, 429, 430, 455})
_BLAMES_THE_INPUT = re.compile(
    r"sensitive|nsfw|unsafe|moderat|policy|prohibit|violat|copyright|flagged|blocked|not allowed"
    r"|invalid|required|must be|unsupported|not support|not within the range",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Job:
    """
    A paid generation, as its record describes it.

    :param job_id: kie.ai's ``taskId``.
    :param api: Family of models.
    :param model: Model; None where neither record nor caller names one.
    :param state: ``waiting``, ``running``, ``success`` or ``failed``, whatever the family calls it.
    :param urls: The result's files, in order.
    :param output: The result as kie.ai words it: text, lyrics, masks, ``resultObject``.
    :param credits: What kie.ai says it consumes; while the job runs, what is held. None if it does not say.
    :param seconds: How long it took; None while it runs.
    :param created_at: Time of the submission, ISO 8601 in UTC.
    :param completed_at: Time of its end, ISO 8601 in UTC.
    :param code: kie.ai's code for a failure.
    :param reason: kie.ai's words for a failure.
    """

    job_id: str
    api: str = MARKET
    model: str | None = None
    state: State = "waiting"
    urls: list[str] = field(default_factory=list)
    output: Any = None
    credits: float | None = None
    seconds: float | None = None
    created_at: str | None = None
    completed_at: str | None = None
    code: int | None = None
    reason: str | None = None

    @classmethod
    def from_dict(cls, known: Mapping[str, Any]) -> Self:
        """
        Read what was stored of a job, maybe by a later version of the provider, which has more fields.

        :param known: Fields by their names.
        :return: The job.
        """
        return cls(**{name: known[name] for name in cls.__dataclass_fields__ if name in known})

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON-safe dict that the operator returns."""
        return {name: value for name, value in vars(self).items() if name not in ("code", "reason")}

    @property
    def left_running(self) -> str:
        """What to say where nobody waits for it any more."""
        which = f"job {self.job_id} (api {self.api!r})"
        return f"Nothing was cancelled: {which} is still running, as far as is known, and will be billed."

    def left_by(self, error: KieError) -> KieError:
        """
        Complete the error that ends the waiting.

        :param error: Why the job could not be looked at, or that it has failed.
        :return: The same error, which says what becomes of the job.
        """
        if error.ended_job:
            return error
        left = "If there is such a job, it will be billed." if error.unknown_job else self.left_running
        return error.saying(f"{error.args[0]} {left}")

    def to_timeout(self, span: str) -> KieJobTimeoutError:
        """
        Give the error for a job that outlasts the waiting.

        :param span: How long that was.
        :return: The error; it cancels nothing.
        """
        return KieJobTimeoutError(
            f"Job {self.job_id} did not end within {span}. {self.left_running}",
            job_id=self.job_id,
            credits=self.credits,
        )

    def to_error(self) -> KieJobFailedError:
        """
        Give the error that a failed job stands for.

        :return: Transient unless the job's own input is to blame.
        """
        code = self.code or 0
        own_fault = 400 <= code < 500 and code not in _PASSING
        said = self.reason or "no reason given"
        return KieJobFailedError(
            f"Job {self.job_id} of {self.model or self.api} failed: {said}"
            f"{f' (code {self.code})' if self.code else ''}.",
            code=self.code,
            transient=not own_fault and not _BLAMES_THE_INPUT.search(said),
            said_by_kie=True,
            job_id=self.job_id,
            credits=self.credits,
        )


def parse_record(job_id: str, api: str, data: Any) -> Job:
    """
    Read a record.

    :param job_id: The job that was asked for.
    :param api: Its family.
    :param data: The answer's ``data``.
    :return: The job.
    :raises KieResponseError: It is no record of this job, or promises a result that is not there.
    """
    if not isinstance(data, Mapping):
        raise KieResponseError(f"the record of job {job_id} is no object but {type(data).__name__}")
    if data.get("taskId") not in (None, "", job_id):
        raise KieResponseError(f"asked for the record of job {job_id}, got that of another")
    family = FAMILIES[api]
    word = _word(data.get(family.state)).lower()
    output = _loaded(data.get(family.result))
    found = [url for path in family.urls for url in _pick(output, path)]
    is_there = _has_content(output)
    state = _state_of(word, is_there and all(found) and bool(found or not family.urls))
    if state == "success" and not is_there:
        raise KieResponseError(f"job {job_id} has succeeded, but its record has no {family.result}")
    created, completed = data.get("createTime"), data.get("completeTime")
    over = state in ("success", "failed")
    return Job(
        job_id=job_id,
        api=api,
        model=(quote(data["model"]) or None) if isinstance(data.get("model"), str) else None,
        state=state,
        urls=_checked_urls(job_id, found) if state == "success" else [],
        output=portable(output) if state == "success" else None,
        credits=finite_number(data.get("creditsConsumed")),
        seconds=_seconds(data.get("costTime"), created, completed) if over else None,
        created_at=_moment(created),
        completed_at=_moment(completed) if over else None,
        **(_failure(data, word) if state == "failed" else {}),
    )


def _state_of(word: str, is_complete: bool) -> State:
    if word.startswith(_UNANNOUNCED):
        return "success" if is_complete else "running"
    if word.endswith(("_failed", "_error")):
        return "failed"
    # A word that nobody knows yet is no reason to give up what is paid for.
    return _STATES.get(word, "running")


def _loaded(value: Any) -> Any:
    """Read a field that may be JSON in text, some of it written by Python, whose NaN nobody else reads."""
    if isinstance(value, str) and (value.lstrip()[:1] in ("{", "[") or value.strip() == "null"):
        try:
            return json.loads(value, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            return None
    return value


def _has_content(output: Any) -> bool:
    """Whether there is more in a result than the job's own id."""
    if isinstance(output, Mapping):
        return any(value for name, value in output.items() if name != "taskId")
    return bool(output)


def _pick(value: Any, path: str) -> Iterator[Any]:
    """Give the values at a path such as ``sunoData[].audioUrl``; None for a list's entry that lacks it."""
    name, is_list, rest = path.partition("[]")
    found = value.get(name) if isinstance(value, Mapping) else None
    if not is_list:
        yield from [found] if found else []
        return
    entries = _loaded(found)
    for entry in entries if isinstance(entries, list) else []:
        yield next(_pick(entry, rest[1:]), None) if rest else entry


def _checked_urls(job_id: str, found: list[Any]) -> list[str]:
    texts = [url.strip() for url in found if isinstance(url, str)]
    urls = [url for url in texts if is_http_url(url)]
    # One that is none is still in the output, and the others are paid for.
    if any(found) and not urls:
        raise KieResponseError(f"the result of job {job_id} has no URL, but something in its place")
    return urls


def _failure(data: Mapping[str, Any], word: str) -> dict[str, Any]:
    code, said = (
        next((data[name] for name in names if data.get(name) not in (None, "")), None)
        for names in (("failCode", "errorCode"), ("failMsg", "errorMessage", "msg"))
    )
    number = finite_number(code)
    # Suno's reason is the state; a code can be a word as well.
    words = [_word(part) for part in (said, code if number is None else None) if _word(part)]
    if not word.isdigit() and word not in _STATES:
        words.append(word.upper())
    return {
        "code": None if number is None else int(number),
        "reason": quote(", ".join(words)) if words else None,
    }


def _word(value: Any) -> str:
    return str(value).strip() if isinstance(value, str | int | float) else ""


def _seconds(cost: Any, created: Any, completed: Any) -> float | None:
    """How long it took: recorded in seconds, documented in milliseconds, so the two times decide."""
    seconds, begin, end = finite_number(cost), finite_number(created), finite_number(completed)
    span = (end - begin) / 1000 if begin and end and end >= begin else None
    if seconds is None or seconds <= 0:
        return span
    return min(seconds, seconds / 1000, key=lambda one: abs(one - span)) if span is not None else seconds


def _moment(milliseconds: Any) -> str | None:
    number = finite_number(milliseconds)
    if number is None or not 1e11 < number < 1e14:
        return None
    return pendulum.from_timestamp(number / 1000).to_iso8601_string()
