"""The documentation's receiver: what it answers kie.ai, and what it tells Airflow."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.simulator import KieSimulator
from airflow_provider_kie.simulator.callbacks import signature_headers
from tests.fake_host import FakeHost, Request, http

RECEIVER = Path(__file__).parents[2] / "docs" / "examples" / "callback_receiver.py"
KEY = "the webhook key of these tests"


class FakeAirflow(FakeHost):
    """An Airflow with the asset and another one of a similar name; ``events`` are those it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []
        self.assets = [{"id": 3, "name": "kie_jobs_2"}, {"id": 5, "name": "kie_jobs"}]
        self.script = [self.answer] * 100

    def answer(self, request: Request) -> bytes:
        request.receive()
        if request.path == "/auth/token":
            assert json.loads(bytes(request.body)) == {"username": "receiver", "password": "a-password"}
            return http('{"access_token": "a-token"}', "201 Created")
        assert request.headers["authorization"] == "Bearer a-token"
        if request.path == "/api/v2/assets":
            return http(json.dumps({"assets": self.assets}))
        assert request.path == "/api/v2/assets/events"
        self.events.append(json.loads(bytes(request.body)))
        return http("{}")


@pytest.fixture
def airflow() -> Iterator[FakeAirflow]:
    with FakeAirflow() as host:
        yield host


