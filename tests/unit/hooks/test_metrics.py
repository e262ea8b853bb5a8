from __future__ import annotations

import inspect
import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_kie._compat import get_stats
from airflow_provider_kie.client.api.records import Job
from airflow_provider_kie.client.errors import KieError, KieInDoubtError, KieJobFailedError
from airflow_provider_kie.hooks import _metrics
from airflow_provider_kie.hooks._metrics import report
from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.simulator import KieSimulator
from tests.fake_host import FakeHost, http


@pytest.fixture(autouse=True)
def _nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_metrics, "_troubles", set())


class Away:
    def gauge(self, *_: Any, **__: Any) -> None:
        raise OSError("no route to StatsD")


def no_stats() -> Any:
    raise ImportError("statsd is not installed")


def test_what_is_told_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(_metrics, "get_stats", lambda: told)
    report(lambda stats: stats.append("kie.credits"))
    assert told == ["kie.credits"]


@pytest.mark.parametrize("get_stats", [Away, no_stats])
async def test_metrics_that_fail_do_not_touch_the_balance_and_are_told_of_once(
    get_stats: Any,
    kie_simulator: KieSimulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(_metrics, "get_stats", get_stats)
    assert KieHook().get_credits() == 100.0
    assert await KieHook().aget_credits() == 100.0
    assert KieHook().test_connection()[0]
    said = [record for record in caplog.records if record.name == _metrics.__name__]
    assert [(record.levelname, "metrics cannot be told" in record.getMessage()) for record in said] == [
        ("WARNING", True)
    ]


async def test_metrics_whose_host_is_slow_to_find_hold_up_no_event_loop(
    kie_simulator: KieSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    monkeypatch.setattr(_metrics, "get_stats", lambda: threads.append(threading.current_thread()))
    assert await KieHook().aget_credits() == 100.0
    assert threads
    assert threading.current_thread() not in threads


# Jobs

JOB_ID = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
TAGS = {"model": "a-model", "conn_id": "kie_b"}
Told = tuple[str, str, Any, dict[str, str] | None]


class Recorder:
    """Keeps what Airflow's metrics are told, if they would take it."""

    def __init__(self) -> None:
        self.told: list[Told] = []

    def __getattr__(self, method: str) -> Callable[..., None]:
        taken = inspect.signature(getattr(get_stats(), method))

        def tell(*given: Any, **named: Any) -> None:
            arguments = taken.bind(*given, **named).arguments
            name, *values = (value for key, value in arguments.items() if key != "tags")
            self.told.append((method, name, values[0] if values else 1, arguments.get("tags")))

        return tell


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Told]:
    recorder = Recorder()
    monkeypatch.setattr(_metrics, "get_stats", lambda: recorder)
    return recorder.told


def said(code: int, data: Any = None) -> bytes:
    return http(json.dumps({"code": code, "msg": "it says so", "data": data}))


def record(state: str, **more: Any) -> bytes:
    return said(200, {"taskId": JOB_ID, "state": state, "resultJson": '{"text": "5"}', **more})


TAKEN = said(200, {"taskId": JOB_ID})
SUBMITTED = ("incr", "kie.jobs.submitted", 1, TAGS)
SUCCEEDED = ("incr", "kie.jobs.succeeded", 1, TAGS)


@pytest.mark.parametrize(
    ("answers", "metrics"),
    [
        (
            [TAKEN, record("generating"), record("success", creditsConsumed=38.5, costTime=45)],
            [
                SUBMITTED,
                SUCCEEDED,
                ("incr", "kie.credits.spent", 38.5, TAGS),
                ("timing", "kie.job.seconds", timedelta(seconds=45), TAGS),
            ],
        ),
        ([said(429), TAKEN, record("success")], [SUBMITTED, SUCCEEDED]),
        ([TAKEN, record("success", creditsConsumed=0)], [SUBMITTED, SUCCEEDED]),
        ([TAKEN, record("fail", creditsConsumed=82)], [SUBMITTED, ("incr", "kie.jobs.failed", 1, TAGS)]),
        ([TAKEN, *[said(501)] * 3], [SUBMITTED, ("incr", "kie.jobs.failed", 1, TAGS)]),
        ([TAKEN, said(401)], [SUBMITTED]),
        ([b""], [("incr", "kie.jobs.in_doubt", 1, TAGS)]),
        ([said(500)], [("incr", "kie.jobs.in_doubt", 1, TAGS)]),
        ([said(422)], []),
        ([said(402)], []),
    ],
    ids=[
        "done",
        "no-price",
        "for-nothing",
        "failed",
        "failed-otherwise",
        "wrong-key",
        "lost",
        "broken",
        "refused",
        "no-credits",
    ],
)
def test_a_job_is_counted_by_what_became_of_it(
    answers: list[bytes], metrics: list[Told], told: list[Told], connect: Callable[..., str]
) -> None:
    with FakeHost(answers) as host:
        connect("kie_b", host=host.url, extra={"max_retries": 1})
        try:
            KieHook("kie_b").generate({}, model="a-model", poll_interval=0.01)
        except KieError:
            assert SUCCEEDED not in told
    assert told == metrics


def test_a_family_without_models_is_counted_by_its_name(
    told: list[Told], connect: Callable[..., str]
) -> None:
    with FakeHost([TAKEN]) as host:
        connect("kie_b", host=host.url)
        KieHook("kie_b").submit_job({}, api="aleph")
    assert told == [("incr", "kie.jobs.submitted", 1, {"model": "aleph", "conn_id": "kie_b"})]


@pytest.mark.parametrize("get_stats", [Away, no_stats])
def test_metrics_that_fail_touch_no_job(
    get_stats: Any, monkeypatch: pytest.MonkeyPatch, connect: Callable[..., str]
) -> None:
    monkeypatch.setattr(_metrics, "get_stats", get_stats)
    with FakeHost([TAKEN, record("success", costTime=1e14), TAKEN, record("fail"), b""]) as host:
        connect(host=host.url)
        hook = KieHook()
        assert hook.generate({}, model="m", poll_interval=0.01).output == {"text": "5"}
        with pytest.raises(KieJobFailedError):
            hook.generate({}, model="m", poll_interval=0.01)
        with pytest.raises(KieInDoubtError):
            hook.generate({}, model="m", poll_interval=0.01)


def test_a_span_that_no_metric_holds_hides_nothing_else(told: list[Told]) -> None:
    _metrics.report_success(Job(JOB_ID, model="a-model", credits=4.5, seconds=1e14), "kie_b")
    assert told == [SUCCEEDED, ("incr", "kie.credits.spent", 4.5, TAGS)]
