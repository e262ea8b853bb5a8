"""What stands in kie.ai's JSON, as XCom and every database that Airflow runs on can carry it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_kie.client.portable import portable, whole_characters

try:
    from airflow.sdk.serde import deserialize, serialize
except ImportError:  # Airflow 3.1
    from airflow.serialization.serde import (  # type: ignore[import-not-found,no-redef]
        deserialize,
        serialize,
    )

SAID: list[tuple[Any, Any]] = [
    ({"__classname__": "a", "__id__": 5}, {"classname__": "a", "id__": 5}),
    ({"__type": "dict", "__var": [1]}, {"type": "dict", "var": [1]}),
    ([{"deep": {"__id__": "x", "_id_": 1}}], [{"deep": {"id__": "x", "_id_": 1}}]),
    ({"a\0b": "c\0d"}, {"a?b": "c?d"}),
    ({"__version__": 1, "__data__": 2}, {"__version__": 1, "__data__": 2}),
]


@pytest.mark.parametrize(("value", "kept"), SAID, ids=str)
def test_what_airflow_or_postgresql_would_refuse_arrives(value: Any, kept: Any) -> None:
    assert portable(value) == kept
    assert deserialize(serialize(kept)) == kept


def test_halves_of_a_character_are_joined() -> None:
    assert whole_characters("a\ud83d\ude00\ud83d \0") == "a\N{GRINNING FACE}? ?"
