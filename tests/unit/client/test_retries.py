from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from tenacity import RetryCallState, Retrying

from airflow_provider_kie.client import retries
from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieCancelledError,
    KieConnectionError,
    KieGatewayError,
    KieInDoubtError,
    KieInsufficientCreditsError,
    KieRateLimitError,
    KieResponseError,
    KieTransferError,
    KieUnavailableError,
)
from airflow_provider_kie.client.retries import may_repeat, retry_policy, seconds_to_wait

# As they are outside of tests, where nothing waits.
BACKOFF = retries._backoff
CREATION_BACKOFF = retries._creation_backoff
MAINTENANCE_BACKOFF = retries._maintenance_backoff
LOGGER = "airflow_provider_kie.client.retries"


@pytest.fixture
def _waiting(monkeypatch: pytest.MonkeyPatch, _no_waiting_between_retries: None) -> None:
    monkeypatch.setattr(retries, "_backoff", BACKOFF)
    monkeypatch.setattr(retries, "_creation_backoff", CREATION_BACKOFF)
    monkeypatch.setattr(retries, "_maintenance_backoff", MAINTENANCE_BACKOFF)


def state_after(error: BaseException, attempt: int = 1) -> RetryCallState:
    state = RetryCallState(Retrying(), fn=None, args=(), kwargs={})
    state.attempt_number = attempt
    state.set_exception((type(error), error, None))
    return state


def failing(*errors: BaseException) -> tuple[Callable[[], str], list[BaseException]]:
    """Make a function that raises these errors, one a call, and then succeeds."""
    left = list(errors)

    def function() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return function, left


@pytest.mark.parametrize(
    ("error", "reading", "creating"),
    [
        (KieRateLimitError("x", code=429), True, True),
        (KieUnavailableError("x", code=455), True, True),
        (KieUnavailableError("x", code=500), True, False),
        (KieConnectionError("x"), True, False),
        (KieConnectionError("x", never_sent=True), True, True),
        (KieConnectionError("x", never_sent=True, transient=False), False, False),
        (KieGatewayError("x", code=502), True, False),
        (KieCancelledError("x"), False, False),
        (KieInDoubtError("x"), False, False),
        (KieInsufficientCreditsError("x", code=429), False, False),
        (KieTransferError("x"), True, False),
        (KieTransferError("x", transient=False), False, False),
        (KieResponseError("x", transient=True), True, False),
        (KieResponseError("x"), False, False),
        (KieAuthError("x", code=401), False, False),
        (OSError("disk full"), False, False),
        (TimeoutError(), False, False),
        (KeyboardInterrupt(), False, False),
    ],
    ids=repr,
)
def test_what_is_sent_again(error: BaseException, reading: bool, creating: bool) -> None:
    assert may_repeat(repeatable=True)(error) is reading
    assert may_repeat(repeatable=False)(error) is creating


@pytest.mark.usefixtures("_waiting")
@pytest.mark.parametrize(
    ("code", "asked", "waits"),
    [
        (503, 0, 0),
        (503, 0.5, 0.5),
        (429, 7, 7),
        (455, 7, 7),
        (503, 120, 120),
        (503, 121, 120),
        (429, 86400, 120),
        (455, float("inf"), 120),
    ],
)
def test_the_wait_that_was_asked_for_is_kept_up_to_two_minutes(code: int, asked: float, waits: float) -> None:
    error = KieUnavailableError("x", code=code, retry_after=asked)
    assert seconds_to_wait(state_after(error)) == waits


@pytest.mark.usefixtures("_waiting")
@pytest.mark.parametrize(
    ("attempt", "bound"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (50, 60)]
)
def test_without_it_the_wait_is_anywhere_below_a_doubling_bound(attempt: int, bound: float) -> None:
    waits = [seconds_to_wait(state_after(KieUnavailableError("x", code=503), attempt)) for _ in range(200)]
    assert 0 <= min(waits) < bound / 2 < max(waits) <= bound


