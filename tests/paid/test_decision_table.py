"""What a task that pays begins with, as a table; the simulator's ledger knows what was paid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from airflow_provider_kie._compat import AirflowFailException
from airflow_provider_kie.simulator import KieSimulator
from tests.unit.state_store import StateStore

from .tries import PRICE, Mode, PaidTask


def well(kie: KieSimulator, **more: Any) -> None:
    """Have jobs that are submitted from now on succeed soon, unless told otherwise."""
    kie.add_model("m", **{"seconds": 0.05, "credits": PRICE, **more})


# How the first try can end.


def left_nothing(task: PaidTask) -> None:
    task.kie.fail_next("createTask", code=402)
    assert task.run().error is not None
    task.kie.reset()
    well(task.kie)


def left_in_doubt(task: PaidTask) -> None:
    task.kie.fail_next("createTask", drop_after=-1, accept=True)
    assert "KieInDoubtError" in repr(task.run().error)


def left_running(task: PaidTask, **model: Any) -> None:
    well(task.kie, seconds=0.4, **model)
    if task.mode == "deferred":
        # The trigger's kwargs are lost, as a retry does.
        assert task.run(resume=False).deferral is not None
    else:
        task.arguments["timeout"] = 0.02
        assert "KieJobTimeoutError" in repr(task.run().error)
        del task.arguments["timeout"]
    well(task.kie)


def left_succeeded_unseen(task: PaidTask) -> None:
    left_running(task)
    task.kie.finish_jobs()


def left_failed_unseen(task: PaidTask) -> None:
    left_running(task, fail=500)
    task.kie.finish_jobs()


def left_refused_unseen(task: PaidTask) -> None:
    left_running(task, fail=(422, "sensitive content"))
    task.kie.finish_jobs()


def left_success(task: PaidTask) -> None:
    assert task.run().result is not None


def left_failed(task: PaidTask) -> None:
    well(task.kie, fail=500)
    assert task.run().may_retry
    well(task.kie)


def left_refused(task: PaidTask) -> None:
    well(task.kie, fail=(422, "sensitive content"))
    assert not task.run().may_retry
    well(task.kie)


@dataclass(frozen=True)
class Row:
    """
    A row of the table.

    :param left: How the first try ends.
    :param then: What happens before the second.
    :param gives: What the second gives: the earlier job's result, a new one's, a doubt, a failure.
    :param change: Of the arguments.
    """

    left: Callable[[PaidTask], None]
    then: Literal["retry", "clear"]
    gives: Literal["earlier", "new", "doubt", "failure"]
    change: Literal["", "input", "model", "submit"] = ""

    def __str__(self) -> str:
        return " ".join([self.left.__name__, self.then, self.change]).replace("_", " ").strip()


TABLE = [
    Row(left_nothing, "retry", "new"),
    Row(left_nothing, "clear", "new"),
    Row(left_in_doubt, "retry", "doubt"),
    Row(left_in_doubt, "retry", "doubt", "input"),
    Row(left_in_doubt, "retry", "doubt", "model"),
    Row(left_in_doubt, "retry", "new", "submit"),
    Row(left_in_doubt, "clear", "new"),
    Row(left_in_doubt, "clear", "new", "input"),
    Row(left_running, "retry", "earlier"),
    Row(left_running, "retry", "earlier", "input"),
    Row(left_running, "retry", "earlier", "model"),
    Row(left_running, "retry", "earlier", "submit"),
    Row(left_running, "clear", "earlier"),
    Row(left_running, "clear", "new", "input"),
    Row(left_running, "clear", "new", "model"),
    Row(left_succeeded_unseen, "retry", "earlier"),
    Row(left_succeeded_unseen, "retry", "earlier", "input"),
    Row(left_succeeded_unseen, "clear", "earlier"),
    Row(left_succeeded_unseen, "clear", "new", "input"),
    Row(left_failed_unseen, "retry", "new"),
    Row(left_failed_unseen, "clear", "new"),
    Row(left_refused_unseen, "retry", "failure"),
    Row(left_refused_unseen, "clear", "new"),
    Row(left_success, "retry", "earlier"),
    Row(left_success, "retry", "earlier", "input"),
    Row(left_success, "retry", "earlier", "model"),
    Row(left_success, "clear", "new"),
    Row(left_success, "clear", "new", "model"),
    Row(left_failed, "retry", "new"),
    Row(left_failed, "clear", "new"),
    Row(left_refused, "retry", "failure"),
    Row(left_refused, "retry", "failure", "input"),
    Row(left_refused, "clear", "new"),
]
CHANGES: dict[str, dict[str, Any]] = {
    "": {},
    "input": {"input": {"prompt": "a cat", "size": 5}},
    "model": {"model": "n"},
    "submit": {"on_doubt": "submit"},
}


@pytest.mark.parametrize("mode", ["sync", "deferred"])
@pytest.mark.parametrize("row", TABLE, ids=str)
def test_a_second_try_submits_only_what_nobody_has_or_a_person_asks_for(
    row: Row, mode: Mode, kie: KieSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    task = PaidTask(kie, mode, store=StateStore())
    row.left(task)
    before, posts = kie.jobs, task.posts
    if row.then == "clear":
        task.clear()
    task.arguments |= CHANGES[row.change]
    caplog.clear()
    ended = task.run()
    assert (len(kie.jobs) - len(before), task.posts - posts) == ((1, 1) if row.gives == "new" else (0, 0))
    if row.gives in ("earlier", "new"):
        assert ended.result is not None, ended.error
        job = kie.jobs[-1]
        assert (ended.result["job_id"], ended.result["state"]) == (job.job_id, "success")
        assert (ended.result["urls"], ended.result["credits"]) == (list(job.urls), PRICE)
    else:
        assert isinstance(ended.error, AirflowFailException)
        assert ("in doubt" in repr(ended.error.__context__) or "was sending" in ended.said) == (
            row.gives == "doubt"
        )
    names = {"input": "input['size']", "model": "model"}.get(row.change)
    warned = [line for line in caplog.messages if "changed since then" in line]
    assert bool(warned) == (row.gives in ("earlier", "failure") and bool(names))
    assert not warned or str(names) in warned[0]


def test_a_doubt_says_when_it_was_sent_where_to_look_and_what_a_clear_does(kie: KieSimulator) -> None:
    task = PaidTask(kie, store=StateStore())
    kie.fail_next("createTask", drop_after=-1, accept=True)
    for ended in (task.run(), task.run()):
        assert isinstance(ended.error, AirflowFailException)
        for words in ("KieInDoubtError", "sent at 20" if task.try_number == 1 else "at 20"):
            assert words in ended.said
        assert "https://kie.ai/logs" in ended.said
        assert "clearing the task" in ended.said
    assert task.posts == 1


def test_a_doubt_that_may_be_paid_twice_is_left_to_airflows_retry(kie: KieSimulator) -> None:
    task = PaidTask(kie, store=StateStore(), on_doubt="submit")
    kie.fail_next("createTask", drop_after=-1, accept=True)
    assert task.run().may_retry
    assert task.run().result is not None
    assert (task.posts, len(kie.jobs)) == (2, 2)
