"""The account page's table of metrics is what the provider sends."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pytest

from airflow_provider_kie.client.api.chat import parse_chat
from airflow_provider_kie.client.api.records import Job
from airflow_provider_kie.files.results import DownloadedFile, UploadedFile
from airflow_provider_kie.hooks import _metrics

from .pages import literals, table

KINDS = {"incr": "counter", "gauge": "gauge", "timing": "timer"}
ANSWER = {"choices": [{"message": {"content": "Hello"}}], "credits_consumed": 0.01}


class Sent:
    """What Airflow's metrics are told: name, kind and the names of the tags."""

    def __init__(self) -> None:
        self.metrics: set[tuple[str, str, frozenset[str]]] = set()

    def __getattr__(self, method: str) -> Any:
        def tell(name: str, *_: Any, tags: dict[str, str] | None = None) -> None:
            self.metrics.add((name, KINDS[method], frozenset(tags or {})))

        return tell


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    sent = Sent()
    monkeypatch.setattr(_metrics, "get_stats", lambda: sent)
    return sent


def tell_all() -> None:
    """Tell of everything that there is to tell."""
    _metrics.report_balance(5916.25, "kie_default")
    for what in get_args(get_type_hints(_metrics.report_job)["what"]):
        _metrics.report_job(what, "a-model", "kie_default")
    _metrics.report_chat(parse_chat(ANSWER), "a-model", 4.5, "kie_default")
    _metrics.report_success(Job("id", model="a-model", credits=4.5, seconds=45.0), "kie_default")
    url = "https://tempfile.redpandaai.co/a.png"
    _metrics.report_moved(DownloadedFile(url, "/data/a.png", 3, None, None, skipped=False))
    _metrics.report_moved(
        UploadedFile("/data/a.png", "stream", "a.png", "a.png", url, 3, "image/png", "", "", None)
    )


def test_the_table_of_metrics_is_what_is_sent(sent: Sent) -> None:
    tell_all()
    in_table = set()
    for names, kind, tags, _ in table("account.rst", "Metric"):
        first, *more = literals(names)
        prefix = first.rpartition(".")[0]
        for name in [first, *(f"{prefix}{suffix}" for suffix in more)]:
            in_table.add((name, kind, frozenset(literals(tags))))
    assert in_table == sent.metrics
