"""Uploads from the web: whose bytes pass through the worker, and what goes wrong on their way."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from airflow_provider_kie.client.errors import (
    KieConnectionError,
    KieSourceError,
    KieTransferError,
    KieUnavailableError,
    KieValidationError,
)
from airflow_provider_kie.files import transfers

from .server import BIG, FILE, HALF, LONGER, Reply, envelope, stored
from .trial import Ending, Trial

REFUSALS = {
    "bad request": Reply(body=envelope(None, 400, "cannot be fetched")),
    "too large": Reply(body=envelope(None, 413, "too large")),
    "not fetched": Reply(body=envelope(None, 451, "Failed to fetch the image")),
    "not downloaded": Reply(body=envelope(None, 500, "Failed to download the file")),
    "validation": Reply(body=envelope(None, 422, "url is wrong")),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=[name.replace(" ", "-") for name in REFUSALS])
@pytest.mark.parametrize("method", ["auto", "url"])
def test_what_kie_ai_does_not_fetch_is_not_fetched_by_the_worker(
    method: str, refusal: Reply, trial: Trial
) -> None:
    api, upload = trial.host(trusted=True), trial.host((refusal,) * 9, trusted=True)
    inner = trial.host((Reply(),) * 9)
    trial.connect(api.url, upload.url)
    # Such as the address of a cloud's own metadata.
    _, error = trial.play(lambda hook: hook.upload_file(f"{inner.url}/latest/a.bin", "faults", method=method))
    trial.judge_ending(error, KieValidationError)
    fetched = refusal is not REFUSALS["validation"]
    if error is not None and fetched and "method='stream'" not in str(error):
        trial.lose("other ending than promised", f"names no way out: {error}")
    trial.judge_requests(inner, 0)
    trial.judge_requests(upload, 1)
    trial.judge_leftovers()
    trial.judge_secrets()
    trial.close()


@dataclass(frozen=True)
class Case:
    """
    A file on the web that the author has the worker send on.

    :param name: What its host does wrong.
    :param files: What its host does.
    :param ends: What keeps the promise: None is success.
    :param arrives: What kie.ai holds in the end.
    :param asked: How often its host is asked at the most.
    :param uploads: What the upload host does.
    """

    name: str
    files: tuple[Reply, ...]
    ends: Ending = None
    arrives: bytes = FILE
    asked: int = 2
    uploads: tuple[Reply, ...] = (stored(),) * 9


UNKNOWN = Reply(framing="chunked")
CASES = [
    Case("all well", (Reply(),) * 2),
    Case("much", (Reply(file=BIG),) * 2, arrives=BIG),
    Case("in drips", (Reply(), Reply(drip=0.01))),
    Case("of unknown length", (UNKNOWN,) * 2),
    Case("of unknown length until the connection ends", (Reply(framing="none"),) * 2),
    Case("without end", (Reply(framing="none", endless=True),) * 2, KieSourceError),
    Case("not there", (Reply(status=404, body=b""),), KieSourceError, asked=1),
    Case("refused", (Reply(status=403, body=b""),), KieSourceError, asked=1),
    Case("failing", (Reply(status=503, body=b""),) * 9, KieUnavailableError, asked=3),
    Case("failing once", (Reply(status=503, body=b""), Reply(), Reply()), asked=3),
    Case("empty", (Reply(body=b""),), ValueError, asked=1),
    Case(
        "a page instead",
        (Reply(body=b"<html>", headers={"Content-Type": "text/html"}),) * 9,
        KieTransferError,
        asked=3,
    ),
    Case("cut once", (Reply(), Reply(sent=HALF), Reply()), asked=3),
    Case("cut always", (Reply(), *(Reply(sent=HALF),) * 9), KieConnectionError, asked=4),
    Case("reset once", (Reply(), Reply(sent=HALF, then="reset"), Reply()), asked=3),
    Case("changed meanwhile", (Reply(), *(Reply(file=LONGER),) * 9), KieTransferError, asked=4),
    Case(
        "gone meanwhile",
        (Reply(), *(Reply(status=404, body=b""),) * 9),
        KieSourceError,
    ),
    Case(
        "uploads cut once",
        (Reply(),) * 3,
        asked=3,
        uploads=(Reply(head=0, then="reset", read=HALF), stored()),
    ),
    Case(
        "uploads refused",
        (Reply(),) * 3,
        KieValidationError,
        uploads=(Reply(body=envelope(None, 413, "too large")),),
    ),
    Case("redirected", (Reply(status=302, body=b"", headers={"Location": "/b.bin"}), Reply()) * 2, asked=4),
    Case(
        "redirected for ever",
        (Reply(status=302, body=b"", headers={"Location": "/b.bin"}),) * 40,
        KieTransferError,
        asked=6,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name.replace(" ", "-") for case in CASES])
def test_an_address_is_sent_through_the_worker_whole_where_the_author_says_so(
    case: Case, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "SPOOL_LIMIT", len(BIG))
    api, upload = trial.host(trusted=True), trial.host(case.uploads, trusted=True)
    files = trial.host(case.files)
    trial.words |= {"size": str(len(case.arrives)), "files": upload.url}
    trial.connect(api.url, upload.url)
    url = f"{files.url}/a.bin?X-Amz-Signature={trial.signature}"
    result, error = trial.play(lambda hook: hook.upload_file(url, "faults", method="stream"))
    trial.judge_ending(error, case.ends)
    if result is not None:
        # One that the client broke off may come to the host's notice last.
        arrived = {request.file for request in upload.requests if not request.missing}
        if arrived != {case.arrives}:
            trial.lose("wrong byte", f"{[len(file) for file in arrived]} bytes arrived")
        if result.method != "stream" or result.sha256 is None or result.source != f"{files.url}/a.bin":
            trial.lose("other ending than promised", f"{result}")
    trial.judge_requests(files, case.asked, or_fewer=True)
    trial.judge_leftovers()
    trial.judge_secrets()
    trial.close()


def test_a_known_length_needs_no_room_on_the_worker(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "SPOOL_LIMIT", 0)
    api, upload, files = trial.host(trusted=True), trial.host((stored(),), trusted=True), trial.host()
    files.script = [Reply(), Reply()]
    trial.words |= {"size": str(len(FILE)), "files": upload.url}
    trial.connect(api.url, upload.url)
    trial.spool.rmdir()
    result, error = trial.play(lambda hook: hook.upload_file(f"{files.url}/a.bin", "faults", method="stream"))
    trial.judge_ending(error, None)
    if result is None or upload.requests[-1].file != FILE:
        trial.lose("wrong byte", "the file did not arrive whole")
    trial.close()
