"""The balance: its call and its parser."""

from __future__ import annotations

import math
from typing import Any

from airflow_provider_kie.client.call import Call
from airflow_provider_kie.client.errors import KieResponseError


def get_credits() -> Call[float]:
    """
    Ask for the balance.

    :return: A call that returns the credits; free.

    kie.ai page: https://docs.kie.ai/common-api/get-account-credits
    """
    return Call("credits", "api", "GET", "/api/v1/chat/credit", parse_credits)


def parse_credits(data: Any) -> float:
    """
    Read the balance.

    :param data: The answer's ``data``: a float as recorded, an integer as documented, or either as text.
    :return: Credits.
    :raises KieResponseError: It is not a finite number.
    """
    if isinstance(data, int | float | str) and not isinstance(data, bool):
        try:
            credits_ = float(data)
        except (ValueError, OverflowError):
            credits_ = math.nan
        if math.isfinite(credits_):
            return credits_
    raise KieResponseError(f"the balance is no number but {type(data).__name__}")
