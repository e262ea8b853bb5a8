from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_kie.client.api.credits import parse_credits
from airflow_provider_kie.client.errors import KieResponseError


@pytest.mark.parametrize(
    ("data", "credits_"),
    [(5916.25, 5916.25), (100, 100.0), (0, 0.0), (-1.5, -1.5), ("5916.25", 5916.25), ("100", 100.0)],
)
def test_credits_are_a_float(data: Any, credits_: float) -> None:
    read = parse_credits(data)
    assert (type(read), read) == (float, credits_)


@pytest.mark.parametrize(
    "data",
    [
        None,
        True,
        False,
        "",
        "many",
        "12,5",
        "nan",
        "inf",
        "-Infinity",
        float("nan"),
        float("inf"),
        pytest.param(10**400, id="huge"),
        pytest.param("9" * 5000, id="huge-text"),
        [],
        [5],
        {},
        {"credits": 5},
    ],
)
def test_what_is_no_finite_number_is_no_balance(data: Any) -> None:
    with pytest.raises(KieResponseError, match="the balance is no number"):
        parse_credits(data)
