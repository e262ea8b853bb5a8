"""What stands in kie.ai's JSON, made fit for whoever it is passed on to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

# No model's result is nested like this; whoever walks through one comes to Python's limit before long.
DEPTH = 100
# A task fails whose result has one of the first two; of a dict with the others only a part arrives.
_AIRFLOWS_KEYS = frozenset({"__classname__", "__id__", "__type", "__var"})


def portable(value: Any, depth: int = DEPTH) -> Any:
    """
    Keep what XCom can carry.

    No number beyond 64 bits or any bounds, no half of a character, no U+0000, which PostgreSQL refuses, and
    no key that Airflow takes for its own.

    :param value: What came out of JSON.
    :param depth: How deep it may be nested; what lies deeper becomes None.
    :return: The same; large numbers as text, infinite ones as None, Airflow's keys without the underscores
        that they begin with.
    """
    if isinstance(value, Mapping | list) and not depth:
        return None
    if isinstance(value, Mapping):
        return {_portable_key(name): portable(one, depth - 1) for name, one in value.items()}
    if isinstance(value, list):
        return [portable(one, depth - 1) for one in value]
    if isinstance(value, str):
        return whole_characters(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, int) and abs(value) >= 2**63 else value


def _portable_key(name: Any) -> Any:
    key = portable(name)
    return key.lstrip("_") if key in _AIRFLOWS_KEYS else key


def whole_characters(text: str) -> str:
    """
    Join the halves of characters, as JSON writes those beyond 16 bits.

    :param text: Text out of JSON.
    :return: Text that UTF-8 and PostgreSQL can carry; a lone half and U+0000 are question marks.
    """
    text = text.replace("\0", "?")
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
