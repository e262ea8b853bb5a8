from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_kie.hooks import _metrics
from airflow_provider_kie.hooks._metrics import report
from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.simulator import KieSimulator


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
