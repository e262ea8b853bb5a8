"""When a task is tried again, as decided by the policy; that Airflow asks it, the runner's tests say."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import timedelta
from typing import Any

import airflow.sdk
import pytest
from airflow.sdk import DAG

from airflow_provider_kie import retry_policy
from airflow_provider_kie._compat import HAS_RETRY_POLICIES
from airflow_provider_kie._tasks import PAID_RETRY_POLICY, RETRY_POLICY
from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieBatchError,
    KieConfigError,
    KieConnectionError,
    KieInDoubtError,
    KieJobFailedError,
    KieRateLimitError,
    KieUnavailableError,
)
from airflow_provider_kie.operators.chat import KieChatOperator
from airflow_provider_kie.operators.credits import KieCreditsBranchOperator
from airflow_provider_kie.operators.files import KieUploadOperator
from airflow_provider_kie.operators.jobs import KieGenerateOperator
from airflow_provider_kie.retry_policy import KieRetryPolicy
from airflow_provider_kie.sensors.credits import KieCreditsSensor

pytestmark = pytest.mark.skipif(not HAS_RETRY_POLICIES, reason="Airflow asks a policy from 3.3 on")

RATE_LIMIT = KieRateLimitError("Too many requests.", code=429, said_by_kie=True)
MAINTENANCE = KieUnavailableError("Maintenance.", code=455, said_by_kie=True)


def decide(error: BaseException, policy: KieRetryPolicy | None = None) -> tuple[str, float | None]:
    """Give the policy's action, and the delay in seconds."""
    decision = (policy or KieRetryPolicy()).evaluate(error, 1, 3)
    delay = decision.retry_delay
    return decision.action.value, None if delay is None else delay.total_seconds()


def asking_for(seconds: float) -> KieRateLimitError:
    return KieRateLimitError("Too many requests.", code=429, retry_after=seconds, said_by_kie=True)


def caused_by(cause: Exception, error: Exception) -> Exception:
    try:
        raise error from cause
    except Exception as raised:
        return raised


def while_handling(handled: Exception, error: Exception) -> Exception:
    error.__context__ = handled
    return error


@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (asking_for(7), ("retry", 7)),
        (asking_for(1e9), ("retry", 3600)),
        (asking_for(0), ("default", None)),
        (RATE_LIMIT, ("default", None)),
        (MAINTENANCE, ("default", None)),
        (KieUnavailableError("Away.", code=503, retry_after=3), ("retry", 3)),
        (KieConnectionError("Cut off."), ("default", None)),
        (KieAuthError("Refused.", code=401), ("fail", None)),
        (KieConfigError("Unusable."), ("fail", None)),
        (KieInDoubtError("Sent or not."), ("fail", None)),
        (KieJobFailedError("No cats."), ("fail", None)),
        (KieJobFailedError("A bad day.", transient=True), ("default", None)),
        (ValueError("threshold must be a number"), ("default", None)),
        (OSError("disk full"), ("default", None)),
        (KeyboardInterrupt(), ("default", None)),
    ],
    ids=repr,
)
def test_what_follows_from_an_error(error: BaseException, decision: Any) -> None:
    assert decide(error) == decision


def test_of_a_batch_the_longest_wait_counts_and_one_that_may_pass_is_enough() -> None:
    refused = KieAuthError("Refused.")
    files = [("a", asking_for(3)), ("b", asking_for(9)), ("c", refused), ("d", OSError("disk full"))]
    assert decide(KieBatchError(files, 9)) == ("retry", 9)
    assert decide(KieBatchError([("c", refused), ("e", refused)], 9)) == ("fail", None)


def test_a_function_may_wrap_an_error() -> None:
    assert decide(caused_by(asking_for(7), RuntimeError("no luck"))) == ("retry", 7)
    assert decide(caused_by(KieAuthError("Refused."), RuntimeError("no luck"))) == ("fail", None)
    assert decide(while_handling(asking_for(7), RuntimeError("no luck"))) == ("retry", 7)


def test_what_failed_while_an_error_was_handled_may_pass() -> None:
    missing = KieAuthError("Refused.")
    assert decide(while_handling(missing, ConnectionError("the bucket is away"))) == ("default", None)


def test_errors_that_cause_each_other_end_the_search() -> None:
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__cause__, other.__cause__ = other, one
    assert decide(one) == ("default", None)


class _Newer:
    """As far as it matters, Airflow 3.4's ``RetryDecision``."""

    default = staticmethod(lambda: "default")
    fail = staticmethod(lambda reason: "fail")
    retry = staticmethod(lambda delay, reason: "retry")
    reschedule = staticmethod(lambda delay, max_reschedules, reason: (delay, max_reschedules))


