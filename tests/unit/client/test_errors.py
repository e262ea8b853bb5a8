from __future__ import annotations

import json
import pickle
import re

import pytest

from airflow_provider_kie.client import errors
from airflow_provider_kie.client.codes import error_class
from airflow_provider_kie.client.errors import (
    QUOTE_LIMIT,
    KieAuthError,
    KieBatchError,
    KieCancelledError,
    KieConfigError,
    KieConnectionError,
    KieConnectionNotFoundError,
    KieError,
    KieFeatureDisabledError,
    KieGatewayError,
    KieInDoubtError,
    KieInsufficientCreditsError,
    KieJobError,
    KieJobFailedError,
    KieJobNotFoundError,
    KieJobTimeoutError,
    KieNoDataError,
    KieNotFoundError,
    KieQuotaError,
    KieRateLimitError,
    KieResponseError,
    KieSignatureError,
    KieSourceError,
    KieTransferError,
    KieUnavailableError,
    KieValidationError,
    quote,
)
from airflow_provider_kie.triggers._events import error_from_event

# Class, parent, transient, whether Airflow may retry.
TREE = [
    (KieConfigError, KieError, False, False),
    (KieConnectionNotFoundError, KieConfigError, True, True),
    (KieAuthError, KieError, False, False),
    (KieInsufficientCreditsError, KieError, False, False),
    (KieQuotaError, KieError, False, False),
    (KieValidationError, KieError, False, False),
    (KieSourceError, KieValidationError, False, False),
    (KieSignatureError, KieError, False, False),
    (KieCancelledError, KieError, False, True),
    (KieNotFoundError, KieError, False, False),
    (KieFeatureDisabledError, KieError, False, False),
    (KieJobNotFoundError, KieNotFoundError, False, False),
    (KieJobError, KieError, False, True),
    (KieJobFailedError, KieJobError, False, False),
    (KieJobTimeoutError, KieJobError, False, True),
    (KieInDoubtError, KieJobError, False, False),
    (KieRateLimitError, KieError, True, True),
    (KieUnavailableError, KieError, True, True),
    (KieGatewayError, KieUnavailableError, True, True),
    (KieConnectionError, KieError, True, True),
    (KieTransferError, KieError, True, True),
    (KieResponseError, KieError, False, True),
    (KieNoDataError, KieResponseError, False, True),
]


@pytest.mark.parametrize(("kind", "parent", "transient", "may_retry"), TREE)
def test_the_tree_is_as_documented(
    kind: type[KieError], parent: type[KieError], transient: bool, may_retry: bool
) -> None:
    assert issubclass(kind, parent)
    assert kind.transient is transient
    error = kind("it broke")
    assert (error.transient, error.airflow_may_retry) == (transient, may_retry)
    assert error.lookup_failed is (kind is KieConnectionNotFoundError)
    assert kind.__name__ in (errors.__doc__ or "")


def test_the_tree_names_every_class() -> None:
    found = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, KieError)}
    assert found == {KieError, KieBatchError, *(row[0] for row in TREE)}
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in found)


def test_a_gateway_error_is_a_response_error_too() -> None:
    assert issubclass(KieGatewayError, KieResponseError)


def test_a_config_error_is_a_value_error() -> None:
    assert issubclass(KieConfigError, ValueError)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, KieValidationError),
        (401, KieAuthError),
        (402, KieInsufficientCreditsError),
        (403, KieAuthError),
        (404, KieNotFoundError),
        (405, KieValidationError),
        (408, KieJobFailedError),
        (410, KieNotFoundError),
        (413, KieValidationError),
        (422, KieValidationError),
        (429, KieRateLimitError),
        (430, KieRateLimitError),
        (433, KieQuotaError),
        (451, KieSourceError),
        (455, KieUnavailableError),
        (500, KieUnavailableError),
        (501, KieJobFailedError),
        (505, KieFeatureDisabledError),
        (524, KieUnavailableError),
        (531, KieJobFailedError),
        (550, KieUnavailableError),
        (503, KieUnavailableError),
        (599, KieUnavailableError),
        (418, KieValidationError),
        (302, KieResponseError),
        (201, KieResponseError),
        (0, KieResponseError),
        (-1, KieResponseError),
        (10**9, KieResponseError),
    ],
)
def test_each_code_has_its_class(code: int, kind: type[KieError]) -> None:
    assert error_class(code) is kind


