"""Tasks that chat, under Airflow's own supervisor: what they leave in XCom, and how they end from outside."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_kie.simulator import KieSimulator
from tests.fake_host import SILENCE, FakeHost, Request

from .bench import LIMIT, Run, Task
from .conftest import Put

BILLED = "may have been billed"


class SlowHost(FakeHost):
    """Answers no chat for a long time, and notices when whoever asked has gone."""

    def __init__(self) -> None:
        self.left_at: list[float] = []
        super().__init__([self._wait] * 9)

    def _wait(self, request: Request) -> Iterator[float]:
        request.receive()
        request.connection.settimeout(SILENCE)
        if not request.connection.recv(1):
            self.left_at.append(time.monotonic())
        yield 0.0


@pytest.fixture
def slow() -> Iterator[SlowHost]:
    with SlowHost() as host:
        yield host


@pytest.fixture
def chat(put: Put, slow: SlowHost) -> Task:
    """Give a task whose chat is never answered."""
    task = put("chat", retries=2, prompt="Tell me more.", model="m", timeout=60)
    task.airflow.connections["kie_default"]["host"] = slow.url
    return task


def marked_failed(task: Task, run: Run) -> float:
    task.airflow.end()
    assert task.airflow.is_told_to_end.wait(10)
    assert task.airflow.told_to_end_at is not None
    return task.airflow.told_to_end_at


def terminated(task: Task, run: Run) -> float:
    run.send(signal.SIGTERM)
    return time.monotonic()


def test_the_answer_is_the_tasks_result_and_each_key_an_xcom(put: Put, kie: KieSimulator) -> None:
    kie.add_chat_model("m", text='{"a": 1}', credits=2.5)
    task = put("chat", prompt="Tell me more.", model="m", output_type="json")
    ended = task.run()
    assert ended.state == "success"
    assert ended.result["text"] == '{"a": 1}'
    assert {key: task.airflow.xcoms[key] for key in ended.result} == ended.result
    assert (task.airflow.xcoms["parsed"], task.airflow.xcoms["credits"]) == ({"a": 1}, 2.5)
    assert "m has answered: 2.5 credits, 8 characters" in ended.log


def test_a_chat_that_is_refused_is_not_retried_and_one_that_is_lost_may_be(
    put: Put, kie: KieSimulator
) -> None:
    task = put("chat", retries=2, prompt="Tell me more.", model="m")
    kie.fail_next("chat", drop_after=-1, accept=True)
    ended = task.run()
    assert (ended.state, BILLED in ended.log) == ("up_for_retry", True)
    kie.fail_next("chat", code=422)
    ended = task.run()
    assert (ended.state, BILLED in ended.log) == ("failed", False)
    assert len(kie.chats) == 1


@pytest.mark.parametrize("end", [marked_failed, terminated])
def test_a_chat_that_is_ended_is_over_and_its_connection_closed(
    end: Callable[[Task, Run], float], chat: Task, slow: SlowHost
) -> None:
    run = chat.start()
    assert slow.arrived.acquire(timeout=20)
    time.sleep(0.3)
    told_at = end(chat, run)
    assert chat.airflow.is_gone.wait(LIMIT - 0.2)
    ended = run.wait()
    assert ended.at - told_at < LIMIT
    assert "success" not in chat.airflow.states
    assert ended.log.count(BILLED) == 1
    assert slow.left_at[0] - told_at < LIMIT
    assert len(slow.requests) == 1


def test_a_chat_that_reaches_its_execution_timeout_is_over_and_may_be_retried(
    chat: Task, slow: SlowHost
) -> None:
    chat.arguments["execution_timeout"] = 1
    ended = chat.run()
    assert (ended.state, len(slow.requests)) == ("up_for_retry", 1)
    assert ended.seconds < 1 + LIMIT
    assert BILLED in ended.log
    assert len(slow.left_at) == 1


@pytest.mark.parametrize("moment", [0.0, 0.01, 0.05, 0.2])
def test_a_chat_that_is_ended_before_it_has_begun_is_over(moment: float, chat: Task, slow: SlowHost) -> None:
    run = chat.start()
    # The last that Airflow does before ``execute``.
    chat.airflow.wait_for("fields")
    time.sleep(moment)
    told_at = terminated(chat, run)
    assert chat.airflow.is_gone.wait(LIMIT - 0.2)
    assert run.wait().at - told_at < LIMIT
    assert "success" not in chat.airflow.states


def test_a_chat_that_is_ended_while_it_looks_for_its_connection_is_not_sent(
    chat: Task, slow: SlowHost
) -> None:
    chat.airflow.fail("connection", delay=0.5)
    run = chat.start()
    chat.airflow.wait_for("connection")
    time.sleep(0.1)
    told_at = terminated(chat, run)
    assert chat.airflow.is_gone.wait(LIMIT - 0.2)
    ended = run.wait()
    assert ended.at - told_at < LIMIT
    assert ("success" in chat.airflow.states, BILLED in ended.log, slow.requests) == (False, False, [])


def test_mapped_chats_have_an_index_each(put: Put, kie: KieSimulator) -> None:
    task = put("chat", model="m", expand=[{"prompt": "a"}, {"prompt": "b"}])
    task.airflow.map_index = 1
    ended = task.run()
    assert (ended.state, ended.result["text"]) == ("success", "b")


def test_metrics_that_raise_lose_no_answer(put: Put, kie: KieSimulator) -> None:
    task = put("chat", prompt="Tell me more.", model="m")
    task.metrics_fail = True
    ended = task.run()
    assert (ended.state, ended.result["text"]) == ("success", "Tell me more.")
    assert "metrics cannot be told" in ended.log
