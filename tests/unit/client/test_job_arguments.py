"""What callers say of a job, checked before anything is sent."""

from __future__ import annotations

import copy
import enum
import json
import math
from collections import UserDict, UserList
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest

from airflow_provider_kie.client.arguments import (
    JSON_DEPTH,
    check_callback_url,
    check_job_id,
    json_object,
    optional_seconds,
    positive_seconds,
)


@pytest.mark.parametrize(
    "job_id",
    ["0f1e2d3c4b5a69788796a5b4c3d2e1f0", "veo_task_abc-123", "a", "12:34.5", "A" * 200],
)
def test_the_id_of_a_job_is_given_back(job_id: str) -> None:
    assert check_job_id(job_id) == job_id


@pytest.mark.parametrize(
    "job_id",
    [
        "",
        " ",
        "a b",
        "a\n",
        "a/b",
        "../a",
        "a?b",
        "a&b",
        "a#b",
        "a%20b",
        "{{ x }}",
        "\u6587",
        "A" * 201,
        None,
        5,
        True,
        b"a",
        ["a"],
        {"job_id": "a"},
    ],
    ids=repr,
)
def test_what_is_no_id_of_a_job_is_refused(job_id: Any) -> None:
    with pytest.raises(ValueError, match=r"^job_id must be the id that kie\.ai gave the job, and cannot be "):
        check_job_id(job_id)


@pytest.mark.parametrize("url", ["https://h/a", "HTTPS://h:8443/a?b=c", "https://h"])
def test_a_callback_url_is_given_back(url: str) -> None:
    assert check_callback_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://h/a",
        "h/a",
        "//h/a",
        "ftp://h/a",
        "https//h/a",
        " https://h/a",
        "https:/h",
        "https://",
        "https://h:0/",
        "https://h/\n",
        "https://h/\ud800",
        None,
        5,
        True,
        b"https://h/",
        ["u"],
    ],
    ids=ascii,
)
def test_a_callback_url_that_is_no_https_url_is_refused(url: Any) -> None:
    with pytest.raises(ValueError, match=r"^callback_url must be an (https|absolute http\(s\)) URL"):
        check_callback_url(url)


@pytest.mark.parametrize(
    "url", ["https://me:s3cret@h/a", "https://s3cret@h/a", "http://h/a?s3cret", "http://me:s3cret@h/a"]
)
def test_a_callback_url_is_refused_without_showing_what_may_be_secret(url: str) -> None:
    with pytest.raises(ValueError, match=r"^callback_url must ") as caught:
        check_callback_url(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1, 1.0),
        (0.01, 0.01),
        ("3600", 3600.0),
        ("0.5", 0.5),
        (timedelta(hours=1), 3600.0),
        (timedelta(milliseconds=1), 0.001),
        (timedelta(days=3650), 315_360_000.0),
    ],
)
def test_a_span_of_time_is_read_as_seconds(value: Any, seconds: float) -> None:
    for read in (positive_seconds("timeout", value), optional_seconds("timeout", value)):
        assert (type(read), read) == (float, seconds)


@pytest.mark.parametrize(
    "value",
    [
        0,
        0.0,
        -1,
        "0",
        "-5",
        "",
        "soon",
        "None",
        "5 s",
        math.nan,
        "nan",
        math.inf,
        "inf",
        -math.inf,
        True,
        False,
        [5],
        {},
        1e300,
        10**400,
        timedelta(0),
        timedelta(seconds=-1),
        timedelta.max,
        timedelta(days=3651),
    ],
    ids=repr,
)
def test_what_is_no_span_of_time_above_0_is_refused(value: Any) -> None:
    for read in (positive_seconds, optional_seconds):
        with pytest.raises(ValueError, match=r"^poll_interval must be a number of seconds above 0") as caught:
            read("poll_interval", value)
        assert "; not " in str(caught.value)


def test_a_span_of_time_can_be_left_out_only_where_it_is_optional() -> None:
    assert optional_seconds("poll_interval", None) is None
    with pytest.raises(ValueError, match=r"^timeout must be .*; not None$"):
        positive_seconds("timeout", None)


# What goes into a body


class Level(enum.IntEnum):
    HIGH = 3


