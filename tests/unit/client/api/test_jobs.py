"""What a submission comes to, and how many POSTs are on the wire for it; how records are asked for."""

from __future__ import annotations

import json
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_provider_kie.client.api.jobs import get_job, judge_submission, submit_job
from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import (
    KieCancelledError,
    KieConfigError,
    KieConnectionError,
    KieError,
    KieInDoubtError,
    KieJobNotFoundError,
    KieRateLimitError,
    KieResponseError,
    KieTransferError,
    KieUnavailableError,
    KieValidationError,
)
from tests.fake_host import SILENCE, FakeHost, http, tunnel_to
from tests.unit.client.api.submissions import (
    FOR_NOW,
    GOOD,
    IN_DOUBT,
    JOB_ID,
    REFUSED,
    TAKEN,
    said,
)
from tests.unit.client.sending import Send, settings_of

SUBMIT = submit_job(
    {"prompt": "a cat", "seconds": "5"}, model="a-model", callback_url="https://h.example/kie"
)
RETRIES = 2
HTML_503 = "<html>busy</html>"


def come_to(send: Send, url: str, **more: Any) -> KieError:
    """Submit a job, and judge the error that comes of it."""
    with pytest.raises(KieError) as caught:
        send(settings_of(url, **{"max_retries": RETRIES, "timeout": 0.3, **more}), SUBMIT, None)
    return judge_submission(caught.value)


def posts(host: FakeHost) -> list[str]:
    """Give what was asked of a host."""
    return [request.line for request in host.requests]


LINE = "POST /api/v1/jobs/createTask HTTP/1.1"


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_accepted_is_sent_once_and_gives_the_id(send: Send, name: str) -> None:
    with FakeHost([TAKEN[name], GOOD]) as host:
        assert send(settings_of(host.url), SUBMIT, None) == JOB_ID
        assert posts(host) == [LINE]
    [request] = host.requests
    assert json.loads(request.body) == SUBMIT.json
    assert request.headers["content-type"] == "application/json"
    assert "expect" not in request.headers


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_sent_once_and_stays_a_refusal(send: Send, name: str) -> None:
    answer, kind = REFUSED[name]
    with FakeHost([answer, GOOD]) as host:
        error = come_to(send, host.url, timeout=SILENCE)
        assert posts(host) == [LINE]
    assert type(error) is kind
    assert not error.transient


@pytest.mark.parametrize("name", FOR_NOW)
def test_what_is_refused_for_now_is_sent_again_and_stays_a_refusal(send: Send, name: str) -> None:
    answer, kind = FOR_NOW[name]
    with FakeHost([answer] * (RETRIES + 1) + [GOOD]) as host:
        error = come_to(send, host.url, timeout=SILENCE)
        assert posts(host) == [LINE] * (RETRIES + 1)
    assert type(error) is kind
    assert error.transient


@pytest.mark.parametrize("name", FOR_NOW)
def test_what_is_refused_for_now_can_be_accepted_later(send: Send, name: str) -> None:
    with FakeHost([FOR_NOW[name][0], GOOD, GOOD]) as host:
        assert send(settings_of(host.url), SUBMIT, None) == JOB_ID
        assert posts(host) == [LINE] * 2


@pytest.mark.parametrize("name", IN_DOUBT)
def test_what_is_anything_else_is_sent_once_and_in_doubt(send: Send, name: str) -> None:
    with FakeHost([IN_DOUBT[name], GOOD, GOOD]) as host:
        error = come_to(send, host.url)
        assert posts(host) == [LINE]
    assert type(error) is KieInDoubtError
    assert not error.airflow_may_retry
    assert (error.job_id, error.credits) == (None, None)
    assert "Whether kie.ai has accepted the job, and will bill it, cannot be told" in str(error)
    assert "kie.ai/logs" in str(error)
    assert ".." not in str(error).replace("...", "")


@pytest.mark.parametrize(
    "name", ["hung up", "silence", "200 under 429", "500: fetch failed", "307 to /api/v1/elsewhere"]
)
def test_a_doubt_after_a_refusal_for_now_ends_it(send: Send, name: str) -> None:
    with FakeHost([said(429), IN_DOUBT[name], GOOD]) as host:
        assert type(come_to(send, host.url)) is KieInDoubtError
        assert posts(host) == [LINE] * 2


