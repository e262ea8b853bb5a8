"""The event that resumes a sensor: maybe one that another version of the provider wrote."""

from __future__ import annotations

import json

import pytest

from airflow_provider_kie.client.errors import KieAuthError, KieConnectionError, KieError
from airflow_provider_kie.triggers._events import event_of
from airflow_provider_kie.triggers.credits import read_event


@pytest.mark.parametrize(
    ("poll", "stored"),
    [
        (50.0, '{"status": "success", "credits": 50.0}'),
        (
            KieAuthError("no", code=401),
            '{"status": "error", "error": "KieAuthError", "message": "no", "code": 401}',
        ),
        (
            KieConnectionError("not trusted", transient=False),
            '{"status": "error", "error": "KieConnectionError", "message": "not trusted", "code": null}',
        ),
    ],
)
def test_the_form_of_an_event_stays_and_is_read(poll: float | KieError, stored: str) -> None:
    assert json.dumps(event_of(poll)) == stored
    if isinstance(poll, float):
        assert read_event(json.loads(stored)) == poll
        return
    with pytest.raises(type(poll)) as caught:
        read_event(json.loads(stored))
    assert (str(caught.value), caught.value.code) == (str(poll), poll.code)