@pytest.mark.usefixtures("_waiting")
@pytest.mark.parametrize(("attempt", "bound"), [(1, 15), (2, 30), (3, 60), (4, 120), (20, 120)])
def test_maintenance_is_waited_for_longer(attempt: int, bound: float) -> None:
    waits = [seconds_to_wait(state_after(KieUnavailableError("x", code=455), attempt)) for _ in range(200)]
    assert bound / 2 < max(waits) <= bound


@pytest.mark.usefixtures("_waiting")
@pytest.mark.parametrize(("attempt", "bound"), [(1, 10), (2, 20), (3, 40), (4, 80), (5, 120), (20, 120)])
def test_creations_that_met_their_limit_wait_until_there_is_room_again(attempt: int, bound: float) -> None:
    state = state_after(KieRateLimitError("x", code=429), attempt)
    waits = [seconds_to_wait(state, repeatable=False) for _ in range(200)]
    assert min(waits) >= 5
    assert bound / 2 < max(waits) <= bound
    assert max(seconds_to_wait(state) for _ in range(200)) <= 2**attempt


@pytest.mark.usefixtures("_waiting")
def test_creations_that_met_no_limit_wait_as_everything_else_does() -> None:
    state = state_after(KieConnectionError("x", never_sent=True))
    assert max(seconds_to_wait(state, repeatable=False) for _ in range(200)) <= 1


@pytest.mark.usefixtures("_waiting")
@pytest.mark.parametrize("repeatable", [True, False])
def test_a_policy_waits_as_its_call_has_to(repeatable: bool) -> None:
    wait = retry_policy("call", max_retries=4, repeatable=repeatable)["wait"]
    waits = [wait(state_after(KieRateLimitError("x", code=429))) for _ in range(200)]
    assert (max(waits) > 1) is not repeatable


@pytest.mark.usefixtures("_waiting")
def test_a_wait_needs_no_outcome() -> None:
    assert 0 <= seconds_to_wait(RetryCallState(Retrying(), fn=None, args=(), kwargs={})) <= 1


@pytest.mark.parametrize("max_retries", [0, 1, 4])
def test_there_are_at_most_so_many_retries_and_the_last_error_is_raised(max_retries: int) -> None:
    errors = [KieRateLimitError(f"{number}") for number in range(10)]
    function, left = failing(*errors)
    with pytest.raises(KieRateLimitError, match=f"^{max_retries}$"):
        Retrying(**retry_policy("credits", max_retries=max_retries))(function)
    assert len(left) == 9 - max_retries


def test_what_passes_is_got_over() -> None:
    function, left = failing(KieRateLimitError("x"), KieConnectionError("x"))
    assert Retrying(**retry_policy("credits", max_retries=2))(function) == "done"
    assert not left


@pytest.mark.parametrize("error", [KieAuthError("x", code=401), OSError("disk full"), KeyboardInterrupt()])
def test_what_does_not_pass_is_raised_at_once(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    function, left = failing(error, error)
    with pytest.raises(type(error)) as caught:
        Retrying(**retry_policy("credits", max_retries=4))(function)
    assert caught.value is error
    assert len(left) == 1
    assert not caplog.records


def test_each_retry_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    function, _ = failing(
        KieRateLimitError("credits: too fast (code 429).", code=429, retry_after=0),
        KieConnectionError("credits: cannot connect", never_sent=True),
    )
    with caplog.at_level(logging.WARNING, LOGGER):
        Retrying(**retry_policy("credits", max_retries=4))(function)
    assert [(record.name, record.levelname) for record in caplog.records] == [(LOGGER, "WARNING")] * 2
    assert caplog.messages == [
        "credits failed; retry 1 of 4 in 0.0 s: credits: too fast (code 429).",
        "credits failed; retry 2 of 4 in 0.0 s: credits: cannot connect",
    ]