def test_no_retries_means_one_post(send: Send) -> None:
    with FakeHost([said(429), GOOD]) as host:
        assert type(come_to(send, host.url, max_retries=0, timeout=SILENCE)) is KieRateLimitError
        assert posts(host) == [LINE]


# What is never sent


def retries_in(log: pytest.LogCaptureFixture) -> int:
    return sum("failed; retry" in message for message in log.messages)


def test_a_host_that_refuses_connections_gets_more_tries(
    send: Send, caplog: pytest.LogCaptureFixture
) -> None:
    with FakeHost() as host:
        pass
    error = come_to(send, host.url)
    assert isinstance(error, KieConnectionError)
    assert (error.never_sent, error.transient, retries_in(caplog)) == (True, True, RETRIES)


@pytest.mark.parametrize(
    "greeting", [[b"no TLS at all"], [SILENCE], []], ids=["no-tls", "silence", "hung-up"]
)
def test_a_host_that_speaks_no_tls_gets_more_tries_and_no_post(send: Send, greeting: list[Any]) -> None:
    class Rude(FakeHost):
        def _serve(self, connection: Any) -> None:
            self.connections += 1
            with connection:
                self._send(connection, greeting)

    with Rude() as host:
        error = come_to(send, host.url.replace("http:", "https:"))
        assert (host.requests, host.connections) == ([], RETRIES + 1)
    assert isinstance(error, KieConnectionError)
    assert (error.never_sent, error.transient) == (True, True)


def test_a_certificate_that_is_not_trusted_gets_no_post(send: Send, server_tls: ssl.SSLContext) -> None:
    with FakeHost([GOOD], tls=server_tls) as host:
        error = come_to(send, host.url)
        assert host.requests == []
    assert isinstance(error, KieConnectionError)
    assert (error.never_sent, error.transient) == (True, False)
    assert "not trusted" in str(error)


@pytest.mark.parametrize(("status", "tries"), [(403, 1), (407, 1), (429, 3), (502, 3), (503, 3)])
def test_a_proxy_that_refuses_lets_no_post_through(
    send: Send, status: int, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeHost([http(b"", f"{status} No")] * 5) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = come_to(send, "https://kie.example")
        assert posts(proxy) == ["CONNECT kie.example:443 HTTP/1.1"] * tries
    assert isinstance(error, KieConnectionError)
    assert (error.never_sent, error.transient) == (True, tries > 1)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(b"", KieInDoubtError), ([SILENCE], KieInDoubtError), (said(422), KieValidationError)],
)
def test_through_a_proxy_one_post_is_one_post(
    send: Send,
    answer: Any,
    kind: type[KieError],
    monkeypatch: pytest.MonkeyPatch,
    trusted_tls: ssl.SSLContext,
) -> None:
    with FakeHost([answer, GOOD], tls=trusted_tls) as host, FakeHost([tunnel_to(host.port)] * 3) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert type(come_to(send, "https://kie.example")) is kind
        assert posts(host) == [LINE]


# Connections that are kept


def two_jobs(host: FakeHost, pause: float = 0.0) -> KieError | str:
    """Submit two jobs over one client; give what comes of the second."""
    with KieClient(settings_of(host.url, max_retries=RETRIES)) as client:
        assert client.send(SUBMIT) == JOB_ID
        time.sleep(pause)
        try:
            return client.send(SUBMIT)
        except KieError as error:
            return judge_submission(error)


KEPT = GOOD.replace(b"Connection: close", b"Connection: keep-alive")


def test_a_kept_connection_that_breaks_under_a_post_gets_no_second_one() -> None:
    with FakeHost([KEPT], keep=True) as host:
        assert type(two_jobs(host)) is KieInDoubtError
        assert (posts(host), host.connections) == ([LINE] * 2, 1)


def test_a_kept_connection_that_has_gone_is_replaced_before_the_post() -> None:
    with FakeHost([KEPT, KEPT, KEPT]) as host:
        assert two_jobs(host, pause=0.1) == JOB_ID
        assert (posts(host), host.connections) == ([LINE] * 2, 2)