@pytest.mark.parametrize("code", [402, 429, 430, 500])
@pytest.mark.parametrize(
    "message",
    [
        "Credits insufficient : your balance is too low, please top up",
        "Insufficient credits. Please recharge your account.",
        "Insufficient Credits - Account has insufficient credits",
        "Account does not have enough credits to perform the operation",
        "Not enough credits",
        "The current balance is not enough",
    ],
)
def test_a_message_can_say_that_the_credits_are_used_up(code: int, message: str) -> None:
    assert error_class(code, message) is KieInsufficientCreditsError


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (429, "Your call frequency is too high. Please try again later.", KieRateLimitError),
        (430, "Your call frequency is too high. Please try again later.", KieRateLimitError),
        (500, "Server exception, please try again later", KieUnavailableError),
        (422, "the parameter credits is insufficient", KieValidationError),
        (405, "Request method 'PUT' is not supported", KieValidationError),
        (405, "Your call frequency is too high.", KieRateLimitError),
        (405, "Rate limit exceeded", KieRateLimitError),
        (405, "Too many requests", KieRateLimitError),
    ],
)
def test_the_message_decides_only_where_the_code_is_ambiguous(
    code: int, message: str, kind: type[KieError]
) -> None:
    assert error_class(code, message) is kind


def test_airflow_may_retry_what_is_transient_whatever_its_class() -> None:
    assert KieNotFoundError("gone just now", transient=True).airflow_may_retry
    assert KieConnectionError("not trusted", transient=False).airflow_may_retry
    assert KieError("of a sort that is not known yet").airflow_may_retry


@pytest.mark.parametrize(
    ("failures", "may_retry"),
    [
        ([KieNotFoundError("gone"), KieAuthError("no")], False),
        ([KieNotFoundError("gone"), KieTransferError("cut")], True),
        ([KieNotFoundError("gone"), KieResponseError("odd")], True),
        ([KieNotFoundError("gone"), OSError("the disk is full")], True),
        ([KieConnectionNotFoundError("not found")], True),
    ],
)
def test_airflow_may_retry_a_batch_if_it_may_retry_one_of_its_failures(
    failures: list[Exception], may_retry: bool
) -> None:
    batch = KieBatchError([("a.png", failure) for failure in failures], 5)
    assert batch.airflow_may_retry is may_retry


def test_an_error_can_say_something_else_and_stay_what_it_is() -> None:
    error = KieAuthError("no", code=401, retry_after=2.0, said_by_kie=True, transient=True)
    before = dict(vars(error))
    assert error.saying("a.png: no") is error
    assert str(error) == f"{KieAuthError.remedy} a.png: no"
    assert vars(error) == before


