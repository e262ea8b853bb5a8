"""Which failures end the waiting, and after how many in a row."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieConfigError,
    KieConnectionError,
    KieConnectionNotFoundError,
    KieError,
    KieFeatureDisabledError,
    KieGatewayError,
    KieInsufficientCreditsError,
    KieNotFoundError,
    KieQuotaError,
    KieRateLimitError,
    KieResponseError,
    KieTaskFailedError,
    KieUnavailableError,
    KieValidationError,
)
from airflow_provider_kie.decisions.waiting import FINAL_CODES, LIMIT, LOOKUP_LIMIT, Misses

WRONG_KEY = KieAuthError("no", code=401, said_by_kie=True)
CAPPED = KieQuotaError("no", code=433, said_by_kie=True)
PROXYS_401 = KieAuthError("no", code=401)
PROXYS_403 = KieResponseError("no", code=403)
NO_DATA = KieResponseError("no data", code=200)
GONE = KieNotFoundError("no", code=404, said_by_kie=True)
FIELD = KieConfigError("timeout: no")
NO_LOOKUP = KieConnectionNotFoundError("not found")
DOWN = KieUnavailableError("down", code=500, said_by_kie=True)


def ended_by(errors: Sequence[KieError | None]) -> int | None:
    """Say which of the polls ends the waiting; None in the list is a balance."""
    misses = Misses()
    for number, error in enumerate(errors, 1):
        misses = misses.after(error) if error else Misses()
        if misses.end_the_waiting:
            return number
    return None


@pytest.mark.parametrize(
    ("error", "limit"),
    [
        (WRONG_KEY, 1),
        (CAPPED, 1),
        (PROXYS_401, 3),
        (KieQuotaError("no", code=433), 3),
        (PROXYS_403, 3),
        (KieAuthError("no", code=403, said_by_kie=True), 3),
        (KieInsufficientCreditsError("no", code=402, said_by_kie=True), 3),
        (GONE, 3),
        (KieValidationError("no", code=422, said_by_kie=True), 3),
        (KieTaskFailedError("no", code=408, said_by_kie=True), 3),
        (KieFeatureDisabledError("no", code=505, said_by_kie=True), 3),
        (KieResponseError("redirected", code=302), 3),
        (NO_DATA, 3),
        (FIELD, 3),
        (KieError("of a sort that is not known yet"), 3),
        (NO_LOOKUP, 10),
        (DOWN, None),
        (KieRateLimitError("slow", code=429, said_by_kie=True), None),
        (KieUnavailableError("maintenance", code=455, said_by_kie=True), None),
        (KieGatewayError("a page", code=502), None),
        (KieConnectionError("refused"), None),
        (KieResponseError("cut off", transient=True), None),
        (KieError("RuntimeError: something of Airflow's", transient=True), None),
    ],
    ids=lambda value: f"{type(value).__name__}-{value.code}" if isinstance(value, KieError) else str(value),
)
def test_each_failure_has_its_limit(error: KieError, limit: int | None) -> None:
    assert ended_by([error] * 100) == limit
    assert ended_by([error, None] * 100) == (1 if limit == 1 else None)


@pytest.mark.parametrize(
    ("errors", "end"),
    [
        ([PROXYS_403, PROXYS_401, NO_DATA], 3),
        ([GONE, FIELD, GONE], 3),
        ([PROXYS_403, PROXYS_403, None, PROXYS_403, PROXYS_403, None], None),
        ([PROXYS_403, PROXYS_403, DOWN, PROXYS_403, PROXYS_403], None),
        ([PROXYS_403, PROXYS_403, NO_LOOKUP, PROXYS_403, PROXYS_403], None),
        ([NO_LOOKUP] * 9 + [DOWN] + [NO_LOOKUP] * 9, None),
        ([NO_LOOKUP] * 9 + [PROXYS_403] + [NO_LOOKUP] * 9, None),
        ([NO_LOOKUP] * 9 + [None] + [NO_LOOKUP] * 10, 20),
        ([DOWN] * 5 + [PROXYS_403] * 3, 8),
        ([PROXYS_403, WRONG_KEY], 2),
        ([NO_LOOKUP, CAPPED], 2),
        ([], None),
    ],
)
def test_only_failures_of_one_sort_make_a_row(errors: list[KieError | None], end: int | None) -> None:
    assert ended_by(errors) == end


def test_the_promised_figures() -> None:
    assert (frozenset({401, 433}), 3, 10) == (FINAL_CODES, LIMIT, LOOKUP_LIMIT)