@pytest.fixture
def receiver(kie: KieSimulator, airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example, started anew."""
    variables = {
        "AIRFLOW_CONN_KIE_DEFAULT": kie.connection(),
        "KIE_API_KEY": kie.api_key,
        "KIE_API_URL": kie.api_url,
        "KIE_WEBHOOK_KEY": KEY,
        "AIRFLOW_URL": airflow.url,
        "AIRFLOW_USER": "receiver",
        "AIRFLOW_PASSWORD": "a-password",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("callback_receiver", RECEIVER)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def submit(kie: KieSimulator, receiver: ModuleType) -> Callable[..., str]:
    """Submit a job of so many seconds; give its id."""

    def submitted(*, seconds: float = 0, api: str = "market", **behaviour: Any) -> str:
        name = "a/model" if api == "market" else api
        kie.add_model(name, seconds=seconds, **behaviour)
        return KieHook().submit_job(
            {"prompt": "a fox"}, model=name if api in ("market", "suno") else None, api=api
        )

    return submitted


async def post(
    receiver: ModuleType, job_id: str, *, api: str = "market", key: str = KEY, body: Any = None
) -> int:
    """Post a callback, signed just now; give the status of the answer."""
    content = json.dumps({"code": 200, "data": {"taskId": job_id} | (body or {})})
    headers = signature_headers(key, job_id, time.time())
    transport = httpx.ASGITransport(receiver.app)
    async with httpx.AsyncClient(transport=transport, base_url="https://receiver.example") as web:
        answer = await web.post(f"/kie/{api}", content=content, headers=headers)
    assert answer.content == b""
    return answer.status_code


def event_of(kie: KieSimulator, job_id: str, **other: Any) -> dict[str, Any]:
    (urls,) = [list(job.urls) for job in kie.jobs if job.job_id == job_id]
    extra = {"job_id": job_id, "api": "market", "state": "success", "urls": urls, "reason": None}
    return {"asset_id": 5, "extra": extra | other}


async def test_airflow_is_told_of_a_job_that_has_ended(
    receiver: ModuleType, submit: Callable[..., str], kie: KieSimulator, airflow: FakeAirflow
) -> None:
    job_id = submit()
    assert await post(receiver, job_id) == 200
    assert airflow.events == [event_of(kie, job_id)]
    assert airflow.events[0]["extra"]["urls"]


async def test_airflow_is_told_once_however_often_and_however_fast_kie_ai_repeats(
    receiver: ModuleType, submit: Callable[..., str], airflow: FakeAirflow
) -> None:
    job_ids = [submit(), submit()]
    answers = await asyncio.gather(*(post(receiver, job_id) for job_id in job_ids * 4))
    assert answers == [200] * 8
    assert sorted(event["extra"]["job_id"] for event in airflow.events) == sorted(job_ids)
    assert await post(receiver, job_ids[0]) == 200
    assert len(airflow.events) == 2


async def test_of_a_failed_job_it_tells_the_reason(
    receiver: ModuleType, submit: Callable[..., str], kie: KieSimulator, airflow: FakeAirflow
) -> None:
    job_id = submit(fail=(422, "a dead URL"))
    assert await post(receiver, job_id) == 200
    assert airflow.events == [event_of(kie, job_id, state="failed", reason="a dead URL")]


async def test_nothing_in_the_body_is_believed(
    receiver: ModuleType, submit: Callable[..., str], airflow: FakeAirflow
) -> None:
    job_id = submit(seconds=60)
    forged = {"state": "success", "resultJson": '{"resultUrls": ["https://forged.example/a.png"]}'}
    assert await post(receiver, job_id, body=forged) == 503
    assert airflow.requests == []


async def test_of_sunos_several_callbacks_only_an_ended_record_counts(
    receiver: ModuleType, submit: Callable[..., str], kie: KieSimulator, airflow: FakeAirflow
) -> None:
    job_id = submit(api="suno", seconds=60)
    for stage in ("text", "first"):
        assert await post(receiver, job_id, api="suno", body={"callbackType": stage}) == 200
    # Announced before its record says so: kie.ai is asked to come again.
    assert await post(receiver, job_id, api="suno", body={"callbackType": "complete"}) == 503
    assert airflow.requests == []
    kie.finish_jobs()
    for stage in ("first", "complete", "complete"):
        assert await post(receiver, job_id, api="suno", body={"callbackType": stage}) == 200
    assert airflow.events == [event_of(kie, job_id, api="suno")]


@pytest.mark.parametrize(("key", "body"), [("another key", {}), (KEY, {"taskId": "another"})])
async def test_a_forged_callback_makes_nothing_happen(
    receiver: ModuleType,
    submit: Callable[..., str],
    kie: KieSimulator,
    airflow: FakeAirflow,
    key: str,
    body: Any,
) -> None:
    job_id = submit()
    assert await post(receiver, job_id, key=key, body=body) == 403
    assert kie.requests_to("recordInfo") == []
    assert airflow.requests == []


async def test_a_body_without_end_is_not_kept(
    receiver: ModuleType, submit: Callable[..., str], airflow: FakeAirflow
) -> None:
    assert await post(receiver, submit(), body={"more": "x" * 1_000_000}) == 413
    assert airflow.requests == []


async def test_an_unknown_api_is_not_found_and_a_wrong_one_is_tried_again(
    receiver: ModuleType, submit: Callable[..., str], kie: KieSimulator, airflow: FakeAirflow
) -> None:
    job_id = submit()
    assert await post(receiver, job_id, api="markt") == 404
    assert kie.requests_to("recordInfo") == []
    assert await post(receiver, job_id, api="veo") == 503
    assert airflow.requests == []


async def test_kie_ai_is_asked_to_come_again_while_it_does_not_give_the_record(
    receiver: ModuleType, submit: Callable[..., str], kie: KieSimulator, airflow: FakeAirflow
) -> None:
    job_id = submit()
    kie.fail_next("recordInfo", code=401)
    assert await post(receiver, job_id) == 503
    assert airflow.requests == []
    assert await post(receiver, job_id) == 200
    assert len(airflow.events) == 1


@pytest.mark.parametrize(
    "answers",
    [
        [http("down", "503 Service Unavailable")],
        [http('{"detail": "Invalid credentials"}', "401 Unauthorized")],
        [b""],
        [http('{"access_token": "a-token"}', "201 Created"), http('{"assets": []}')],
        [http('{"access_token": "a-token"}', "201 Created"), http("{}", "403 Forbidden")],
    ],
    ids=["down", "refused", "cut off", "no such asset", "forbidden"],
)
async def test_kie_ai_is_asked_to_come_again_while_airflow_does_not_take_the_event(
    receiver: ModuleType, submit: Callable[..., str], airflow: FakeAirflow, answers: list[bytes]
) -> None:
    job_id = submit()
    airflow.script = answers
    assert await post(receiver, job_id) == 503
    airflow.script = [airflow.answer] * 3
    assert await post(receiver, job_id) == 200
    assert [event["extra"]["job_id"] for event in airflow.events] == [job_id]


@pytest.mark.parametrize("where", ["kie.ai", "airflow"])
async def test_it_answers_before_kie_ai_gives_up(
    receiver: ModuleType,
    submit: Callable[..., str],
    kie: KieSimulator,
    airflow: FakeAirflow,
    where: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert receiver.SECONDS < 15
    monkeypatch.setattr(receiver, "SECONDS", 0.5)
    job_id = submit()
    if where == "airflow":
        airflow.script = [[5.0]]
    else:
        kie.fail_next("recordInfo", delay=5.0)
    async with asyncio.timeout(2):
        assert await post(receiver, job_id) == 503


async def test_the_log_says_why_and_shows_no_secret(
    receiver: ModuleType, submit: Callable[..., str], airflow: FakeAirflow, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "uvicorn.error")
    job_id = submit()
    airflow.script = [http("{}", "401 Unauthorized"), *airflow.script]
    await post(receiver, job_id, key="another key")
    await post(receiver, job_id)
    await post(receiver, job_id)
    said = [record.getMessage() for record in caplog.records if record.name == "uvicorn.error"]
    assert said[0].startswith("Refused a callback: The signature is wrong")
    assert said[1:] == [
        "A callback for a job of 'market' was not handled",
        f"Job {job_id} of market: success",
    ]
    assert "401 Unauthorized" in caplog.text
    for secret in (KEY, "a-password", "a-token"):
        assert secret not in caplog.text


async def test_of_jobs_that_end_together_each_is_told_with_one_login(
    receiver: ModuleType, submit: Callable[..., str], kie: KieSimulator, airflow: FakeAirflow
) -> None:
    kie.creation_limit, kie.credits = None, 1000
    airflow.script = [airflow.answer] * 300
    job_ids = [submit() for _ in range(60)]
    assert await asyncio.gather(*(post(receiver, job_id) for job_id in job_ids)) == [200] * 60
    assert sorted(event["extra"]["job_id"] for event in airflow.events) == sorted(job_ids)
    assert sum(request.path == "/auth/token" for request in airflow.requests) == 1


@pytest.mark.parametrize("status", ["401 Unauthorized", "404 Not Found"])
async def test_a_login_or_an_asset_that_is_no_longer_good_is_looked_up_again(
    receiver: ModuleType, submit: Callable[..., str], airflow: FakeAirflow, status: str
) -> None:
    assert await post(receiver, submit()) == 200
    airflow.script.insert(0, http("{}", status))
    assert await post(receiver, submit()) == 200
    assert len(airflow.events) == 2
    assert sum(request.path == "/auth/token" for request in airflow.requests) == 2
