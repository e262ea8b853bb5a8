"""What stands in kie.ai's JSON, made fit for whoever it is passed on to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

# No model's result is nested like this; whoever walks through one comes to Python's limit before long.
DEPTH = 100


def portable(value: Any, depth: int = DEPTH) -> Any:
    """
    Keep what XCom can carry: no number beyond 64 bits or any bounds, no half of a character.

    :param value: What came out of JSON.
    :param depth: How deep it may be nested; what lies deeper becomes None.
    :return: The same; large numbers as text, infinite ones as None.
    """
    if isinstance(value, Mapping | list) and not depth:
        return None
    if isinstance(value, Mapping):
        return {portable(name): portable(one, depth - 1) for name, one in value.items()}
    if isinstance(value, list):
        return [portable(one, depth - 1) for one in value]
    if isinstance(value, str):
        return whole_characters(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, int) and abs(value) >= 2**63 else value


def whole_characters(text: str) -> str:
    """
    Join the halves of characters, as JSON writes those beyond 16 bits; a lone half becomes a question mark.

    :param text: Text out of JSON.
    :return: Text that UTF-8 can carry.
    """
    if text.isascii():
        return text
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return joined.encode(errors="replace").decode()


def finite_number(value: Any) -> float | None:
    """
    Read a number that may be written as text.

    :param value: Anything.
    :return: The number; None for what is none, or beyond all that kie.ai counts.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1e15 else None
