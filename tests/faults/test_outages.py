"""Outages inside Airflow: the connection cannot be looked up, while sensors wait and when operators begin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kie._compat import AirflowFailException, AirflowRuntimeError
from airflow_provider_kie.client.errors import KieAuthError, KieConnectionNotFoundError
from airflow_provider_kie.operators.credits import KieCreditsBranchOperator
from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator
from airflow_provider_kie.simulator import KieSimulator

from .outage import Backend, Supervisor
from .trial import Ending, Trial
from .waiter import MODES, needs_a_store, quick_polls, wait

HELPFUL = "'kie_default' does not exist, or Airflow could not look it up just now"
DOWN = "API_SERVER_ERROR"
NOT_FOUND = "CONNECTION_NOT_FOUND"
GENERIC = "GENERIC_ERROR"
DENIED = "PERMISSION_DENIED"
NONSENSE = "an answer of no sense"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_polls(monkeypatch)


@pytest.fixture
def airflow(kie: KieSimulator, trial: Trial) -> Iterator[Supervisor]:
    """Give a supervisor that knows the connection to the simulator."""
    trial.secrets.append(kie.api_key)
    with Supervisor(connection_to(kie)) as supervisor:
        yield supervisor


def connection_to(kie: KieSimulator, **fields: Any) -> dict[str, Any]:
    extra = f'{{"upload_base_url": "{kie.upload_url}", "timeout": 5, "max_retries": 0}}'
    known = {"conn_type": "kie", "host": kie.api_url, "password": kie.api_key, "extra": extra}
    return known | fields


def in_every_mode(what: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("mode", MODES, ids=[f"{what}-{mode}" for mode in MODES])


@dataclass(frozen=True)
class Case:
    """
    What the lookups of the connection meet, one after the other; then all is well.

    :param name: The outage.
    :param troubles: The trouble of each; None is a good answer, and then the balance is "not yet".
    :param ends: The error that ends the waiting; None if it is waited out.
    :param lookups: How many there are until then, in poke mode.
    """

    name: str
    troubles: tuple[str | None, ...]
    ends: Ending = None
    lookups: int | None = None


CASES = [
    Case("one 5xx", (None, DOWN)),
    Case("nine 5xx", (None, *[DOWN] * 9)),
    Case("nine, one good, nine", (None, *[DOWN] * 9, None, *[DOWN] * 9)),
    Case("5xx from the first lookup on", (*[DOWN] * 8,)),
    Case("not found for a while", (None, *[NOT_FOUND] * 9)),
    Case("all sorts", (None, DOWN, NOT_FOUND, GENERIC, NONSENSE, DOWN, GENERIC, NONSENSE)),
    Case("not found for ever", (None, *[NOT_FOUND] * 99), KieConnectionNotFoundError, 11),
    Case("5xx for ever", (None, *[DOWN] * 99), KieConnectionNotFoundError, 11),
    Case("nonsense for ever", (None, *[NONSENSE] * 99), KieConnectionNotFoundError, 11),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES, ids=[case.name.replace(" ", "-") for case in CASES])
def test_waiting_outlasts_lookups_that_fail(
    case: Case,
    mode: str,
    trial: Trial,
    kie: KieSimulator,
    airflow: Supervisor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = airflow.attach(monkeypatch)
    if case.ends:
        needs_a_store(trial, mode, store)
    airflow.troubles.extend(case.troubles)
    for _ in range(case.troubles.count(None)):
        kie.fail_next("credit", body='{"code": 200, "msg": "success", "data": 0}')
    balance, error = trial.play(lambda _: wait(mode, store, soft_fail=True))
    judge_waiting(trial, case.ends, balance, error)
    if case.lookups is not None and airflow.lookups != case.lookups:
        trial.lose("other ending than promised", f"{airflow.lookups} lookups, not {case.lookups}")
    trial.close()


@in_every_mode("denied")
def test_a_denied_lookup_is_told_as_such(
    mode: str, trial: Trial, airflow: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = airflow.attach(monkeypatch)
    if store is None:
        trial.close()
        pytest.skip("Airflow does not tell a denial from a failure before 3.3")
    airflow.troubles.extend([DENIED] * 99)
    _, error = trial.play(lambda _: wait(mode, store))
    trial.judge_ending(error, KieConnectionNotFoundError, within=15.0)
    if "Access denied" not in str(error):
        trial.lose("other ending than promised", f"the reason is not told: {error}")
    trial.close()


@in_every_mode("a-secrets-backend-that-fails")
def test_a_secrets_backend_that_fails_is_waited_for(
    mode: str, trial: Trial, kie: KieSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    Backend.install(connection_to(kie), 6, monkeypatch)
    trial.secrets.append(kie.api_key)
    balance, error = trial.play(lambda _: wait(mode))
    judge_waiting(trial, None, balance, error)
    if Backend.lookups != 7:
        trial.lose("other ending than promised", f"{Backend.lookups} lookups, not 7")
    trial.close()


def test_an_outage_that_takes_the_state_store_too_ends_no_waiting(
    trial: Trial, kie: KieSimulator, airflow: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rescheduled, the failures cannot be counted then."""
    store = airflow.attach(monkeypatch)
    airflow.forgets = True
    airflow.troubles.extend([DOWN] * 30)
    balance, error = trial.play(lambda _: wait("reschedule", store))
    judge_waiting(trial, None, balance, error)
    trial.close()


