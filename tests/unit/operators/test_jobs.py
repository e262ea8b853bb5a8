"""The paid operator: what it sends, what it refuses to send, what it tells."""

from __future__ import annotations

import logging
import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from airflow_provider_kie._compat import AirflowFailException
from airflow_provider_kie.simulator import KieSimulator
from tests.paid.tries import Mode, PaidTask, prepare
from tests.unit.state_store import StateStore


@pytest.fixture(autouse=True)
def _prepared(kie: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(kie, monkeypatch)


@pytest.fixture(params=["sync", "deferred"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return request.param  # type: ignore[no-any-return]


def test_it_gives_the_result_of_its_job(mode: Mode, kie: KieSimulator) -> None:
    files = {"a.png": b"a", "b.png": b"b"}
    kie.add_model("m", seconds=0.1, credits=7.5, hold=9, files=files, output={"resultObject": {"n": 1}})
    result = PaidTask(kie, mode, store=StateStore()).run().result
    [job] = kie.jobs
    assert result is not None
    moments = {name: result.pop(name) for name in ("created_at", "completed_at")}
    assert all(datetime.fromisoformat(moment).tzinfo for moment in moments.values())
    assert 0 < result.pop("seconds") < 5
    assert result.pop("output")["resultObject"] == {"n": 1}
    assert result == {
        "job_id": job.job_id,
        "api": "market",
        "model": "m",
        "state": "success",
        "urls": list(job.urls),
        "credits": 7.5,
    }


def test_without_waiting_it_gives_the_job_as_it_was_submitted_and_again_to_a_retry(kie: KieSimulator) -> None:
    task = PaidTask(kie, "no wait", store=StateStore())
    first = task.run().result
    assert first is not None
    assert (first["state"], first["urls"], first["job_id"]) == ("waiting", [], kie.jobs[0].job_id)
    again = task.run().result
    assert again is not None
    assert again["job_id"] == first["job_id"]
    # Whether it runs is nothing that this task has to know.
    assert kie.requests_to("recordInfo") == []
    assert task.posts == 1


@pytest.mark.parametrize("fail", [None, 500])
def test_without_waiting_a_clear_submits_anew_once_the_job_has_ended(
    fail: int | None, kie: KieSimulator
) -> None:
    task = PaidTask(kie, "no wait", store=StateStore())
    kie.add_model("m", seconds=60, fail=fail)
    task.run()
    task.clear()
    assert task.run().result is not None
    assert task.posts == 1
    kie.finish_jobs()
    task.clear()
    again = task.run().result
    assert again is not None
    assert again["job_id"] == kie.jobs[1].job_id
    assert task.posts == 2


def test_each_try_waits_as_long_as_it_may(kie: KieSimulator) -> None:
    kie.add_model("m", seconds=60)
    task = PaidTask(kie, store=StateStore(), timeout=0.1)
    for _ in range(2):
        ended = task.run()
        assert ended.may_retry
        assert f"job {kie.jobs[0].job_id}" in ended.said
        assert "still running, as far as is known, and will be billed" in ended.said
    kie.finish_jobs()
    assert task.run().result is not None
    assert task.posts == 1


# Bad input.

NAN = float("nan")
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "input is no dict": ({"input": ["a cat"]}, "input"),
    "input has NaN": ({"input": {"size": {"x": NAN}}}, "size"),
    "input has bytes": ({"input": {"image": b"a"}}, "image"),
    "input has a datetime": ({"input": {"when": datetime(2026, 1, 1)}}, "when"),
    "input has a set": ({"input": {"some": {1}}}, "some"),
    "no model": ({"model": None}, "model"),
    "an empty model": ({"model": " "}, "model"),
    "unknown api": ({"api": "openai"}, "market, .*veo"),
    "unknown on_doubt": ({"on_doubt": "perhaps"}, "fail, submit"),
    "no timeout": ({"timeout": 0}, "timeout"),
    "negative timeout": ({"timeout": timedelta(seconds=-1)}, "timeout"),
    "no poll_interval": ({"poll_interval": 0}, "poll_interval"),
    "negative poll_interval": ({"poll_interval": -5}, "poll_interval"),
    "no https": ({"callback_url": "http://a.example/"}, "callback_url"),
    "no url": ({"callback_url": "a.example"}, "callback_url"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_a_value_error_and_nothing_is_paid_or_remembered(name: str, kie: KieSimulator) -> None:
    arguments, named = BAD[name]
    store = StateStore()
    ended = PaidTask(kie, store=store, **arguments).run()
    assert isinstance(ended.error, ValueError)
    assert re.search(named, ended.said), ended.said
    assert (kie.requests, store.values, kie.jobs) == ([], {}, [])


def test_a_missing_connection_leaves_the_retries_and_nothing_behind(kie: KieSimulator) -> None:
    store = StateStore()
    ended = PaidTask(kie, store=store, kie_conn_id="kie_nowhere").run()
    assert ended.may_retry
    assert (kie.requests, store.values) == ([], {})


# What it tells.


def test_the_log_names_model_keys_id_and_price_and_no_value(
    mode: Mode, kie: KieSimulator, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    task = PaidTask(kie, mode, store=StateStore(), input={"prompt": "of a secret cat", "size": 31415})
    task.run()
    task.run()
    # The hook's log goes past the root logger.
    said = caplog.text + capsys.readouterr().out
    for words in ("to m, with prompt, size", f"Submitted job {kie.jobs[0].job_id}", "4 credits"):
        assert words in said
    assert "secret cat" not in said
    assert "31415" not in said


def test_the_id_is_logged_before_it_is_stored(kie: KieSimulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    logged: list[bool] = []
    store = StateStore()
    store.on_call = lambda: logged.append("Submitted job" in caplog.text)
    PaidTask(kie, store=store).run()
    assert [*zip(store.calls, logged, strict=True)] == [
        ("get", False),
        ("set", False),
        ("set", True),
        ("set", True),
    ]


def test_a_task_that_is_ended_before_it_sends_sends_nothing_and_says_so(kie: KieSimulator) -> None:
    store = StateStore()
    task = PaidTask(kie, store=store)
    operator = task.operator()
    # Airflow asks the task to end while it writes down that it is about to submit.
    store.on_call = lambda: operator.on_kill() if store.calls[-1] == "set" else None
    with pytest.raises(Exception, match="Nothing was sent"):
        operator.execute(task.context())
    assert (kie.requests, store.values) == ([], {})


def test_a_task_that_is_ended_while_it_waits_names_the_job_that_runs_on(kie: KieSimulator) -> None:
    kie.add_model("m", seconds=60)
    store = StateStore()
    task = PaidTask(kie, store=store)
    operator = task.operator()
    store.on_call = lambda: operator.on_kill() if len(store.calls) == 3 else None
    with pytest.raises(Exception, match=r"Nothing was cancelled: job .* will be billed") as caught:
        operator.execute(task.context())
    assert kie.jobs[0].job_id in str(caught.value)
    assert not isinstance(caught.value, AirflowFailException)


class Timeout(BaseException):
    """As Airflow's own, which a signal handler raises."""


def test_a_timeout_of_airflows_is_logged_with_the_job_that_runs_on(
    kie: KieSimulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def time_out(*args: Any, **kwargs: Any) -> None:
        raise Timeout

    monkeypatch.setattr("airflow_provider_kie.hooks.kie.KieHook._look", time_out)
    with pytest.raises(Timeout):
        PaidTask(kie, store=StateStore()).run()
    assert f"Nothing was cancelled: job {kie.jobs[0].job_id}" in caplog.text


def test_a_timeout_of_airflows_while_the_job_is_sent_is_logged_as_a_doubt(
    kie: KieSimulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def time_out(*args: Any, **kwargs: Any) -> None:
        raise Timeout

    monkeypatch.setattr("airflow_provider_kie.hooks.kie.KieHook.send_submission", time_out)
    task = PaidTask(kie, store=StateStore())
    with pytest.raises(Timeout):
        task.run()
    assert "https://kie.ai/logs" in caplog.text
    assert "KieInDoubtError" in task.run().said


@pytest.mark.parametrize("error", ["TaskDeferralTimeout", "TaskDeferralError"])
def test_a_broken_trigger_is_told_with_the_job_that_runs_on(error: str, kie: KieSimulator) -> None:
    task = PaidTask(kie, "deferred", store=StateStore())
    assert task.run(resume=False).deferral is not None
    how = {"error": "Trigger timeout" if error == "TaskDeferralTimeout" else "Trigger failure"}
    operator = task.operator()
    with pytest.raises(Exception, match=r"Nothing was cancelled: job .* will be billed") as caught:
        operator.resume_execution("__fail__", how, task.context())
    assert kie.jobs[0].job_id in str(caught.value)
    assert task.run().result is not None
    assert task.posts == 1
