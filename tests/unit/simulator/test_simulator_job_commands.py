"""The commands in a shell that are about jobs."""

from __future__ import annotations

import json

import httpx
import pytest

from airflow_provider_kie.simulator import KieSimulator
from tests.unit.simulator.conftest import Run
from tests.unit.simulator.jobs import submit, submitted


def test_jobs_are_shown_with_what_they_cost(kie: KieSimulator, web: httpx.Client, run: Run) -> None:
    assert run("jobs") == "No jobs yet.\n"
    kie.add_model("dear/model", seconds=60, credits=38, hold=82)
    for model in ("a/model", "suno-lyrics"):
        kie.add_model(model, seconds=60)
    first, second = submitted(kie, web), submitted(kie, web, "dear/model")
    body = {"prompt": "a fox", "callBackUrl": "https://example.com/hook"}
    third = web.post(f"{kie.api_url}/api/v1/lyrics", json=body).json()["data"]["taskId"]
    assert run("jobs").splitlines() == [
        f"{first}  waiting  5 held        market a/model",
        f"{second}  waiting  82 held       market dear/model",
        f"{third}  waiting  5 held        suno-lyrics",
    ]
    kie.finish_jobs()
    assert run("jobs").splitlines()[1] == f"{second}  success  38 charged    market dear/model"


def test_all_that_is_known_of_the_jobs_is_json(kie: KieSimulator, web: httpx.Client, run: Run) -> None:
    job_id = submitted(kie, web)
    kie.finish_jobs()
    (line,) = run("jobs", "--json").splitlines()
    job = json.loads(line)
    assert (job["job_id"], job["input"], job["charged"]) == (job_id, {"prompt": "a fox"}, 5)
    assert job["urls"] == list(kie.jobs[0].urls)


def test_a_model_is_added(kie: KieSimulator, web: httpx.Client, run: Run) -> None:
    told = run("add-model", "a/model", "--seconds", "0", "--credits", "7", "--hold", "9")
    assert told == "That is what happens to the next jobs of a/model.\n"
    submitted(kie, web)
    assert (kie.jobs[0].state, kie.jobs[0].held, kie.credits) == ("success", 9, 93)
    run("add-model", "a/model", "--seconds", "0", "--fail", "531", "--unknown-seconds", "60")
    job_id = submitted(kie, web)
    assert (kie.jobs[1].state, kie.jobs[1].fail_code, kie.credits) == ("failed", 531, 93)
    unknown = web.get(f"{kie.api_url}/api/v1/jobs/recordInfo", params={"taskId": job_id}).json()
    assert unknown["msg"] == "recordInfo is null"
    with pytest.raises(SystemExit, match="does not cover"):
        run("add-model", "a/model", "--hold", "1")


def test_a_creation_can_be_accepted_and_its_answer_lost(
    kie: KieSimulator, web: httpx.Client, run: Run
) -> None:
    told = run("fail", "createTask", "--accept", "--drop-after", "-1")
    assert told == "The next request of createTask will go wrong.\n"
    with pytest.raises(httpx.TransportError):
        submit(kie, web)
    assert len(run("jobs").splitlines()) == 1
    assert run("requests") == (
        '  -  POST    /api/v1/jobs/createTask  {"model": "a/model", "input": {"prompt": "a fox"}}\n'
    )
    run("fail", "recordInfo", "--code", "422", "--msg", "recordInfo is null", "--times", "2")
    url = f"{kie.api_url}/api/v1/jobs/recordInfo?taskId={kie.jobs[0].job_id}"
    assert [web.get(url).json()["code"] for _ in range(3)] == [422, 422, 200]
    with pytest.raises(SystemExit, match="accept is for createTask"):
        run("fail", "credit", "--accept", "--code", "500")