def test_rescheduled_it_goes_on_though_airflow_cannot_say_since_when_it_waits(
    trial: Trial, kie: KieSimulator, airflow: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base class asks for it before each poke but the first."""
    store = airflow.attach(monkeypatch)
    for delay in (0.0, 0.0):
        kie.fail_next("credit", body='{"code": 200, "msg": "success", "data": 0}', delay=delay)
    airflow.silent_about_the_start = 3
    balance, error = trial.play(lambda _: wait("reschedule", store))
    judge_waiting(trial, None, balance, error)
    if airflow.silent_about_the_start or len(kie.requests) != 3:
        trial.lose("other ending than promised", f"{len(kie.requests)} polls, not 3")
    trial.close()


def test_rescheduled_it_does_not_go_on_for_ever_without_knowing_since_when(
    trial: Trial, airflow: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = airflow.attach(monkeypatch)
    airflow.troubles.append(DOWN)
    airflow.silent_about_the_start = 10_000
    _, error = trial.play(lambda _: wait("reschedule", store, timeout=5))
    if not isinstance(error, AirflowRuntimeError):
        trial.lose("other ending than promised", f"{error!r}")
    trial.close()


def test_a_supervisor_that_is_gone_for_good_ends_it_with_the_reason(
    trial: Trial, airflow: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow.attach(monkeypatch)
    airflow.leave()
    _, error = trial.play(lambda _: wait("poke"))
    trial.judge_ending(error, KieConnectionNotFoundError)
    trial.close()


@in_every_mode("a-wrong-key-after-an-outage")
def test_a_key_that_is_replaced_by_a_wrong_one_ends_it_at_once_all_the_same(
    mode: str, trial: Trial, airflow: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = airflow.attach(monkeypatch)
    airflow.connection["password"] = "revoked"
    airflow.troubles.extend([DOWN] * 3)
    _, error = trial.play(lambda _: wait(mode, store))
    trial.judge_ending(error, KieAuthError)
    if airflow.lookups != 4:
        trial.lose("request too many", f"{airflow.lookups} lookups, not 4")
    trial.close()


def upload(folder: Path) -> Any:
    source = folder / "a.png"
    source.write_bytes(b"a picture")
    return KieUploadOperator(task_id="t", source=str(source), upload_path="faults", retries=5)


def uploads(folder: Path) -> Any:
    source = folder / "a.png"
    source.write_bytes(b"a picture")
    return KieUploadOperator(task_id="t", source=[str(source)] * 3, upload_path="faults", retries=5)


def download(folder: Path) -> Any:
    return KieDownloadOperator(task_id="t", file_url="{url}", destination=str(folder / "b.png"), retries=5)


def branch(folder: Path) -> Any:
    operator = KieCreditsBranchOperator(
        task_id="t", threshold=1, follow_task_ids_if_true="a", follow_task_ids_if_false="b", retries=5
    )
    # Following the branch is Airflow's own, and needs a DAG run.
    operator.execute = operator.choose_branch  # type: ignore[method-assign]
    return operator


@pytest.mark.parametrize("trouble", [DOWN, NOT_FOUND, GENERIC, NONSENSE])
@pytest.mark.parametrize("make", [upload, uploads, download, branch])
def test_a_failed_lookup_leaves_an_operator_its_retries(
    make: Callable[[Path], Any],
    trouble: str,
    trial: Trial,
    kie: KieSimulator,
    airflow: Supervisor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = airflow.attach(monkeypatch)
    operator = make(trial.folder.parent)
    if isinstance(operator, KieDownloadOperator):
        operator.file_url = kie.add_generated_file("b.png", b"a picture")
    context: Any = {"task_state_store": store} if store is not None else {}
    airflow.troubles.append(trouble)
    _, error = trial.play(lambda _: operator.execute(context))
    trial.judge_ending(error, KieConnectionNotFoundError)
    if isinstance(error, AirflowFailException):
        trial.lose("other ending than promised", "Airflow would not retry")
    if HELPFUL not in str(error):
        trial.lose("other ending than promised", f"the message does not help: {error}")
    # Airflow's retry.
    result, error = trial.play(lambda _: operator.execute(context))
    trial.judge_ending(error, None)
    if not result:
        trial.lose("other ending than promised", "nothing came of the retry")
    trial.judge_secrets()
    trial.close()


def judge_waiting(trial: Trial, ends: Ending, balance: Any, error: Exception | None) -> None:
    trial.judge_ending(error, ends, within=15.0)
    if error is None and balance != 100.0:
        trial.lose("wrong byte", f"the balance is {balance!r}")
    if error is not None and "'kie_default' does not exist, or Airflow could not look it up" not in str(
        error
    ):
        trial.lose("other ending than promised", f"the message does not help: {error}")
    trial.judge_secrets()
