"""One client and one request budget for all who wait for jobs of a connection."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_kie.client.api.records import Job
from airflow_provider_kie.client.client import AsyncKieClient
from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieConnectionError,
    KieConnectionNotFoundError,
    KieError,
    KieRateLimitError,
)
from airflow_provider_kie.client.settings import KieSettings
from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.simulator import KieSimulator
from airflow_provider_kie.triggers import _accounts, _budget, _poller
from airflow_provider_kie.triggers._poller import LOOKS_AT_ONCE, JobPoller, shared_poller

Connect = Callable[..., str]
RUNNING = {"code": 200, "msg": "success", "data": {"state": "generating"}}


class Kie:
    """kie.ai without a network, and Airflow's connection to it."""

    def __init__(self) -> None:
        self.clients: list[AsyncKieClient] = []
        self.lookups = 0
        self.seconds = 0.0
        self.gate: asyncio.Event | None = None
        self.no_lookup: Exception | None = None
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.contexts: set[str] = set()

    async def aget_conn(self, _: Any, *, max_retries: int) -> AsyncKieClient:
        assert max_retries == 0
        self.lookups += 1
        await asyncio.sleep(self.seconds)
        if self.no_lookup:
            raise copy.copy(self.no_lookup)
        client = AsyncKieClient(KieSettings("a-key"), transport=httpx.MockTransport(self.answer))
        self.clients.append(client)
        return client

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.params["taskId"])
        self.contexts.add(whose_log.get())
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.seconds)
        if self.gate:
            await self.gate.wait()
        self.at_once -= 1
        return httpx.Response(200, json=RUNNING)


whose_log = contextvars.ContextVar("whose_log", default="nobody's")


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    assert [pollers for pollers in _poller._pollers.values() if pollers] == []


@pytest.fixture
def mock(monkeypatch: pytest.MonkeyPatch) -> Kie:
    kie = Kie()
    monkeypatch.setattr(KieHook, "aget_conn", lambda hook, **kwargs: kie.aget_conn(hook, **kwargs))
    monkeypatch.setattr(_budget, "REQUESTS_PER_SECOND", 1e6)
    return kie


async def look(job_id: str = "a1b2", times: int = 1) -> Job | KieError:
    async with shared_poller("kie_default") as poller:
        for _ in range(times):
            result = await poller.look(job_id, "market")
    return result


async def test_a_thousand_share_one_client_and_a_few_connections(mock: Kie) -> None:
    mock.seconds = 0.001
    ids = [str(number) for number in range(1000)]
    results = await asyncio.gather(*(look(job_id, times=3) for job_id in ids))
    assert [result.job_id for result in results if isinstance(result, Job)] == ids
    assert len(mock.asked) == 3000
    assert len(mock.clients) == 1
    assert mock.most_at_once <= LOOKS_AT_ONCE
    assert mock.clients[0]._session._http.is_closed


async def test_each_connection_has_its_own(mock: Kie) -> None:
    async with shared_poller("kie_a") as one, shared_poller("kie_b") as other, shared_poller("kie_a") as same:
        assert one is same
        assert one is not other


async def test_what_a_look_logs_goes_into_no_tasks_log(mock: Kie) -> None:
    whose_log.set("a task's")
    await look()
    assert mock.contexts == {"nobody's"}


async def test_who_is_cancelled_before_its_turn_costs_nothing(mock: Kie) -> None:
    mock.gate = asyncio.Event()
    waiting = [asyncio.create_task(look(str(number))) for number in range(LOOKS_AT_ONCE + 50)]
    while len(mock.asked) < LOOKS_AT_ONCE:
        await asyncio.sleep(0.001)
    for task in waiting[LOOKS_AT_ONCE:-1]:
        task.cancel()
    mock.gate.set()
    await asyncio.wait(waiting)
    assert mock.asked == [str(number) for number in [*range(LOOKS_AT_ONCE), len(waiting) - 1]]


async def test_who_is_cancelled_while_it_looks_leaves_the_others_alone(mock: Kie) -> None:
    mock.seconds = 0.05
    first, second = (asyncio.create_task(look(job_id)) for job_id in ("first", "second"))
    while len(mock.asked) < 2:
        await asyncio.sleep(0.001)
    first.cancel()
    assert isinstance(await second, Job)
    with pytest.raises(asyncio.CancelledError):
        await first


