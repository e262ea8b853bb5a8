"""What comes in place of a completion: kie.ai's envelopes, the errors of models' vendors, what is no JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieError,
    KieInsufficientCreditsError,
    KieRateLimitError,
    KieResponseError,
    KieUnavailableError,
    KieValidationError,
)
from tests.unit.client.api.completions import carried, completion, error_of, read


@pytest.mark.parametrize("code", [200, "200"])
def test_kie_ais_envelope_may_be_around_a_completion(code: Any) -> None:
    answer = completion()
    read_within = read({"code": code, "msg": "success", "data": answer})
    assert carried(read_within) == carried(read(answer))


@pytest.mark.parametrize("code", [200, "200", None])
def test_kie_ais_code_may_stand_beside_the_choices(code: Any) -> None:
    answer = completion(code=code, msg="success", data=None)
    assert carried(read(answer))["text"] == "Hi."
    assert read(answer).raw == answer


@pytest.mark.parametrize("data", ["", "Hi.", [], [1], 5, {}, {"message": "Hi."}, False], ids=str)
def test_success_without_a_completion_is_an_error(data: Any) -> None:
    assert isinstance(error_of({"code": 200, "msg": "success", "data": data}), KieResponseError)


def test_success_with_null_data_is_an_error() -> None:
    assert isinstance(error_of({"code": 200, "msg": "success", "data": None}), KieResponseError)


def test_a_completion_under_a_failing_code_is_an_error_that_nobody_repeats() -> None:
    error = error_of({"code": 429, "msg": "too often", "data": completion()})
    assert (type(error), error.transient) == (KieResponseError, False)
    assert "and yet data" in str(error)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (401, KieAuthError),
        ("401", KieAuthError),
        (402, KieInsufficientCreditsError),
        (422, KieValidationError),
        (429, KieRateLimitError),
        (455, KieUnavailableError),
        (500, KieUnavailableError),
        (0, KieResponseError),
        (999, KieResponseError),
    ],
)
@pytest.mark.parametrize("more", [{}, {"data": None}, {"data": ""}, {"data": {}}, {"choices": None}], ids=str)
def test_an_envelope_is_its_codes_error(code: Any, kind: type[KieError], more: dict[str, Any]) -> None:
    error = error_of({"code": code, "msg": "it says so", **more})
    assert (type(error), error.code) == (kind, int(code))
    assert "it says so" in str(error)
    assert error.said_by_kie


# The form in which the models' own vendors tell of errors


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (429, 200, KieRateLimitError),
        ("429", 200, KieRateLimitError),
        (401, 200, KieAuthError),
        (500, 200, KieUnavailableError),
        ("invalid_api_key", 401, KieAuthError),
        ("insufficient_quota", 402, KieInsufficientCreditsError),
        (None, 400, KieValidationError),
        ("rate_limit_exceeded", 429, KieRateLimitError),
        (None, 500, KieUnavailableError),
        ("overloaded", 503, KieUnavailableError),
        ("invalid_api_key", 200, KieResponseError),
        (None, 200, KieResponseError),
        (True, 200, KieResponseError),
        ([], 200, KieResponseError),
        (1.5, 200, KieResponseError),
    ],
    ids=str,
)
def test_a_vendors_error_is_its_codes_or_its_statuss(code: Any, status: int, kind: type[KieError]) -> None:
    error = error_of({"error": {"message": "it says so", "type": "some_error", "code": code}}, status)
    assert type(error) is kind
    assert "it says so" in str(error)


@pytest.mark.parametrize("told", ["it says so", ["it says so"], [{"text": "it says so"}], 5, True], ids=str)
@pytest.mark.parametrize("status", [200, 400, 429, 500])
def test_a_vendors_error_may_be_anything(told: Any, status: int) -> None:
    error = error_of({"error": told}, status)
    assert str(told if isinstance(told, int) else "it says so").lower() in str(error).lower()


@pytest.mark.parametrize("nothing", [None, {}, "", False, 0, []], ids=str)
def test_an_error_that_is_none_is_none(nothing: Any) -> None:
    assert read(completion(error=nothing)).text == "Hi."


def test_an_error_beside_choices_is_an_error() -> None:
    error = error_of(completion(error={"message": "it says so", "code": 500}))
    assert type(error) is KieUnavailableError


@pytest.mark.parametrize("status", [300, 302, 400, 404, 413, 500, 502, 524])
def test_a_completion_under_a_failing_status_is_no_answer(status: int) -> None:
    assert error_of(completion(), status).code in (None, status)


@pytest.mark.parametrize(
    "body", [b"", b" ", b"\x00", b"\xff\xfe", b"null", b"5", b'"Hi."', b"[]", b"<html>busy</html>", b"{"]
)
def test_what_is_no_json_object_is_an_error_that_quotes_it(body: bytes) -> None:
    error = error_of(body)
    assert isinstance(error, KieResponseError)
    assert error.transient


def test_a_byte_order_mark_is_no_trouble() -> None:
    assert read(b"\xef\xbb\xbf" + json.dumps(completion()).encode()).text == "Hi."
