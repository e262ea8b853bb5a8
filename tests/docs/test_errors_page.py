"""The errors page draws the code's tree of errors, and tabulates what the code makes of each answer."""

from __future__ import annotations

import re

import pytest

from airflow_provider_kie.client import errors
from airflow_provider_kie.client.codes import error_class
from airflow_provider_kie.client.errors import KieError

from .pages import literals, table, text_of

CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, KieError)
}
# Rows about codes; the others say in words what has no code.
ROWS = [row for row in table("errors.rst", "Code") if re.match(r"\d{3}\b", row[0])]
# One message for each thing that a message can say.
SAYS = {
    "credits": "Credits insufficient",
    "fetching or downloading": "Failed to fetch the image",
    "a rate": "Your call frequency is too high",
}


def drawn() -> list[tuple[str, str, str]]:
    """Read the tree: parent, class, note."""
    lines = re.findall(r"^   ([ │├└─]*)(Kie\w+)(.*)$", text_of("errors.rst"), re.MULTILINE)
    above: list[str] = []
    found = []
    for indent, name, note in lines:
        depth = len(indent) // 4
        above[depth:] = [name]
        found.append((above[depth - 1] if depth else "", name, note.strip()))
    return found


def codes_of(row: list[str]) -> list[int]:
    """List the codes that a row names outright, and one for each "other"."""
    said = row[0].partition(";")[0].replace("other 4xx", "418").replace("other 5xx", "599")
    return [int(code) for code in re.findall(r"\d{3}", said)]


def test_the_tree_of_errors_is_the_codes() -> None:
    real = {
        (base.__name__, name)
        for name, kind in CLASSES.items()
        for base in kind.__bases__
        if issubclass(base, KieError)
    }
    assert {(parent, name) for parent, name, _ in drawn()} == real | {("", "KieError")}


def test_the_tree_calls_transient_what_is() -> None:
    said = {name for _, name, note in drawn() if re.match(r"transient(, mostly)?:", note)}
    assert said == {name for name, kind in CLASSES.items() if kind.transient}


def test_every_error_is_described() -> None:
    described = re.findall(r"^\.\. autoexception:: \S+\.(\w+)$", text_of("errors.rst"), re.MULTILINE)
    assert sorted(described) == sorted(CLASSES)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:12])
def test_a_code_becomes_the_error_of_its_row(row: list[str]) -> None:
    _, kind, repeated, retried = row
    for code in codes_of(row):
        error = error_class(code)("words", code=code)
        assert literals(kind) == [type(error).__name__]
        assert error.transient is repeated.startswith("yes")
        assert error.airflow_may_retry is retried.startswith("yes")


@pytest.mark.parametrize("row", [row for row in ROWS if "also" in row[0]], ids=lambda row: row[0][:12])
def test_a_code_whose_message_says_otherwise_becomes_the_error_of_that_row(row: list[str]) -> None:
    also = row[0].partition("also")[2]
    (message,) = [message for words, message in SAYS.items() if words in also]
    for code in re.findall(r"\d{3}", also):
        assert literals(row[1]) == [error_class(int(code), message).__name__]


def test_every_code_of_the_client_has_a_row() -> None:
    from airflow_provider_kie.client.codes import _BY_CODE

    assert set(_BY_CODE) <= {code for row in ROWS for code in codes_of(row)}


def test_every_error_that_ends_a_task_has_a_line_for_the_night() -> None:
    lines = {name for row in table("at-night.rst", "The log says") for name in literals(row[0])}
    # The base classes never come alone; one is for the process that is ended anyway.
    not_alone = {"KieError", "KieJobError", "KieCancelledError"}
    assert set(CLASSES) - lines == not_alone