@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (RATE_LIMIT, (None, 5)),
        (asking_for(7), (timedelta(seconds=7), 5)),
        (MAINTENANCE, (None, 5)),
        # A proxy's page, and what may have got through.
        (KieUnavailableError("A page.", code=455), "default"),
        (KieUnavailableError("Away.", code=503, retry_after=3, said_by_kie=True), "retry"),
        (KieConnectionError("Cut off."), "default"),
        (KieInDoubtError("Sent or not.", transient=True), "default"),
        (caused_by(RATE_LIMIT, KieInDoubtError("Sent or not.", transient=True)), "default"),
        (caused_by(asking_for(7), RuntimeError("paid, and then this")), "retry"),
        (KieBatchError([("a", asking_for(7))], 2), "retry"),
        (KieAuthError("Refused."), "fail"),
    ],
)
def test_from_airflow_3_4_on_only_what_was_put_off_starts_over_without_using_up_a_retry(
    error: BaseException, decision: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_policy, "RetryDecision", _Newer)
    monkeypatch.setattr(retry_policy, "HAS_RESCHEDULE", True)
    assert KieRetryPolicy(max_reschedules=5).evaluate(error, 1, 3) == decision


def test_a_function_starts_over_only_if_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry_policy, "RetryDecision", _Newer)
    monkeypatch.setattr(retry_policy, "HAS_RESCHEDULE", True)
    decision: Any = KieRetryPolicy().evaluate(asking_for(7), 1, 3)
    assert decision == "retry"


def test_a_negative_number_is_refused() -> None:
    with pytest.raises(ValueError, match="max_reschedules must be 0 or more, not -1"):
        KieRetryPolicy(max_reschedules=-1)


def test_a_policy_survives_copies_and_serialization() -> None:
    policy = KieRetryPolicy(max_reschedules=3)
    assert pickle.loads(pickle.dumps(policy)) == copy.deepcopy(policy) == policy
    assert KieRetryPolicy.deserialize(json.loads(json.dumps(policy.serialize()))) == policy


OTHER = KieRetryPolicy(max_reschedules=1)
OURS = KieRetryPolicy(max_reschedules=12)
PAID = KieRetryPolicy()


@pytest.mark.parametrize("policy", [RETRY_POLICY, PAID_RETRY_POLICY])
def test_a_task_has_a_policy_that_airflow_can_chain_with_others(policy: Any) -> None:
    assert isinstance(policy, airflow.sdk.RetryPolicy)


def tasks(dag: DAG, **arguments: Any) -> list[Any]:
    """Make one task of each base class, and a mapped one as it runs."""
    upload = {"upload_path": "a", **arguments}
    with dag:
        mapped = KieUploadOperator.partial(task_id="mapped", **upload).expand(source=["a"])
        return [
            KieUploadOperator(task_id="operator", source="a", **upload),
            KieCreditsBranchOperator(
                task_id="branch",
                threshold=1,
                follow_task_ids_if_true="operator",
                follow_task_ids_if_false="sensor",
                **arguments,
            ),
            KieCreditsSensor(task_id="sensor", threshold=1, **arguments),
            mapped,
            mapped.unmap({"source": "a"}),
        ]


@pytest.mark.parametrize(
    ("defaults", "given", "policy"),
    [
        ({}, {}, OURS),
        ({"retries": 3}, {}, OURS),
        ({}, {"retry_policy": OTHER}, OTHER),
        ({}, {"retry_policy": None}, None),
        ({"retry_policy": OTHER}, {}, OTHER),
        ({"retry_policy": None}, {}, None),
        ({"retry_policy": OTHER}, {"retry_policy": None}, None),
        ({"retry_policy": None}, {"retry_policy": OTHER}, OTHER),
    ],
    ids=str,
)
def test_the_dag_and_the_task_may_have_another_policy_or_none(
    defaults: Any, given: Any, policy: KieRetryPolicy | None
) -> None:
    made = tasks(DAG("d", default_args=defaults), **given)
    assert [task.retry_policy for task in made] == [policy] * len(made)


@pytest.mark.parametrize(
    ("defaults", "given", "policy"),
    [
        ({}, {}, PAID),
        ({"retry_policy": OTHER}, {}, OTHER),
        ({"retry_policy": OTHER}, {"retry_policy": None}, None),
    ],
    ids=str,
)
def test_what_costs_credits_starts_over_within_its_retries_only(
    defaults: Any, given: Any, policy: KieRetryPolicy | None
) -> None:
    with DAG("d", default_args=defaults):
        chat = KieChatOperator(task_id="chat", model="a", prompt="b", **given)
        mapped = KieChatOperator.partial(task_id="mapped", model="a", **given).expand(prompt=["b"])
        generate = KieGenerateOperator(task_id="generate", model="a", input={}, **given)
    made: list[Any] = [chat, mapped, mapped.unmap({"prompt": "b"}), generate]
    assert [task.retry_policy for task in made] == [policy] * 4


def test_a_serialized_dag_says_which_tasks_have_a_policy() -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    dag = DAG("d")
    tasks(dag)
    with dag:
        KieUploadOperator(task_id="none", source="a", upload_path="a", retry_policy=None)
    again = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    having = {task.task_id for task in again.tasks if task.has_retry_policy}
    assert having == {"operator", "branch", "sensor", "mapped"}