@pytest.mark.parametrize(
    "error",
    [
        *(kind("it broke") for kind, *_ in TREE),
        KieError("it broke", code=499),
        KieAuthError("no", code=401, said_by_kie=True),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_event_keeps_class_message_and_code_of_an_error(error: KieError) -> None:
    event = error.to_event()
    assert json.loads(json.dumps(event)) == event
    again = error_from_event(event)
    assert (type(again), str(again), again.code) == (type(error), str(error), error.code)
    assert again.said_by_kie is error.said_by_kie


def test_an_error_made_of_several_crosses_an_event_as_its_message() -> None:
    event = KieBatchError([("a.png", KieNotFoundError("gone"))], 2).to_event()
    error = error_from_event(event)
    assert (type(error), str(error)) == (KieError, event["message"])


@pytest.mark.parametrize("kind", [KieJobFailedError, KieJobTimeoutError, KieInDoubtError])
def test_an_event_keeps_the_job_its_price_and_whether_its_reason_may_pass(kind: type[KieJobError]) -> None:
    error = kind("it broke", job_id="0123", credits=4.5, code=500, transient=True)
    again = error_from_event(json.loads(json.dumps(error.to_event())))
    assert isinstance(again, KieJobError)
    assert (again.job_id, again.credits, again.transient, again.airflow_may_retry) == (
        "0123",
        4.5,
        True,
        True,
    )


def test_the_form_of_an_event_stays() -> None:
    event = KieAuthError("no", code=401, retry_after=2.0, said_by_kie=True).to_event()
    assert json.dumps(event) == '{"error": "KieAuthError", "message": "no", "code": 401, "said_by_kie": true}'


@pytest.mark.parametrize("name", ["KieGoneError", "re", "quote", "Self", ""])
def test_an_event_of_a_class_that_is_not_known_is_still_an_error(name: str) -> None:
    error = error_from_event({"error": name, "message": "it broke", "code": 499})
    assert (type(error), str(error), error.code) == (KieError, "it broke", 499)


def test_an_error_carries_code_and_wait() -> None:
    error = KieRateLimitError("slow down", code=429, retry_after=3.5)
    assert (str(error), error.code, error.retry_after) == ("slow down", 429, 3.5)


def test_an_error_without_answer_has_neither() -> None:
    error = KieConnectionError("refused", never_sent=True)
    assert (error.code, error.retry_after, error.never_sent) == (None, None, True)


def test_one_error_can_differ_from_its_class_in_being_transient() -> None:
    assert KieResponseError("cut", transient=True).transient
    assert not KieTransferError("refused", transient=False).transient
    assert not KieConnectionError("not trusted", never_sent=True, transient=False).transient
    assert KieConnectionError("refused", never_sent=True).transient
    assert not KieResponseError.transient


@pytest.mark.parametrize("kind", [KieAuthError, KieInsufficientCreditsError, KieQuotaError])
def test_what_a_human_must_mend_says_how(kind: type[KieError]) -> None:
    assert str(kind("credits: no (code 4xx).")) == f"{kind.remedy} credits: no (code 4xx)."
    assert "kie.ai" in kind.remedy


@pytest.mark.parametrize(
    "error",
    [
        KieRateLimitError("slow down", code=429, retry_after=3.5),
        KieAuthError("who are you", code=401, said_by_kie=True),
        KieConnectionError("refused", never_sent=True),
        KieConnectionError("not trusted", never_sent=True, transient=False),
        KieTransferError("refused", code=403, transient=False),
        KieConfigError("timeout: no"),
        KieConnectionNotFoundError("not found"),
    ],
)
def test_errors_survive_pickling(error: KieError) -> None:
    # Triggers and subprocesses hand them on.
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("", ""),
        ("url is wrong", "url is wrong"),
        ("two\r\nlines\tand\x00more", "two lines and more"),
        ("\x1b[31mred\u202e\ud800", "[31mred"),
        ("Unauthorized \u2013 no", "Unauthorized \u2013 no"),
        ("get https://h/p?sig=s3cret, please", "get https://... please"),
        ('{"data":"http://h/p?sig=s3cret"}', '{"data":"http://..."}'),
        (r'{"data":"https:\/\/h\/p?sig=s3cret"}', '{"data":"https://..."}'),
    ],
)
def test_a_quote_is_one_line_without_links(text: str, quoted: str) -> None:
    assert quote(text) == quoted


@pytest.mark.parametrize(
    "text",
    [
        "HTTPS://h/p?sig=s3cret",
        "Https://h/p?sig=s3cret",
        "https://h/p?by='me'&sig=s3cret",
        "https://h/p?by=\u200bme&sig=s3cret",
        r'{"data":"https:\u002F\u002Fh\u002Fp?sig=s3cret"}',
        "x" * (QUOTE_LIMIT - 20) + "https://h/p?sig=s3cret",
    ],
)
def test_no_spelling_of_a_link_shows_its_signature(text: str) -> None:
    assert "s3cret" not in quote(text)


@pytest.mark.parametrize("length", [0, 1, QUOTE_LIMIT, QUOTE_LIMIT + 1, 10 * QUOTE_LIMIT, 2_000_000])
def test_a_quote_has_at_most_300_characters(length: int) -> None:
    quoted = quote("\u00e9" * length)
    assert len(quoted) == min(length, 300)
    assert bool(re.search(r"\.\.\.$", quoted)) is (length > 300)
