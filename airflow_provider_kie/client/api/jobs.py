"""Jobs, the paid generations: submitting one and asking for its record, the same for every family."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from airflow_provider_kie.client.api.families import FAMILIES, MARKET, Family
from airflow_provider_kie.client.api.records import Job, parse_record
from airflow_provider_kie.client.arguments import (
    check_callback_url,
    check_choice,
    check_job_id,
    check_text,
    json_object,
)
from airflow_provider_kie.client.call import Call
from airflow_provider_kie.client.errors import (
    KieError,
    KieFeatureDisabledError,
    KieInDoubtError,
    KieJobFailedError,
    KieJobNotFoundError,
    KieNoDataError,
    KieResponseError,
    KieSourceError,
    KieUnavailableError,
    KieValidationError,
    quote,
)
from airflow_provider_kie.client.retries import was_refused

# Sent where a family requires a callback URL and the caller has none: a name that never leads anywhere.
NO_CALLBACK = "https://callback.invalid/"

# Code 500 says so as well as that something broke; only the words differ.
_SAYS_PAUSED = re.compile(r"\b(paused|disabled)\b", re.IGNORECASE)
_SAYS_PARAMETER = re.compile(
    r"\b(is|are) (required|invalid|not supported)\b|not within the range|allowed options|\bmust be\b"
    r"|\b(cannot|can't) be (empty|blank|null)\b|\binvalid (parameter|value|input|model)",
    re.IGNORECASE,
)
_NAMES_A_FILE = re.compile(r"url|link|image|video|audio|file", re.IGNORECASE)
# Of its own parts kie.ai says the same, and they may break after it has accepted a job.
_NAMES_A_PART = re.compile(
    r"\b(server|service|upstream|gateway|internal|response|result|connection|time-?out|\w*exception)\b",
    re.IGNORECASE,
)


def submit_job(
    input: Any, *, model: str | None = None, api: str = MARKET, callback_url: str | None = None
) -> Call[str]:
    """
    Submit a job; costs credits, and is never repeated unless it was refused or never sent.

    :param input: For Market the model's input, for the other families the body that their page shows.
    :param model: Model; a must for Market.
    :param api: Family of models.
    :param callback_url: Where kie.ai announces the job's end.
    :return: A call that returns the job's id.
    :raises ValueError: An argument is unusable.

    kie.ai page: https://docs.kie.ai/market/quickstart
    """
    family = family_of(api)
    body = json_object("input", input)
    if model is not None and not (isinstance(model, str) and check_text("model", model).strip()):
        raise ValueError(f"model must be the name of a model, not {model!r}")
    if callback_url is not None:
        check_callback_url(callback_url)
    if api == MARKET:
        if model is None:
            raise ValueError("model is missing: Market has many; name one, as its page on kie.ai shows it")
        body = {"input": body}
    elif model is not None and not family.has_model:
        raise ValueError(f"api {api!r} has no choice of models: leave model={model!r} out")
    _put(body, "model", model)
    _put(body, "callBackUrl", callback_url)
    if family.wants_callback:
        body.setdefault("callBackUrl", NO_CALLBACK)
    return Call("job submission", "api", "POST", family.submit, _job_id_of, json=body, repeatable=False)


def get_job(job_id: str, *, api: str = MARKET) -> Call[Job]:
    """
    Read a job's record; free.

    :param job_id: The job.
    :param api: Family of models that it was submitted to.
    :return: A call that returns the job.
    :raises ValueError: An argument is unusable.

    kie.ai page: https://docs.kie.ai/market/common/get-task-detail
    """
    return Call(
        "job record",
        "api",
        "GET",
        family_of(api).record,
        partial(parse_record, check_job_id(job_id), api),
        params={"taskId": job_id},
        explain=partial(_explain, job_id, api),
    )


def family_of(api: str) -> Family:
    """
    Look up a family of models.

    :param api: Its name.
    :return: Its row.
    :raises ValueError: There is none of that name; the message lists all.
    """
    return FAMILIES[check_choice("api", api, list(FAMILIES))]


def judge_submission(error: KieError) -> KieError:
    """
    Judge a submission that failed: is there no job, or may there be one?

    :param error: What came of it, after all repetitions.
    :return: An error of kie.ai's table if there is no job, because it was refused or never sent; else
        :class:`~airflow_provider_kie.client.errors.KieInDoubtError`.
    """
    if was_refused(error):
        return error
    if error.said_by_kie and error.code == 500 and (refusal := _refusal_in(error)):
        return refusal
    said = str(error).rstrip(".")
    return KieInDoubtError(
        f"{said}. Whether kie.ai has accepted the job, and will bill it, cannot be told from this.",
        code=error.code,
    )


def _refusal_in(error: KieError) -> KieError | None:
    """Read from the words of a code 500 that kie.ai accepted nothing."""
    said = str(error.args[0])
    if _NAMES_A_PART.search(said):
        return None
    if _SAYS_PAUSED.search(said):
        return KieFeatureDisabledError(said, code=500, said_by_kie=True)
    if isinstance(error, KieSourceError):
        return error if _NAMES_A_FILE.search(said) else None
    if _SAYS_PARAMETER.search(said):
        return KieValidationError(said, code=500, said_by_kie=True)
    return None


def _put(body: dict[str, Any], name: str, value: str | None) -> None:
    """Add an argument to a body, which may have it already."""
    if value is not None and body.setdefault(name, value) != value:
        raise ValueError(f"input has another {name} than the argument: leave one of them out")


def _job_id_of(data: Any) -> str:
    job_id = data.get("taskId") if isinstance(data, Mapping) else None
    if not isinstance(job_id, str):
        raise KieResponseError("accepted, but without a taskId")
    try:
        return check_job_id(job_id)
    except ValueError:
        raise KieResponseError(f"accepted, but with a taskId that is none: {quote(job_id)!r}") from None


def _explain(job_id: str, api: str, error: KieError) -> KieError:
    """Tell a record that is not there, in each family's way, and a failed job from other refusals."""
    if isinstance(error, KieJobFailedError):
        if not error.said_by_kie:
            return KieUnavailableError(str(error), code=error.code, retry_after=error.retry_after)
        said = f"Job {job_id} of {api} failed: {error.args[0]}"
        return KieJobFailedError(said, code=error.code, said_by_kie=True, job_id=job_id)
    if isinstance(error, KieNoDataError) or (error.said_by_kie and error.code in (404, 422)):
        return KieJobNotFoundError(
            f"kie.ai has no record of job {job_id} under api {api!r} ({error.args[0]}). Unless the job is "
            "new, it was submitted to another api, with another account's key, or is gone by now.",
            code=error.code,
            said_by_kie=error.said_by_kie,
        )
    return error
