"""Market's jobs and the ledger: what they cost and how they end."""

from __future__ import annotations

import json
import random
import time

import httpx
import pytest

from airflow_provider_kie.simulator import KieSimulator, SimulatedJob
from tests.unit.simulator.jobs import INPUT, record, submit, submitted


def test_a_creation_is_answered_with_the_id_and_stands_in_the_ledger(
    kie: KieSimulator, web: httpx.Client
) -> None:
    kie.add_model("a/model", seconds=60)
    began = time.time()
    answer = submit(kie, web, callBackUrl="https://example.com/hook")
    job_id = answer["data"]["taskId"]
    assert answer["data"] == {"taskId": job_id, "recordId": job_id}
    assert (len(job_id), int(job_id, 16) >= 0) == (32, True)
    (job,) = kie.jobs
    assert (job.job_id, job.api, job.model, job.input) == (job_id, "market", "a/model", INPUT)
    assert (job.state, job.callback_url) == ("waiting", "https://example.com/hook")
    assert (job.held, job.charged, job.refunded, job.urls) == (5, 0, 0, ())
    assert began <= job.submitted_at <= time.time()
    assert (job.completed_at, kie.credits) == (None, 95)


def test_a_running_record_has_empty_results_and_the_hold(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_model("a/model", seconds=60, credits=38, hold=82)
    data = record(kie, web, submitted(kie, web))
    assert (data["state"], data["resultJson"], data["creditsConsumed"]) == ("waiting", "", 82.0)
    assert isinstance(data["creditsConsumed"], float)
    assert data["failCode"] is data["failMsg"] is data["costTime"] is data["completeTime"] is None
    assert json.loads(data["param"]) == {"model": "a/model", "input": INPUT}
    assert abs(data["createTime"] - time.time() * 1000) < 60_000
    assert kie.credits == 18


def test_a_job_that_succeeds_is_charged_its_price_and_the_rest_is_given_back(
    kie: KieSimulator, web: httpx.Client, plain: httpx.Client
) -> None:
    kie.add_model("a/model", seconds=0, credits=38, hold=82, files={"a.png": b"one", "b.mp4": b"two"})
    data = record(kie, web, submitted(kie, web))
    assert (data["state"], data["creditsConsumed"], data["costTime"]) == ("success", 38.0, 0)
    assert data["completeTime"] == data["createTime"]
    urls = json.loads(data["resultJson"])["resultUrls"]
    assert [plain.get(url).content for url in urls] == [b"one", b"two"]
    assert [url.rpartition("/")[2] for url in urls] == ["a.png", "b.mp4"]
    (job,) = kie.jobs
    assert (job.state, job.held, job.charged, job.refunded) == ("success", 82, 38, 44)
    assert (job.urls, kie.credits) == (tuple(urls), 62)


@pytest.mark.parametrize(
    ("fail", "msg"), [((531, "sorry"), "sorry"), (500, "internal error, please try again later.")]
)
def test_a_job_that_fails_costs_nothing(
    kie: KieSimulator, web: httpx.Client, fail: int | tuple[int, str], msg: str
) -> None:
    kie.add_model("a/model", seconds=0, fail=fail, hold=20)
    code = fail if isinstance(fail, int) else fail[0]
    data = record(kie, web, submitted(kie, web))
    assert (data["state"], data["failCode"], data["failMsg"]) == ("fail", str(code), msg)
    assert (data["resultJson"], data["creditsConsumed"]) == ("", 0.0)
    (job,) = kie.jobs
    assert (job.state, job.held, job.charged, job.refunded) == ("failed", 20, 0, 20)
    assert (job.fail_code, job.fail_msg, job.urls, kie.credits) == (code, msg, (), 100)


def test_a_job_passes_through_every_state_by_time_alone(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_model("a/model", seconds=1.8)
    job_id = submitted(kie, web)
    seen: list[str] = []
    states = []
    while not seen or seen[-1] != "success":
        seen.append(record(kie, web, job_id)["state"])
        states.append(kie.jobs[0].state)
        time.sleep(0.02)
    assert list(dict.fromkeys(seen)) == ["waiting", "queuing", "generating", "success"]
    assert list(dict.fromkeys(states)) == ["waiting", "running", "success"]
    assert kie.jobs[0].completed_at == pytest.approx(kie.jobs[0].submitted_at + 1.8)


def test_the_balance_knows_of_an_end_that_nobody_asked_for(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_model("a/model", seconds=0.1, fail=500)
    submitted(kie, web)
    assert kie.credits == 95
    time.sleep(0.15)
    assert kie.credits == 100


def test_jobs_can_be_ended_at_once(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_model("a/model", seconds=3600)
    kie.add_model("another", seconds=3600, fail=500)
    submitted(kie, web)
    submitted(kie, web, "another")
    kie.finish_jobs()
    assert [job.state for job in kie.jobs] == ["success", "failed"]
    assert all(job.completed_at and job.completed_at < time.time() + 60 for job in kie.jobs)
    assert kie.credits == 95


def test_the_result_can_have_more_keys_and_no_files(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_model("a/model", seconds=0, files=[], output={"resultObject": {"text": "ü"}})
    data = record(kie, web, submitted(kie, web))
    assert json.loads(data["resultJson"]) == {"resultObject": {"text": "ü"}}


def test_the_word_for_the_end_can_be_another_one(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_model("a/model", seconds=0, word="done")
    assert record(kie, web, submitted(kie, web))["state"] == "done"


def test_a_model_that_nobody_added_makes_a_small_picture_in_two_seconds(
    kie: KieSimulator, web: httpx.Client, plain: httpx.Client
) -> None:
    submitted(kie, web, "of/nobody")
    kie.finish_jobs()
    (url,) = kie.jobs[0].urls
    assert plain.get(url).headers["content-type"] == "image/png"
    assert kie.credits == 95


@pytest.mark.parametrize("job_id", ["", "0" * 32])
def test_an_unknown_job_has_no_record(kie: KieSimulator, web: httpx.Client, job_id: str) -> None:
    answer = web.get(f"{kie.api_url}/api/v1/jobs/recordInfo", params={"taskId": job_id})
    unknown = {"code": 422, "msg": "recordInfo is null", "data": None}
    assert (answer.status_code, answer.json()) == (200, unknown)


def test_a_record_can_be_unknown_for_a_while(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_model("a/model", seconds=60, unknown_seconds=1.0)
    job_id = submitted(kie, web)
    url = f"{kie.api_url}/api/v1/jobs/recordInfo?taskId={job_id}"
    assert web.get(url).json()["msg"] == "recordInfo is null"
    time.sleep(1.05)
    assert web.get(url).json()["data"]["state"] == "waiting"
    assert len(kie.jobs) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"seconds": -1}, {"credits": float("nan")}, {"hold": 4}, {"unknown_seconds": float("inf")}],
)
def test_a_model_that_cannot_be_is_refused(kie: KieSimulator, wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"finite|does not cover"):
        kie.add_model("a/model", **wrong)  # type: ignore[arg-type]


def test_reset_forgets_jobs_and_models_and_gives_nothing_back(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_model("a/model", seconds=0.05, credits=40)
    submitted(kie, web)
    kie.reset()
    time.sleep(0.1)
    assert (kie.jobs, kie.credits) == ([], 60)
    submitted(kie, web)
    assert kie.credits == 55


def test_the_ledger_stays_readable_when_it_has_stopped() -> None:
    with KieSimulator() as kie:
        kie.add_model("a/model", seconds=0.01)
        headers = {"Authorization": f"Bearer {kie.api_key}", "User-Agent": "tests"}
        with httpx.Client(headers=headers, trust_env=False, verify=False) as web:
            submitted(kie, web)
    time.sleep(0.02)
    assert ([job.state for job in kie.jobs], kie.credits) == (["success"], 95)


def test_the_balance_adds_up_after_any_mix(kie: KieSimulator, web: httpx.Client) -> None:
    chance = random.Random(12)
    kie.credits, kie.creation_limit = 200, None
    for number in range(12):
        price = chance.randrange(8)
        fail = chance.choice([None, None, 500])
        seconds = chance.choice([0, 0.05, 3600])
        kie.add_model(
            f"m{number}", seconds=seconds, credits=price, hold=price + chance.randrange(9), fail=fail
        )
    codes = [submit(kie, web, f"m{chance.randrange(12)}")["code"] for _ in range(60)]
    assert set(codes) == {200, 402}
    time.sleep(0.1)
    for _ in range(2):
        jobs = kie.jobs
        assert len(jobs) == codes.count(200)
        under_way = [job for job in jobs if job.completed_at is None]
        assert all(job.held == job.charged + job.refunded for job in jobs if job not in under_way)
        assert kie.credits == 200 - sum(job.charged for job in jobs) - sum(job.held for job in under_way)
        kie.finish_jobs()
    assert not [job for job in kie.jobs if job.completed_at is None]


def test_thousands_of_polls_are_cheap(kie: KieSimulator) -> None:
    ledger = kie._state.ledger
    kie.creation_limit = None
    kie.credits = 10_000
    began = time.process_time()
    model = ledger.model("market", "a/model")
    ids = [str(number) for number in range(1000)]
    for job_id in ids:
        ledger.accept(SimulatedJob(job_id, "market", "m", {}, None, 5.0, time.time()), model, lambda: ())
    for _ in range(10):
        for job_id in ids:
            assert ledger.find(job_id)
    assert time.process_time() - began < 2