class Earlier(Sequence[Any]):
    """What earlier mapped tasks returned, as Airflow gives it: a sequence that is no list."""

    def __init__(self, *items: Any) -> None:
        self._items = items

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("5", '"5"'),
        (5, "5"),
        (5.0, "5.0"),
        (0, "0"),
        (False, "false"),
        (True, "true"),
        (None, "null"),
        ("", '""'),
        ("true", '"true"'),
        (" a\n\u6587\U0001f600 ", '" a\n\u6587\U0001f600 "'.replace("\n", "\\n")),
        (2**63, str(2**63)),
        (1e300, "1e+300"),
        ([], "[]"),
        ({}, "{}"),
        ((1, "1"), '[1, "1"]'),
        (Earlier("a", Earlier(1)), '["a", [1]]'),
        (MappingProxyType({"a": (1,)}), '{"a": [1]}'),
        (UserDict({"a": UserList([1])}), '{"a": [1]}'),
        (Level.HIGH, "3"),
        ({"b": 1, "a": [{"c": "{{ x }}"}]}, '{"b": 1, "a": [{"c": "{{ x }}"}]}'),
    ],
    ids=repr,
)
def test_no_value_changes_its_type_on_the_way(value: Any, written: str) -> None:
    copied = json_object("input", {"key": value})
    assert json.dumps(copied, ensure_ascii=False) == f'{{"key": {written}}}'
    if type(value) in (str, int, float, bool, type(None)):
        assert type(copied["key"]) is type(value)


def test_the_callers_own_objects_are_neither_changed_nor_shared() -> None:
    given: dict[str, Any] = {"b": [1, {"c": (2,)}], "a": {"d": "5"}}
    before = copy.deepcopy(given)
    copied = json_object("input", given)
    copied["b"][1]["c"].append(3)
    copied["a"]["d"] = 5
    assert given == before
    assert list(copied) == ["b", "a"]


def itself() -> dict[str, Any]:
    """Give a dict that contains itself ten times, so that it must not be walked through."""
    value: dict[str, Any] = {}
    value |= dict.fromkeys("abcdefghij", value)
    return value


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (math.nan, "input['key'] is a number that JSON cannot carry"),
        (-math.inf, "input['key'] is a number that JSON cannot carry"),
        (10**5000, "input['key'] is a number that JSON cannot carry"),
        (b"bytes", "input['key'] is a bytes"),
        (bytearray(b"a"), "input['key'] is a bytearray"),
        (memoryview(b"a"), "input['key'] is a memoryview"),
        (datetime(2026, 1, 1), "input['key'] is a datetime"),
        (timedelta(1), "input['key'] is a timedelta"),
        (Decimal("1.5"), "input['key'] is a Decimal"),
        (Path("/a"), "input['key'] is a PosixPath"),
        (UUID(int=5), "input['key'] is a UUID"),
        ({"a"}, "input['key'] is a set"),
        (iter([1]), "input['key'] is a list_iterator"),
        (object(), "input['key'] is a object"),
        (str, "input['key'] is a type"),
        ("half \ud83d of a pair", "input['key'] cannot be sent: it has half a surrogate pair"),
        ([1, {"a": [math.nan]}], "input['key'][1]['a'][0] is a number"),
        ({"a": {"b": b""}}, "input['key']['a']['b'] is a bytes"),
        ({5: "a"}, "input['key'] has the key 5, a int: JSON's keys are text"),
        ({None: "a"}, "input['key'] has the key None, a NoneType"),
        ([{True: "a"}], "input['key'][0] has the key True, a bool"),
        ({"\udc00": "a"}, r"the key input['key']['\udc00'] cannot be sent: it has half"),
        (itself(), "input['key']['a']['a']"),
        (endless(), "input['key'][0][0]"),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else type(value).__name__,
)
def test_what_json_cannot_carry_is_refused_by_its_key(value: Any, named: str) -> None:
    with pytest.raises(ValueError, match=r"^(the key )?input") as caught:
        json_object("input", {"fine": 1, "key": value})
    assert str(caught.value).startswith(named)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("value", [None, "{}", [], [("a", 1)], 5, b"{}", {"a"}], ids=repr)
def test_an_input_that_is_no_dict_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=f"^input must be a dict, not {type(value).__name__}$"):
        json_object("input", value)


def test_brackets_in_keys_are_no_nesting() -> None:
    given = {"[" * 100: {"]" * 100: ["[" * 100]}}
    assert json_object("input", given) == given


def test_what_is_nested_as_deeply_as_any_input_is_taken() -> None:
    value: Any = "deep"
    for _ in range(JSON_DEPTH):
        value = [value]
    with pytest.raises(ValueError, match="is nested too deeply"):
        json_object("input", {"key": value})
    assert json_object("input", {"key": value[0]}) == {"key": value[0]}
