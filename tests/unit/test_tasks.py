"""What a failure of a task looks like, and what is still reachable from it."""

from __future__ import annotations

import logging
import traceback
from datetime import timedelta

import pytest

from airflow_provider_kie import _tasks
from airflow_provider_kie._compat import HAS_RETRY_POLICIES, AirflowFailException
from airflow_provider_kie._tasks import PlainFailures, fail_without_retry
from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieBatchError,
    KieConnectionError,
    KieError,
    KieRateLimitError,
)
from airflow_provider_kie.retry_policy import KieRetryPolicy


def deep(error: Exception, depth: int = 10) -> None:
    """Raise an error from far below, because of another one."""
    if depth:
        deep(error, depth - 1)
    try:
        raise RuntimeError("what a library says")
    except RuntimeError as reason:
        raise error from reason


def frames(error: BaseException) -> int:
    return len(traceback.extract_tb(error.__traceback__))


@pytest.mark.parametrize("context", [PlainFailures, fail_without_retry])
def test_an_error_that_may_pass_keeps_its_class_and_attributes_and_loses_its_frames(
    context: type[PlainFailures],
) -> None:
    error = KieRateLimitError("Too many requests.", code=429, retry_after=7)
    with pytest.raises(KieRateLimitError) as caught, context():
        deep(error)
    assert caught.value is error
    assert (error.code, error.retry_after) == (429, 7)
    assert frames(error) <= 2
    assert str(error.__context__) == "what a library says"


def test_what_no_retry_mends_is_told_once_and_in_the_last_line() -> None:
    error = KieAuthError("Refused.", code=401)
    with pytest.raises(AirflowFailException) as caught, fail_without_retry():
        deep(error)
    assert caught.value.__context__ is error
    lines = "".join(traceback.format_exception(caught.value)).splitlines()
    assert lines[-1].endswith(f"AirflowFailException: KieAuthError: {error}")
    assert len([line for line in lines if "Refused." in line]) == 1
    assert frames(caught.value) <= 2


def test_a_batch_says_which_of_its_files_failed() -> None:
    error = KieBatchError([("a.png", KieAuthError("Refused."))], 2)
    with (
        pytest.raises(AirflowFailException, match=r"^1 of 2 files failed, 1 are done:\n  a.png: KieAuth"),
        fail_without_retry(),
    ):
        raise error


def test_an_error_of_the_file_system_loses_its_frames_and_keeps_what_caused_it_as_its_context() -> None:
    with pytest.raises(FileNotFoundError) as caught, PlainFailures():
        deep(FileNotFoundError(2, "No such file or directory", "a.png"))
    assert caught.value.filename == "a.png"
    assert frames(caught.value) <= 2
    assert str(caught.value.__context__) == "what a library says"


@pytest.mark.parametrize("error", [PermissionError(13, "Access denied"), KieRateLimitError("Too many.")])
def test_a_traceback_does_not_show_what_caused_an_error(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, fail_without_retry():
        deep(error)
    shown = "".join(traceback.format_exception(caught.value))
    assert "what a library says" not in shown
    assert shown.count("Traceback") == 1


@pytest.mark.parametrize("error", [PermissionError(13, "Access denied"), KieConnectionError("Cut off.")])
@pytest.mark.skipif(not HAS_RETRY_POLICIES, reason="Airflow asks a policy from 3.3 on")
def test_a_retry_policy_still_finds_what_caused_an_error(error: Exception) -> None:
    # Set by hand, as by ``raise ... from`` outside the handler: the context is none, or another error.
    error.__cause__, error.__context__ = KieRateLimitError("Too many.", retry_after=7), KeyError("a cache")
    with pytest.raises(type(error)) as caught, fail_without_retry():
        raise error
    assert KieRetryPolicy().evaluate(caught.value, 1, 3).retry_delay == timedelta(seconds=7)


@pytest.mark.parametrize("bug", [ValueError("x"), TypeError("x"), KeyError("x"), KeyboardInterrupt()])
def test_a_bug_keeps_its_traceback(bug: Exception) -> None:
    with pytest.raises(type(bug)) as caught, fail_without_retry():
        deep(bug)
    assert frames(caught.value) > 10
    assert str(caught.value.__cause__) == "what a library says"


def test_the_whole_traceback_is_in_the_log_of_those_who_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, _tasks.__name__)
    with pytest.raises(KieError), PlainFailures():
        deep(KieError("It went wrong."))
    assert "Previous line repeated" in caplog.text
    assert "what a library says" in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.DEBUG]


def test_where_nothing_fails_nothing_happens() -> None:
    with fail_without_retry():
        pass
