"""The hook's verbs for jobs: what they send, what they give, what they say of a job that still runs."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_kie.client.api.records import Job
from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieCancelledError,
    KieConfigError,
    KieConnectionError,
    KieError,
    KieInDoubtError,
    KieJobFailedError,
    KieJobNotFoundError,
    KieJobTimeoutError,
    KieQuotaError,
    KieResponseError,
    KieValidationError,
)
from airflow_provider_kie.decisions import waiting_log
from airflow_provider_kie.hooks import _jobs
from airflow_provider_kie.hooks.kie import KieHook
from tests.fake_host import SILENCE, FakeHost, http

Connect = Callable[..., str]

JOB_ID = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
INPUT = {"prompt": "a prompt that stays out of the log", "seconds": "5"}
URL = "https://tempfile.example/a.png"


def said(code: int, data: Any = None, msg: str = "it says so", **headers: str) -> bytes:
    return http(json.dumps({"code": code, "msg": msg, "data": data}), **headers)


def record(state: str, **more: Any) -> bytes:
    return said(200, {"taskId": JOB_ID, "state": state, "creditsConsumed": 82, **more})


TAKEN = said(200, {"taskId": JOB_ID, "recordId": JOB_ID})
UNKNOWN = said(422, msg="recordInfo is null")
RUNNING = record("generating")
DONE = record("success", resultJson=json.dumps({"resultUrls": [URL]}), costTime=45, creditsConsumed=38.5)
FAILED = record("fail", failCode="500", failMsg="internal error")
POST, GET = "POST /api/v1/jobs/createTask", f"GET /api/v1/jobs/recordInfo?taskId={JOB_ID}"


@pytest.fixture
def host(connect: Connect) -> Iterator[FakeHost]:
    """A host that the connection ``kie_default`` leads to."""
    with FakeHost() as host:
        connect(host=host.url, extra={"timeout": 5, "max_retries": 2})
        yield host


@pytest.fixture
def hook(host: FakeHost, caplog: pytest.LogCaptureFixture) -> KieHook:
    caplog.set_level(logging.INFO, _jobs.__name__)
    return KieHook()


def asked(host: FakeHost) -> list[str]:
    return [request.line.removesuffix(" HTTP/1.1") for request in host.requests]


def generate(hook: KieHook, **more: Any) -> Job:
    return hook.generate(INPUT, model="a-model", **{"poll_interval": 0.01, "timeout": 20, **more})


# Submitting and looking


def test_a_submission_gives_the_id_and_logs_it_with_the_inputs_keys_alone(
    hook: KieHook, host: FakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    host.script = [TAKEN]
    assert hook.submit_job(INPUT, model="a-model", callback_url="https://h.example/") == JOB_ID
    assert asked(host) == [POST]
    sent = {"input": INPUT, "model": "a-model", "callBackUrl": "https://h.example/"}
    assert json.loads(host.requests[0].body) == sent
    assert f"Submitted job {JOB_ID} to a-model, with prompt, seconds" in caplog.messages
    assert INPUT["prompt"] not in caplog.text


def test_another_family_has_its_own_path(hook: KieHook, host: FakeHost) -> None:
    host.script = [TAKEN]
    assert hook.submit_job({}, api="veo") == JOB_ID
    assert asked(host) == ["POST /api/v1/veo/generate"]


def test_a_lost_answer_is_a_doubt_and_its_reason_is_kept(hook: KieHook, host: FakeHost) -> None:
    with pytest.raises(KieInDoubtError, match=r"cannot be told.*kie\.ai/logs") as caught:
        hook.submit_job(INPUT, model="a-model")
    assert isinstance(caught.value.__cause__, KieConnectionError)
    assert asked(host) == [POST]


def test_a_refusal_is_raised_as_it_is(hook: KieHook, host: FakeHost) -> None:
    host.script = [said(422, msg="prompt is required")]
    with pytest.raises(KieValidationError, match="prompt is required") as caught:
        hook.submit_job(INPUT, model="a-model")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "bad",
    [
        {"input": None},
        {"input": {"at": b""}},
        {"model": None},
        {"model": ""},
        {"api": "sora"},
        {"callback_url": "http://h/"},
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": timedelta(0)},
        {"timeout": float("nan")},
        {"timeout": True},
        {"timeout": None},
        {"poll_interval": 0},
        {"poll_interval": "soon"},
    ],
    ids=str,
)
def test_bad_arguments_are_refused_before_the_connection_is_even_looked_up(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"^{next(iter(bad))}\b") as caught:
        KieHook("kie_nowhere").generate(**{"input": INPUT, "model": "a-model", **bad})
    assert not isinstance(caught.value, KieError)


async def test_a_look_gives_the_job_on_an_event_loop_too(hook: KieHook, host: FakeHost) -> None:
    host.script = [DONE, said(500), DONE]
    job = hook.get_job(JOB_ID)
    assert (job.state, job.urls, job.credits, job.seconds) == ("success", [URL], 38.5, 45.0)
    assert await hook.aget_job(JOB_ID) == job
    assert asked(host) == [GET] * 3


async def test_a_look_can_do_without_retries(hook: KieHook, host: FakeHost) -> None:
    host.script = [said(500), said(500)]
    with pytest.raises(KieError):
        hook.get_job(JOB_ID, max_retries=0)
    with pytest.raises(KieError):
        await hook.aget_job(JOB_ID, max_retries=0)
    assert asked(host) == [GET] * 2


async def test_a_look_at_a_failed_job_gives_the_job(hook: KieHook, host: FakeHost) -> None:
    host.script = [FAILED, FAILED]
    assert hook.get_job(JOB_ID).state == (await hook.aget_job(JOB_ID)).state == "failed"


async def test_a_job_that_is_not_known_is_an_error_with_the_api(hook: KieHook, host: FakeHost) -> None:
    host.script = [said(200), said(200)]
    with pytest.raises(KieJobNotFoundError, match="under api 'veo'"):
        hook.get_job(JOB_ID, api="veo")
    with pytest.raises(KieJobNotFoundError, match="under api 'veo'"):
        await hook.aget_job(JOB_ID, api="veo")


async def test_bad_ids_are_refused_before_the_connection_is_looked_up() -> None:
    with pytest.raises(ValueError, match=r"^job_id must be"):
        KieHook("kie_nowhere").get_job("")
    with pytest.raises(ValueError, match=r"^job_id must be"):
        await KieHook("kie_nowhere").aget_job("")


# Submitting and waiting


def test_a_job_is_paid_once_and_its_result_given_with_each_change_in_the_log(
    hook: KieHook, host: FakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    host.script = [TAKEN, UNKNOWN, record("queuing"), RUNNING, RUNNING, DONE]
    job = generate(hook)
    assert (job.job_id, job.model, job.state, job.urls, job.credits) == (
        JOB_ID,
        "a-model",
        "success",
        [URL],
        38.5,
    )
    assert asked(host) == [POST] + [GET] * 5
    _, begin, *changes = (line for line in caplog.messages if JOB_ID in line)
    assert re.fullmatch(
        rf"Waiting for job {JOB_ID}, checking every \S+ s, until 20[-0-9]+ [:0-9]+ UTC", begin
    )
    assert changes == [
        f"kie.ai has no record of job {JOB_ID} yet",
        f"Job {JOB_ID} is waiting",
        f"Job {JOB_ID} is running",
        f"Job {JOB_ID} has succeeded: 38.5 credits, 1 file(s)",
    ]


def test_a_job_that_goes_on_and_on_says_so_now_and_then(
    hook: KieHook, host: FakeHost, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_log, "FIRST_SILENCE", 0.0)
    host.script = [TAKEN, RUNNING, RUNNING, RUNNING, DONE]
    generate(hook)
    said = [line for line in caplog.messages if "is running" in line]
    assert said[0] == f"Job {JOB_ID} is running"
    for number, line in enumerate(said[1:], start=2):
        assert re.fullmatch(
            rf"Job {JOB_ID} is running \(checked {number} times in \S+ s; next check in 0.01 s\)", line
        )
    assert len(said) == 3


def test_trouble_in_between_ends_no_waiting(hook: KieHook, host: FakeHost) -> None:
    trouble = [b"", http("<html>", "502 No"), said(500), said(429), said(455), http("{", "200 OK")]
    host.script = [TAKEN, RUNNING, *trouble, said(422), RUNNING, said(404), RUNNING, said(200), DONE]
    assert generate(hook).state == "success"
    assert asked(host).count(POST) == 1
    assert host.script == []


def test_a_job_that_fails_says_why_and_which(hook: KieHook, host: FakeHost) -> None:
    host.script = [TAKEN, RUNNING, FAILED]
    with pytest.raises(KieJobFailedError, match=f"Job {JOB_ID} of a-model failed: internal error") as caught:
        generate(hook)
    assert (caught.value.job_id, caught.value.code, caught.value.transient) == (JOB_ID, 500, True)


@pytest.mark.parametrize("code", [408, 501, 531])
def test_a_failure_can_come_in_place_of_the_record(hook: KieHook, host: FakeHost, code: int) -> None:
    host.script = [TAKEN] + [said(code, msg="Generation failed")] * 3
    with pytest.raises(
        KieJobFailedError, match=f"^Job {JOB_ID} of market failed: .*Generation failed"
    ) as caught:
        generate(hook)
    assert (caught.value.job_id, caught.value.code) == (JOB_ID, code)
    assert "still running" not in str(caught.value)


def test_a_job_that_outlasts_the_timeout_still_runs_and_costs(hook: KieHook, host: FakeHost) -> None:
    host.script = [TAKEN, *[RUNNING] * 1000]
    with pytest.raises(KieJobTimeoutError, match=r"did not end within 0\.2 seconds") as caught:
        generate(hook, timeout=0.2)
    assert f"Nothing was cancelled: job {JOB_ID} (api 'market') is still running" in str(caught.value)
    assert "will be billed" in str(caught.value)
    # What it holds so far.
    assert (caught.value.job_id, caught.value.credits) == (JOB_ID, 82.0)
    assert asked(host).count(POST) == 1


@pytest.mark.parametrize("timeout", ["0.2", timedelta(seconds=0.2)])
def test_there_is_a_last_look_when_the_time_is_over(hook: KieHook, host: FakeHost, timeout: Any) -> None:
    host.script = [TAKEN, DONE]
    begin = time.monotonic()
    assert generate(hook, timeout=timeout, poll_interval=None).state == "success"
    assert 0.2 <= time.monotonic() - begin < 5


@pytest.mark.parametrize(
    ("answers", "kind", "looks"),
    [
        ([said(401)], KieAuthError, 1),
        ([said(433)], KieQuotaError, 1),
        ([said(200, [])] * 3, KieResponseError, 3),
        ([said(200, {"taskId": "another"})] * 3, KieResponseError, 3),
        ([http("<html>", "403 No")] * 3, KieResponseError, 3),
    ],
    ids=["wrong-key", "cap", "no-record", "another", "a-proxy"],
)
def test_what_ends_the_waiting_says_that_the_job_still_runs_and_costs(
    hook: KieHook, host: FakeHost, answers: list[bytes], kind: type[KieError], looks: int
) -> None:
    host.script = [TAKEN, RUNNING, *answers, DONE]
    with pytest.raises(kind) as caught:
        generate(hook)
    assert str(caught.value).count(f"Nothing was cancelled: job {JOB_ID}") == 1
    assert "will be billed" in str(caught.value)
    assert asked(host) == [POST] + [GET] * (1 + looks)


def test_a_job_that_stays_unknown_is_given_up_after_its_grace(
    hook: KieHook, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_kie.decisions.jobs.GRACE_SECONDS", 0.3)
    host.script = [TAKEN, *[UNKNOWN] * 1000]
    begin = time.monotonic()
    with pytest.raises(KieJobNotFoundError, match="If there is such a job, it will be billed"):
        generate(hook)
    assert 0.3 <= time.monotonic() - begin < 5


def test_a_connection_that_becomes_unusable_ends_it_with_the_id(
    hook: KieHook, host: FakeHost, connect: Connect
) -> None:
    host.script = [TAKEN]
    job_id = hook.submit_job(INPUT, model="a-model")
    connect(host=host.url, extra={"timeout": "soon"})
    with pytest.raises(KieConfigError, match=f"Nothing was cancelled: job {JOB_ID}"):
        hook.finish(Job(job_id), hook.wait_for_end(Job(job_id), timeout=20, poll_interval=0.01))


def test_the_schedule_is_told_the_age_and_the_interval(
    hook: KieHook, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[float, float | None]] = []

    def soon(age: float, interval: float | None = None) -> float:
        told.append((round(age), interval))
        return 0.01

    monkeypatch.setattr(_jobs, "seconds_to_look", soon)
    host.script = [RUNNING, DONE]
    hook.wait_for_end(Job(JOB_ID), timeout=20, age=100, poll_interval=7)
    assert told == [(100, 7)] * 2


def test_a_wait_that_kie_ai_asks_for_is_kept(hook: KieHook, host: FakeHost) -> None:
    host.script = [said(429, Retry_After="0.5"), DONE]
    begin = time.monotonic()
    hook.wait_for_end(Job(JOB_ID), timeout=20, poll_interval=0.01)
    assert 0.5 <= time.monotonic() - begin < 5


# Being ended


def test_whoever_waits_is_called_at_least_ten_times_a_second_however_slow_kie_ai_is(
    hook: KieHook, host: FakeHost, connect: Connect
) -> None:
    connect(host=host.url, extra={"timeout": 20})
    host.script = [[1.0, RUNNING], DONE]
    calls = [time.monotonic()]
    hook.wait_for_end(
        Job(JOB_ID), timeout=20, poll_interval=0.5, on_wait=lambda: calls.append(time.monotonic())
    )
    waited = calls[-1] - calls[0]
    assert waited > 1.9
    assert len(calls) >= 10 * waited


@pytest.mark.parametrize("answer", [[SILENCE], RUNNING], ids=["during-a-look", "between-looks"])
def test_whoever_waits_can_end_it_at_any_time(
    hook: KieHook, host: FakeHost, connect: Connect, answer: Any
) -> None:
    connect(host=host.url, extra={"timeout": SILENCE})
    host.script = [answer] * 100

    def end_soon() -> None:
        if time.monotonic() > begin + 0.3:
            raise KieCancelledError("ended from outside")

    begin = time.monotonic()
    with pytest.raises(KieCancelledError, match=r"^ended from outside$"):
        hook.wait_for_end(Job(JOB_ID), timeout=SILENCE, poll_interval=0.1, on_wait=end_soon)
    assert time.monotonic() - begin < 2


def test_what_knows_nothing_of_jobs_and_ends_it_leaves_a_word_in_the_log(
    hook: KieHook, host: FakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    host.script = [RUNNING]

    def out_of_time() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        hook.wait_for_end(Job(JOB_ID), timeout=20, on_wait=out_of_time)
    assert f"Nothing was cancelled: job {JOB_ID}" in caplog.text
    assert "will be billed" in caplog.text