def test_what_was_stopped_meanwhile_is_in_doubt_and_sent_once() -> None:
    with (
        FakeHost([[SILENCE], GOOD]) as host,
        KieClient(settings_of(host.url, timeout=SILENCE)) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        sending = pool.submit(client.send, SUBMIT)
        assert host.arrived.acquire(timeout=10)
        client.stop()
        error = sending.exception(timeout=10)
        assert isinstance(error, KieCancelledError)
        assert type(judge_submission(error)) is KieInDoubtError
        assert posts(host) == [LINE]


# The judgement itself


@pytest.mark.parametrize(
    "error",
    [
        KieConfigError("api_key: is empty"),
        KieConnectionError("cannot connect", never_sent=True),
        KieConnectionError("not trusted", never_sent=True, transient=False),
        KieRateLimitError("slow", code=429),
        KieUnavailableError("maintenance", code=455),
    ],
    ids=lambda error: type(error).__name__,
)
def test_where_there_is_no_job_the_error_stays(error: KieError) -> None:
    assert judge_submission(error) is error


@pytest.mark.parametrize(
    "error",
    [
        KieConnectionError("no byte came in time"),
        KieCancelledError("stopped"),
        KieTransferError("odd"),
        KieResponseError("odd", transient=True),
        KieValidationError("refused", code=422),
        KieUnavailableError("broken", code=500, said_by_kie=True),
        KieError("of a sort that is not known yet"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_where_there_may_be_one_the_doubt_says_why(error: KieError) -> None:
    judged = judge_submission(error)
    assert type(judged) is KieInDoubtError
    assert str(judged).startswith(f"{error}. Whether ")
    assert judged.code == error.code


def test_an_id_that_is_none_is_shown_for_whoever_looks_for_the_job(send: Send) -> None:
    with FakeHost([said(200, data={"taskId": "odd id/1"})]) as host:
        assert "'odd id/1'" in str(come_to(send, host.url))


# Records


def look_at(send: Send, *answers: Any, api: str = "market") -> Any:
    """Ask for a job's record."""
    with FakeHost(answers) as host:
        try:
            return send(settings_of(host.url, timeout=0.3), get_job(JOB_ID, api=api), None)
        finally:
            assert [request.line.split()[:2] for request in host.requests] == [
                ["GET", f"{get_job(JOB_ID, api=api).path}?taskId={JOB_ID}"]
            ] * len(answers)


def test_a_record_is_asked_for_again_until_it_comes(send: Send) -> None:
    record = {"taskId": JOB_ID, "state": "generating", "creditsConsumed": 82, "resultJson": ""}
    job = look_at(send, b"", said(500), http(HTML_503, "503 No"), said(429), said(200, data=record))
    assert (job.job_id, job.state, job.credits) == (JOB_ID, "running", 82.0)


@pytest.mark.parametrize("api", ["market", "veo", "suno"])
@pytest.mark.parametrize(
    "answer",
    [said(422, "recordInfo is null"), said(200, data=None), said(404, "not found"), said(200)],
    ids=["422", "null", "404", "nothing"],
)
def test_a_job_that_is_not_known_is_told_with_the_api_that_was_asked(
    send: Send, answer: bytes, api: str
) -> None:
    with pytest.raises(
        KieJobNotFoundError, match=f"kie.ai has no record of job {JOB_ID} under api '{api}'"
    ) as caught:
        look_at(send, answer, api=api)
    assert caught.value.unknown_job
    assert isinstance(caught.value.__cause__, KieError)


@pytest.mark.parametrize(
    "answer",
    [
        said(401),
        said(433),
        said(200, data=[]),
        said(200, data={"taskId": "another"}),
        http(HTML_503, "404 No"),
    ],
    ids=["key", "cap", "list", "another", "a-proxys-404"],
)
def test_other_refusals_of_a_record_stay_what_they_are(send: Send, answer: bytes) -> None:
    with pytest.raises(KieError) as caught:
        look_at(send, answer)
    assert not caught.value.unknown_job
