"""What rendering makes of a paid job's input, and what Airflow shows of it."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_provider_kie import _rendering
from airflow_provider_kie.operators.jobs import KieGenerateOperator
from airflow_provider_kie.simulator import KieSimulator
from tests.paid.tries import prepare


@pytest.fixture(autouse=True)
def _prepared(kie: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(kie, monkeypatch)


def generate(**arguments: Any) -> KieGenerateOperator:
    with DAG("d"):
        return KieGenerateOperator(task_id="t", **{"model": "m", "poll_interval": 0.01, **arguments})


def test_no_value_changes_its_type_on_the_way(kie: KieSimulator) -> None:
    given = {
        "n": 5,
        "text": "5",
        "yes": True,
        "none": None,
        "half": 0.5,
        "nested": {"list": [1, "1", {"a": 2}]},
    }
    operator = generate(input=given)
    operator.render_template_fields({})
    operator.execute({})
    [request] = kie.requests_to("createTask")
    assert repr(request.json["input"]) == repr(given)


def test_templates_are_rendered_at_any_depth(kie: KieSimulator) -> None:
    templated = {"prompt": "a {{ animal }}", "more": [{"deep": "{{ animal }}"}], "size": "{{ 5 }}"}
    operator = generate(input=templated, model="{{ 'm' }}", api="{{ 'market' }}", timeout="{{ 60 }}")
    context: Any = {"animal": "cat"}
    operator.render_template_fields(context)
    operator.execute(context)
    [request] = kie.requests_to("createTask")
    assert request.json["input"] == {"prompt": "a cat", "more": [{"deep": "cat"}], "size": "5"}


def test_the_callback_url_is_rendered_and_passed_on_and_nothing_waits_for_the_callback(
    kie: KieSimulator,
) -> None:
    operator = generate(input={"prompt": "a"}, callback_url="https://{{ host }}/kie/market")
    context: Any = {"host": "receiver.example"}
    operator.render_template_fields(context)
    assert operator.execute(context)["state"] == "success"
    [request] = kie.requests_to("createTask")
    assert request.json["callBackUrl"] == "https://receiver.example/kie/market"
    # It leads to another machine, so the simulator has called nobody.
    assert [callback.body for callback in kie.callbacks] == [None]


@pytest.mark.parametrize("name", ["poll_interval", "timeout"])
def test_seconds_may_be_templated(name: str, kie: KieSimulator) -> None:
    operator = generate(input={"prompt": "a"}, **{name: "{{ 0.02 if false else '3' }}"})
    operator.render_template_fields({})
    assert operator.execute({})["state"] == "success"


def test_many_jobs_are_one_mapped_task() -> None:
    with DAG("d"):
        mapped = KieGenerateOperator.partial(task_id="t", model="m").expand(
            input=[{"prompt": "a"}, {"prompt": "b"}]
        )
    assert mapped.is_mapped
    unmapped = mapped.unmap({"input": {"prompt": "b"}})
    assert isinstance(unmapped, KieGenerateOperator)
    assert unmapped.input == {"prompt": "b"}


def test_what_another_task_gives_may_stand_anywhere_in_the_input() -> None:
    with DAG("d") as dag:

        @task
        def upload() -> str:
            return "https://a.example/a.png"

        operator = KieGenerateOperator(task_id="t", model="m", input={"images": [{"url": upload()}]})
    assert [each.task_id for each in operator.upstream_list] == ["upload"]
    assert dag.task_ids


SIGNED = "https://cdn.example/a.png?X-Signature=0123456789"
PLACES: dict[str, dict[str, Any]] = {
    "nested": {"input": {"images": [{"url": SIGNED}], "size": 5}},
    "after a long prompt": {"input": {"prompt": "x" * 10_000, "image": SIGNED}},
    "in the callback": {"input": {"prompt": "x" * 10_000}, "callback_url": SIGNED},
    "amid a text": {"input": {"prompt": f"like this one: {SIGNED}, but green"}},
}


@pytest.mark.parametrize("place", PLACES)
def test_a_signature_in_the_input_is_masked_wherever_it_stands(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked: list[str] = []
    monkeypatch.setattr(_rendering, "mask_secret", masked.append)
    generate(**PLACES[place]).render_template_fields({})
    assert any("0123456789" in query and query in SIGNED for query in masked)