def test_each_event_loop_has_its_own(mock: Kie) -> None:
    """A ``dag.test()`` makes one, and may leave it in the midst of a look."""
    for _ in range(2):
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            assert isinstance(runner.run(look()), Job)
            runner.get_loop().create_task(look())
            runner.run(asyncio.sleep(0))
    assert len(mock.clients) >= 2


async def test_arguments_that_are_unusable_are_no_failed_look(mock: Kie) -> None:
    async with shared_poller("kie_default") as poller:
        with pytest.raises(ValueError, match="midjourney"):
            await poller.look("a1b2", "midjourney")


async def test_airflows_own_trouble_is_a_transient_failure(mock: Kie) -> None:
    mock.no_lookup = RuntimeError("no database")
    error = await look()
    assert isinstance(error, KieError)
    assert (error.transient, error.args[0]) == (True, "RuntimeError: no database")


async def test_those_who_wait_for_a_lookup_share_its_failure(mock: Kie) -> None:
    mock.no_lookup, mock.seconds = KieConnectionNotFoundError("'kie_default'"), 0.05
    errors = await asyncio.gather(*(look() for _ in range(2 * LOOKS_AT_ONCE)))
    assert {type(error) for error in errors} == {KieConnectionNotFoundError}
    assert len({id(error) for error in errors}) == len(errors)
    assert mock.lookups <= 3


async def test_a_connection_that_comes_back_is_used(mock: Kie) -> None:
    async with shared_poller("kie_default") as poller:
        mock.no_lookup = KieConnectionNotFoundError("'kie_default'")
        assert isinstance(await poller.look("a1b2", "market"), KieConnectionNotFoundError)
        mock.no_lookup = None
        assert isinstance(await poller.look("a1b2", "market"), Job)
        assert isinstance(await poller.look("a1b2", "market"), Job)
    assert mock.lookups == 2


async def test_now_and_then_the_connection_is_read_again_and_its_outage_waited_out(
    mock: Kie, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shared_poller("kie_default") as poller:
        await poller.look("a1b2", "market")
        monkeypatch.setattr(_accounts, "CONNECTION_SECONDS", 0.0)
        poller._client._read_again_at = 0.0
        assert isinstance(await poller.look("a1b2", "market"), Job)
        assert mock.lookups == 2
        assert mock.clients[1]._session._http.is_closed
        assert not mock.clients[0]._session._http.is_closed
        mock.no_lookup = KieConnectionNotFoundError("'kie_default'")
        assert isinstance(await poller.look("a1b2", "market"), Job)
        assert mock.lookups == 3


async def test_a_new_key_is_used_before_anybody_is_told_that_the_old_one_is_refused(
    kie_simulator: KieSimulator, connect: Connect
) -> None:
    good = json.loads(kie_simulator.connection())
    job_id = KieHook().submit_job({"prompt": "a fox"}, model="a/model")
    connect("kie_b", **good | {"password": "an-old-key"})
    async with shared_poller("kie_b") as poller:
        error = await poller.look(job_id, "market")
        assert isinstance(error, KieAuthError)
        assert len(kie_simulator.requests_to("recordInfo")) == 1
        connect("kie_b", **good)
        results = await asyncio.gather(*(poller.look(job_id, "market") for _ in range(5)))
    assert [type(result) for result in results] == [Job] * 5
    assert len(kie_simulator.requests_to("recordInfo")) == 11


async def test_kie_ai_that_is_away_is_a_failure_of_the_look(connect: Connect) -> None:
    connect("kie_b", host="http://127.0.0.1:9")
    async with shared_poller("kie_b") as poller:
        assert isinstance(await poller.look("a1b2", "market"), KieConnectionError)


async def test_a_rate_limit_slows_all_and_answers_speed_them_up_again(kie_simulator: KieSimulator) -> None:
    job_id = KieHook().submit_job({"prompt": "a fox"}, model="a/model")
    kie_simulator.fail_next("recordInfo", code=429, retry_after="0")
    async with shared_poller("kie_default") as poller:
        rate = rate_of(poller)
        assert isinstance(await poller.look(job_id, "market"), KieRateLimitError)
        assert rate_of(poller) == rate / 2
        await poller.look(job_id, "market")
        assert rate / 2 < rate_of(poller) < rate


def rate_of(poller: JobPoller) -> float:
    return poller._budget.rate
