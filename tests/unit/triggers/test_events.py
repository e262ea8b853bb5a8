"""The event that resumes a deferred task: maybe one that another version of the provider wrote."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from airflow_provider_kie.client.api.records import Job
from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieConnectionError,
    KieError,
    KieInDoubtError,
    KieJobFailedError,
    KieJobTimeoutError,
)
from airflow_provider_kie.triggers._events import event_of, job_in, read_job_event
from airflow_provider_kie.triggers.credits import read_event

DONE = Job(
    "a1b2",
    "suno",
    "V5",
    "success",
    ["https://x.example/1.mp3", "https://x.example/2.mp3"],
    {"text": "la la"},
    7.5,
    61.25,
    "2026-11-02T08:00:00Z",
    "2026-11-02T08:01:01Z",
)


def stored(event: Any) -> Any:
    """An event as it comes back out of Airflow's database."""
    return json.loads(json.dumps(event))


@pytest.mark.parametrize(
    ("poll", "stored"),
    [
        (50.0, '{"status": "success", "credits": 50.0}'),
        (
            KieAuthError("no", code=401),
            '{"status": "error", "error": "KieAuthError", "message": "no", "code": 401, '
            '"said_by_kie": false}',
        ),
        (
            KieConnectionError("not trusted", transient=False),
            '{"status": "error", "error": "KieConnectionError", "message": "not trusted", "code": null, '
            '"said_by_kie": false}',
        ),
    ],
)
def test_the_form_of_an_event_stays_and_is_read(poll: float | KieError, stored: str) -> None:
    assert json.dumps(event_of(poll)) == stored
    if isinstance(poll, float):
        assert read_event(json.loads(stored)) == poll
        return
    with pytest.raises(type(poll)) as caught:
        read_event(json.loads(stored))
    assert (str(caught.value), caught.value.code) == (str(poll), poll.code)


def test_a_job_comes_back_as_it_was() -> None:
    event = stored(event_of(DONE))
    assert event["status"] == "success"
    assert read_job_event(event) == job_in(event) == DONE


@pytest.mark.parametrize(
    "output", [None, "text", [], {"nested": [{"a": [1, None, True]}]}, 2**70, "\ud800\0"]
)
def test_whatever_a_model_answered_an_event_is_plain_text(output: Any) -> None:
    """Airflow's wire format has no large integers and no halves of characters, its database no NUL."""
    event = event_of(Job("a1b2", state="success", output=output))
    assert set(map(type, event.values())) == {str}
    assert all(text.isascii() and text.isprintable() for text in event.values())
    assert read_job_event(stored(event)).output == output


def test_an_error_is_changed_where_airflows_wire_format_could_not_carry_it() -> None:
    event = event_of(KieError("half a \ud83d character", code=2**70))
    assert (event["message"], event["code"]) == ("half a ? character", None)


def test_an_answer_that_is_no_number_comes_back_too() -> None:
    job = read_job_event(stored(event_of(Job("a1b2", state="success", output={"loss": math.nan}))))
    assert math.isnan(job.output["loss"])


def test_a_failed_job_is_its_error_and_can_be_had_as_the_job() -> None:
    failed = Job("a1b2", "veo", state="failed", credits=3.0, code=422, reason="flagged")
    event = stored(event_of(failed))
    assert (event["status"], event["error"], event["code"]) == ("error", "KieJobFailedError", 422)
    assert job_in(event) == failed
    with pytest.raises(KieJobFailedError, match="Job a1b2 of veo failed: flagged") as caught:
        read_job_event(event)
    assert (caught.value.job_id, caught.value.credits, caught.value.transient) == ("a1b2", 3.0, False)
    assert caught.value.said_by_kie


@pytest.mark.parametrize("kind", [KieJobTimeoutError, KieInDoubtError])
def test_an_error_about_a_job_comes_back_with_the_job(kind: type[KieJobTimeoutError]) -> None:
    error = kind("still running", job_id="a1b2", credits=3.0)
    with pytest.raises(kind, match="still running") as caught:
        read_job_event(stored(event_of(error)))
    assert (caught.value.job_id, caught.value.credits, caught.value.transient) == ("a1b2", 3.0, False)


def test_what_a_later_version_adds_to_a_job_is_left_out() -> None:
    event = {"status": "success", "job": '{"job_id": "a1b2", "state": "success", "colour": "blue"}'}
    assert read_job_event(event) == Job("a1b2", state="success")


@pytest.mark.parametrize(
    "event",
    [
        None,
        {},
        "yes",
        {"status": "success"},
        {"status": "success", "credits": 7.0},
        {"status": "success", "job": None},
        {"status": "success", "job": "no JSON"},
        {"status": "success", "job": "[]"},
        {"status": "success", "job": "{}"},
        {"status": "error", "message": "no"},
    ],
)
def test_what_is_no_event_of_a_job_is_refused(event: Any) -> None:
    with pytest.raises(ValueError, match="no event of KieJobTrigger"):
        read_job_event(event)
