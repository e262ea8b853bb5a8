"""The poll itself: whom it asks, when, and what it makes of trouble."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_kie.client.errors import KieAuthError, KieError, KieUnavailableError
from airflow_provider_kie.simulator import KieSimulator
from airflow_provider_kie.triggers import _polling as _poll
from airflow_provider_kie.triggers._polling import LONGEST_BACKOFF, seconds_to_wait
from airflow_provider_kie.triggers.credits import KieCreditsTrigger
from tests.unit.triggers.listeners import trigger

Connect = Callable[..., str]


def test_what_takes_long_at_the_first_poll_is_not_done_on_the_event_loop(kie_simulator: KieSimulator) -> None:
    """Imports and certificates: together they would block a triggerer for 0.2 s."""
    code = """if True:
        import asyncio, contextlib, sys, threading
        import httpx
        from airflow_provider_kie.triggers.credits import KieCreditsTrigger

        seen = {}
        create = httpx.create_ssl_context

        def create_ssl_context():
            seen["certificates"] = threading.current_thread()
            return create()

        def audit(event, arguments):
            if event == "import" and arguments[0] == "airflow_provider_kie.hooks.kie":
                seen["hook"] = threading.current_thread()

        async def main():
            arguments = {"kie_conn_id": "kie_default", "poke_interval": 60}
            async with contextlib.aclosing(KieCreditsTrigger.open_shared_stream(arguments)) as stream:
                return await anext(stream)

        httpx.create_ssl_context = create_ssl_context
        sys.addaudithook(audit)
        balance = asyncio.run(main())
        on_the_loop = {name: thread is threading.main_thread() for name, thread in seen.items()}
        print(balance, sorted(on_the_loop.items()))
    """
    kie_simulator.credits = 12
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said.splitlines()[-1] == "12.0 [('certificates', False), ('hook', False)]"


async def test_the_stream_yields_errors_and_goes_on(kie_simulator: KieSimulator) -> None:
    kie_simulator.fail_next("credit", code=401)
    kie_simulator.fail_next("credit", code=500)
    stream = KieCreditsTrigger.open_shared_stream(trigger().serialize()[1])
    results = [await anext(stream) for _ in range(3)]
    await stream.aclose()
    assert [type(result) for result in results] == [KieAuthError, KieUnavailableError, float]
    assert len(kie_simulator.requests) == 3


async def test_trouble_of_airflows_own_does_not_end_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_database(self: Any, **kwargs: Any) -> Any:
        raise RuntimeError("the database is away")

    monkeypatch.setattr("airflow_provider_kie.hooks.kie.KieHook.aget_conn", no_database)
    stream = KieCreditsTrigger.open_shared_stream(trigger().serialize()[1])
    result = await anext(stream)
    await stream.aclose()
    assert isinstance(result, KieError)
    assert result.transient
    assert "the database is away" in str(result)


async def test_a_cancellation_that_is_lost_on_the_way_ends_the_poll_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def deaf(kie_conn_id: str) -> float:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.02)
        return 1.0

    monkeypatch.setattr("airflow_provider_kie.triggers.credits.ask_for_balance", deaf)

    async def wait() -> Any:
        return await anext(trigger(poke_interval=0.0).run())

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0.01)
    waiting.cancel()
    done, _ = await asyncio.wait([waiting], timeout=2)
    assert done
    assert waiting.cancelled()


async def test_a_new_key_takes_effect_while_waiting(kie_simulator: KieSimulator, connect: Connect) -> None:
    connect(password="an-old-key", host=kie_simulator.api_url)
    stream = KieCreditsTrigger.open_shared_stream(trigger().serialize()[1])
    assert isinstance(await anext(stream), KieAuthError)
    connect(password=kie_simulator.api_key, host=kie_simulator.api_url)
    assert await anext(stream) == 100.0
    await stream.aclose()


async def test_every_poll_is_a_metric(kie_simulator: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    class Stats:
        def gauge(self, name: str, value: float, *, tags: dict[str, str]) -> None:
            told.append((name, value, tags))

    monkeypatch.setattr("airflow_provider_kie.hooks._metrics.get_stats", Stats)
    kie_simulator.credits = 12.5
    stream = KieCreditsTrigger.open_shared_stream(trigger().serialize()[1])
    assert [await anext(stream), await anext(stream)] == [12.5, 12.5]
    await stream.aclose()
    assert told == [("kie.credits", 12.5, {"conn_id": "kie_default"})] * 2


@pytest.mark.parametrize("poke_interval", [0, 0.0, 0.3, 1])
def test_the_triggerer_asks_once_a_second_at_the_most(
    poke_interval: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the tests' own shorter interval
    assert _poll.SHORTEST_INTERVAL == 1.0
    assert (
        trigger(poke_interval=poke_interval).shared_stream_key()
        == trigger(poke_interval=1).shared_stream_key()
    )
    assert {seconds_to_wait(poke_interval, failures) >= 1.0 for failures in range(20)} == {True}
    # What is stored is what the author wrote: Airflow knows a watcher's trigger by it.
    assert trigger(poke_interval=poke_interval).serialize()[1]["poke_interval"] == poke_interval


async def test_an_interval_of_nothing_does_not_storm_kie_ai(
    kie_simulator: KieSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_poll, "SHORTEST_INTERVAL", 0.2)
    kie_simulator.credits = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            await anext(trigger(poke_interval=0).run())
    assert 1 <= len(kie_simulator.requests) <= 6


def test_an_interval_of_nothing_backs_off_too() -> None:
    assert max(seconds_to_wait(0, 10) for _ in range(20)) > 1


@pytest.mark.parametrize("interval", [0.5, 60.0])
def test_errors_back_off_politely_and_recovery_returns_to_the_interval(interval: float) -> None:
    assert {seconds_to_wait(interval, 0) for _ in range(10)} == {interval}
    for failures in range(1, 2000, 7):
        bound = interval + min(interval * 2.0 ** min(failures - 1, 50), LONGEST_BACKOFF)
        waits = {seconds_to_wait(interval, failures) for _ in range(20)}
        assert len(waits) > 1, "without jitter all come back at once"
        assert all(interval <= wait <= bound for wait in waits)


def test_what_kie_ai_asks_for_is_honoured_up_to_two_minutes() -> None:
    assert 30 <= seconds_to_wait(1, 1, retry_after=30) <= 31
    assert seconds_to_wait(1, 1, retry_after=1e6) == 120
    assert seconds_to_wait(600, 1, retry_after=1) >= 600


async def test_the_poll_counts_failures_in_a_row(
    kie_simulator: KieSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []

    def wait(interval: float, failures: int, retry_after: float | None = None) -> float:
        counted.append((failures, retry_after))
        return 0.0

    monkeypatch.setattr("airflow_provider_kie.triggers._polling.seconds_to_wait", wait)
    kie_simulator.fail_next("credit", code=500, times=2)
    kie_simulator.fail_next("credit", code=429, retry_after=7)
    stream = KieCreditsTrigger.open_shared_stream(trigger().serialize()[1])
    for _ in range(5):
        await anext(stream)
    await stream.aclose()
    assert counted == [(1, None), (2, None), (3, 7.0), (0, None)]
