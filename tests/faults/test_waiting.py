"""Odd answers while sensors wait: which are waited out, and which end it, in all three ways."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieError,
    KieFeatureDisabledError,
    KieNotFoundError,
    KieQuotaError,
    KieResponseError,
)

from .outage import Supervisor
from .server import HANG_UP, Reply, envelope
from .trial import Ending, Trial
from .waiter import MODES, needs_a_store, quick_polls, wait

NOT_YET = Reply(body=envelope(0.0))
NULL = Reply(body=envelope(None))
GOOD = Reply(body=envelope(5916.25))
GONE = Reply(body=envelope(None, 404, "no such path"))
OFF = Reply(body=envelope(None, 505, "off"))
PAGE = "<!DOCTYPE html><html><body>Please log in to the proxy. {key}</body></html>"


def page(status: int, **headers: str) -> Reply:
    return Reply(status=status, body=PAGE, headers={"Content-Type": "text/html", **headers})


@dataclass(frozen=True)
class Case:
    """
    What the API host answers, poll after poll.

    :param name: What is wrong with it.
    :param replies: The answers after a first one that is "not yet", before the good one.
    :param ends: The error that ends the waiting; None if it is waited out.
    :param asked: How many of the replies are asked for; None for all.
    """

    name: str
    replies: tuple[Reply, ...]
    ends: Ending = None
    asked: int | None = None


def odd(name: str, reply: Reply, ends: Ending) -> Case:
    """Twice in a row is waited out, again and again; the third time in a row ends it."""
    twice = (reply, reply)
    return Case(name, (*twice, HANG_UP, *twice, NOT_YET, *twice, reply, reply), ends, asked=9)


CASES = [
    odd("a proxy's 401", page(401), KieAuthError),
    odd("a proxy's 403", page(403), KieError),
    odd("a redirect to a login", page(302, Location="/login"), KieError),
    odd("null data", NULL, KieResponseError),
    odd("nothing in JSON", Reply(body="{}"), KieResponseError),
    odd("401 in the JSON of a proxy", Reply(status=401, body='{"error":"login"}'), KieAuthError),
    odd("code 404", GONE, KieNotFoundError),
    Case("odd answers of all sorts", (page(401), Reply(body="{}"), page(302), GOOD), KieError, asked=3),
    Case("a proxy's 404, 407 and 408", (page(404), page(407), page(408), GOOD), KieError, asked=3),
    Case("code 404, a proxy's 425, code 505", (GONE, page(425), OFF, GOOD), KieFeatureDisabledError, asked=3),
    Case("null data now and then", (NULL, NULL, NOT_YET, NULL, NULL, HANG_UP, NULL, NULL)),
    Case("a proxy that restarts", (page(404), page(502), page(404), page(503), page(404), page(404))),
    Case("an hour of 5xx", (page(502), HANG_UP, Reply(body=envelope(None, 500, "down"))) * 10),
    Case("maintenance", (Reply(body=envelope(None, 455, "maintenance")),) * 9),
    Case("kie.ai's 401", (Reply(body=envelope(None, 401, "You do not")), GOOD), KieAuthError, asked=1),
    Case("kie.ai's 401 under 401", (Reply(401, envelope(None, 401)), GOOD), KieAuthError, asked=1),
    Case("kie.ai's 433", (Reply(body=envelope(None, 433, "cap")), GOOD), KieQuotaError, asked=1),
    Case("kie.ai's 401 after a page", (page(403), Reply(body=envelope(None, 401))), KieAuthError),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES, ids=[case.name.replace(" ", "-") for case in CASES])
def test_waiting_ends_only_by_what_waiting_cannot_mend(
    case: Case, mode: str, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_polls(monkeypatch)
    api = trial.host([NOT_YET, *case.replies, GOOD], trusted=True)
    connection = {"conn_type": "kie", "host": api.url, "password": trial.key, "extra": '{"timeout": 5}'}
    with Supervisor(connection) as airflow:
        store = airflow.attach(monkeypatch)
        if case.ends:
            needs_a_store(trial, mode, store)
        balance, error = trial.play(lambda _: wait(mode, store, soft_fail=True))
    trial.judge_ending(error, case.ends, within=15.0)
    if error is None and balance != 5916.25:
        trial.lose("wrong byte", f"the balance is {balance!r}")
    all_asked = 1 + len(case.replies) + (case.ends is None)
    trial.judge_requests(api, all_asked if case.asked is None else 1 + case.asked)
    trial.judge_secrets()
    trial.close()
