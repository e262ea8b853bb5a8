"""The documentation's dashboard, alerts and StatsD mapping know nothing but what the provider sends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import yaml
from airflow.configuration import conf

from airflow_provider_kie.client.api.chat import parse_chat
from airflow_provider_kie.client.api.records import Job
from airflow_provider_kie.hooks import _metrics

MONITORING = Path(__file__).parents[2] / "docs/examples/monitoring"


def read(name: str) -> Any:
    return yaml.safe_load((MONITORING / name).read_text())  # type: ignore[no-untyped-call]


MAPPINGS: list[dict[str, Any]] = read("statsd-mapping.yml")["mappings"]
RULES: list[dict[str, Any]] = read("alerts.yml")["groups"][0]["rules"]
DASHBOARD = read("dashboard.json")
# What PromQL says beside metrics and labels.
GRAMMAR = {"absent", "by", "histogram_quantile", "increase", "le", "max", "offset", "or", "sum", "unless"}
ANSWER = {"choices": [{"message": {"content": "Hello"}}], "credits_consumed": 0.01}
KINDS = {"incr": "counter", "gauge": "gauge", "timing": "histogram"}


class Sent:
    """What Airflow's metrics are told: (kind, name) and the names of the tags."""

    def __init__(self) -> None:
        self.metrics: dict[tuple[str, str], set[str]] = {}

    def __getattr__(self, method: str) -> Any:
        def tell(name: str, *_: Any, tags: dict[str, str]) -> None:
            self.metrics[KINDS[method], f"{conf.get('metrics', 'statsd_prefix')}.{name}"] = set(tags)

        return tell


@pytest.fixture(scope="module")
def sent() -> dict[tuple[str, str], set[str]]:
    sent = Sent()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_metrics, "get_stats", lambda: sent)
        _metrics.report_balance(5916.25, "kie_default")
        for what in get_args(get_type_hints(_metrics.report_job)["what"]):
            _metrics.report_job(what, "a-model", "kie_default")
        _metrics.report_chat(parse_chat(ANSWER), "a-model", 4.5, "kie_default")
        _metrics.report_success(Job("id", model="a-model", credits=4.5, seconds=45.0), "kie_default")
    return sent.metrics


@pytest.fixture(scope="module")
def exported(sent: dict[tuple[str, str], set[str]]) -> dict[str, set[str]]:
    """Give the labels of each of Prometheus's metrics."""
    found: dict[str, set[str]] = {}
    for (kind, name), tags in sent.items():
        rule = next(rule for rule in MAPPINGS if fits(rule, name))
        labels = tags | set(rule.get("labels", {}))
        assert (rule.get("observer_type", "") == "histogram") == (kind == "histogram")
        assert rule["name"].endswith("_total") == (kind == "counter")
        for suffix in ("_bucket", "_sum", "_count") if kind == "histogram" else ("",):
            found[rule["name"] + suffix] = labels
    return found


def fits(rule: dict[str, Any], name: str) -> bool:
    """Compare part by part: a ``*`` of the exporter goes no further than the next dot."""
    parts, patterns = name.split("."), rule["match"].split(".")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in RULES)
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield from re.search(r'__name__=~"(.+)"', variable["query"])[1].split("|")  # type: ignore[index]


def test_each_line_of_the_mapping_is_for_something_that_is_sent(
    sent: dict[tuple[str, str], set[str]],
) -> None:
    for rule in MAPPINGS:
        assert [name for _, name in sent if fits(rule, name)], rule["match"]


@pytest.mark.parametrize("expression", list(expressions()))
def test_what_is_shown_is_sent(expression: str, exported: dict[str, set[str]]) -> None:
    words = set(re.findall(r"[a-z_]+", re.sub(r'"[^"]*"|\d+h', "", expression))) - GRAMMAR
    metrics = {word for word in words if word.startswith("kie_")}
    assert metrics
    for metric in metrics:
        assert words - metrics <= exported[metric]


def test_all_that_is_sent_of_the_account_is_shown(exported: dict[str, set[str]]) -> None:
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    shown = {metric_of(name) for expr in panels for name in re.findall(r"kie_\w+", expr)}
    assert {metric_of(name) for name in exported} == shown


def metric_of(name: str) -> str:
    return re.sub("_(bucket|sum|count)$", "", name)


def test_what_an_alert_says_is_known_then() -> None:
    low, unknown = RULES
    assert set(re.findall(r"\$labels\.(\w+)", low["annotations"]["summary"])) == {"conn_id"}
    assert "$" not in unknown["annotations"]["summary"]


def test_each_panel_has_its_place() -> None:
    places = [tuple(panel["gridPos"].values()) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
