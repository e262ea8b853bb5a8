"""Which creations are accepted, which are refused, and which answers are lost."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from airflow_provider_kie.simulator import KieSimulator
from tests.unit.simulator.jobs import INPUT, submit, submitted


@pytest.mark.parametrize(
    ("body", "code", "msg"),
    [
        ({"model": "a/model", "input": {}}, 500, "prompt is required"),
        ({"model": "a/model"}, 500, "prompt is required"),
        ({"input": INPUT}, 500, "model: This field is required"),
        ({"model": 5, "input": INPUT}, 500, "model is not within the range of allowed options"),
        ({"model": "a/model", "input": "a fox"}, 500, "input is not within the range of allowed options"),
        ({"model": "strict", "input": {"seconds": 5}}, 500, "prompt: This field is required"),
        ({"model": "strict", "input": {"prompt": "", "seconds": 5}}, 500, "prompt: This field is required"),
        (
            {"model": "strict", "input": {"prompt": "a fox", "seconds": "5"}},
            500,
            "seconds is not within the range of allowed options",
        ),
        (
            {"model": "strict", "input": {"prompt": "a fox", "seconds": True}},
            500,
            "seconds is not within the range of allowed options",
        ),
        ({"model": "dear", "input": INPUT}, 402, "Credits insufficient: "),
        ("no json", 422, "The request body is not valid JSON"),
    ],
)
def test_what_is_refused_spends_nothing(
    kie: KieSimulator, web: httpx.Client, body: object, code: int, msg: str
) -> None:
    kie.add_model("strict", required={"prompt": str, "seconds": int})
    kie.add_model("dear", credits=1, hold=100.5)
    content = body if isinstance(body, str) else json.dumps(body)
    answer = web.post(f"{kie.api_url}/api/v1/jobs/createTask", content=content)
    assert (answer.status_code, answer.json()["code"], answer.json()["data"]) == (200, code, None)
    assert answer.json()["msg"].startswith(msg)
    assert (kie.jobs, kie.credits) == ([], 100)


def test_what_a_model_requires_may_be_there_in_the_right_type(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_model(
        "strict", required={"prompt": str, "seconds": int, "scale": float, "hd": bool, "tags": list}
    )
    given = {"prompt": "a fox", "seconds": 5, "scale": 1, "hd": False, "tags": []}
    submitted(kie, web, "strict", input=given)
    assert kie.jobs[0].input == given


def test_the_key_is_needed(kie: KieSimulator, plain: httpx.Client) -> None:
    body = {"model": "a/model", "input": INPUT}
    assert plain.post(f"{kie.api_url}/api/v1/jobs/createTask", json=body).json()["code"] == 401
    assert plain.get(f"{kie.api_url}/api/v1/jobs/recordInfo").json()["code"] == 401
    assert kie.jobs == []


def test_the_21st_creation_in_ten_seconds_is_refused(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_model("a/model", credits=0)
    codes = [submit(kie, web)["code"] for _ in range(22)]
    assert codes == [200] * 20 + [429] * 2
    assert submit(kie, web)["msg"] == "Your call frequency is too high. Please try again later."
    assert len(kie.jobs) == 20
    kie.creation_limit = None
    submitted(kie, web)
    kie.reset()
    assert kie.creation_limit == 20
    with pytest.raises(ValueError, match="creation_limit"):
        kie.creation_limit = 0


def test_creations_count_for_ten_seconds(
    kie: KieSimulator, web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_kie.simulator.jobs.CREATION_SECONDS", 0.3)
    kie.creation_limit = 1
    submitted(kie, web)
    assert submit(kie, web)["code"] == 429
    time.sleep(0.35)
    submitted(kie, web)


def test_refused_creations_do_not_count_for_the_limit(kie: KieSimulator, web: httpx.Client) -> None:
    kie.creation_limit = 1
    for _ in range(2):
        assert submit(kie, web, input={})["code"] == 500
    submitted(kie, web)
    assert submit(kie, web)["code"] == 429


def test_an_accepted_creation_whose_answer_is_dropped_is_in_the_ledger_once(
    kie: KieSimulator, web: httpx.Client
) -> None:
    kie.fail_next("createTask", drop_after=-1, accept=True)
    with pytest.raises(httpx.TransportError):
        submit(kie, web)
    assert [job.held for job in kie.jobs] == [5]
    (request,) = kie.requests_to("createTask")
    assert (request.status, request.code, request.json) == (None, None, {"model": "a/model", "input": INPUT})
    kie.fail_next("createTask", drop_after=-1)
    with pytest.raises(httpx.TransportError):
        submit(kie, web)
    assert (len(kie.jobs), kie.credits) == (1, 95)


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        ({"status": 503}, 503, '"code":503'),
        ({"code": 500}, 200, "Server exception"),
        ({"html": True}, 502, "<html>"),
        ({"body": '{"code":200,"data":null}'}, 200, '{"code":200,"data":null}'),
    ],
)
def test_an_accepted_creation_can_be_answered_with_anything(
    kie: KieSimulator, web: httpx.Client, fault: dict[str, Any], status: int, text: str
) -> None:
    kie.fail_next("createTask", accept=True, **fault)
    answer = web.post(f"{kie.api_url}/api/v1/jobs/createTask", json={"model": "a/model", "input": INPUT})
    assert answer.status_code == status
    assert text in answer.text.replace(": ", ":")
    assert len(kie.jobs) == 1
    assert kie.requests[0].code == (fault.get("code") or fault.get("status"))


@pytest.mark.parametrize("call", ["credit", "recordInfo", "file-url-upload"])
def test_accept_is_for_creations_only(kie: KieSimulator, call: str) -> None:
    with pytest.raises(ValueError, match="accept is for createTask"):
        kie.fail_next(call, code=500, accept=True)
    with pytest.raises(ValueError, match="Say what goes wrong"):
        kie.fail_next("createTask", accept=True)


@pytest.mark.parametrize("code", [401, 402, 413, 422, 429, 430, 433, 455, 500])
def test_a_creation_can_be_refused_with_any_code(kie: KieSimulator, web: httpx.Client, code: int) -> None:
    kie.fail_next("createTask", code=code)
    assert submit(kie, web)["code"] == code
    assert (kie.jobs, kie.credits) == ([], 100)


def test_a_late_answer_is_that_of_a_job_that_runs_already(kie: KieSimulator, web: httpx.Client) -> None:
    kie.fail_next("createTask", delay=0.5)
    with pytest.raises(httpx.ReadTimeout):
        web.post(
            f"{kie.api_url}/api/v1/jobs/createTask", json={"model": "a/model", "input": INPUT}, timeout=0.2
        )
    assert len(kie.jobs) == 1


def test_creations_from_many_threads_are_each_paid_once(kie: KieSimulator, web: httpx.Client) -> None:
    kie.creation_limit = None
    kie.add_model("a/model", seconds=0.05, credits=3, hold=4)
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: submit(kie, web)["code"], range(64)))
    kie.finish_jobs()
    assert len({job.job_id for job in kie.jobs}) == len(kie.jobs) == codes.count(200)
    assert codes.count(200) + codes.count(402) == 64
    assert kie.credits == 100 - 3 * len(kie.jobs)
