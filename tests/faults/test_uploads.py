"""What goes wrong on the way up: the connection, the answer, the file itself while it is being sent."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieConnectionError,
    KieError,
    KieGatewayError,
    KieInsufficientCreditsError,
    KieRateLimitError,
    KieResponseError,
    KieSourceError,
    KieTransferError,
    KieUnavailableError,
    KieValidationError,
)
from airflow_provider_kie.client.transfer.upload import UploadMethod
from airflow_provider_kie.simulator import KieSimulator

from .server import BIG, FILE, Reply, envelope, stored
from .trial import Ending, Trial

# More than the sockets' buffers hold: a host that stops reading stops the sender.
MUCH = BIG[:8_000_000]
EARLY = 100_000
OK = stored()


def says(code: int, msg: str = "as told", **how: Any) -> Reply:
    return Reply(body=envelope(None, code, msg), **how)


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"and more")


def _shrink(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(EARLY // 2)


def _replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(bytes(1000))
    other.replace(path)


def _nothing(_: Path) -> None:
    return


MISHAPS: Mapping[str, Callable[[Path], None]] = {
    "grow": _grow,
    "shrink": _shrink,
    "vanish": Path.unlink,
    "replace": _replace,
}


@dataclass(frozen=True)
class Case:
    """
    A fault of the upload host, or of the file.

    :param name: The fault.
    :param replies: What the upload host does.
    :param ends: What keeps the promise: None is success.
    :param asked: How often it is asked; None to allow as many as there are replies.
    :param method: How the file is uploaded.
    :param mishap: What happens to the file at ``Reply.meanwhile``.
    :param how: Arguments of the upload.
    :param extra: Of the connection.
    :param within: Seconds that it may take.
    :param closed: The host is not there.
    """

    name: str
    replies: tuple[Reply, ...]
    ends: Ending = None
    asked: int | None = None
    method: UploadMethod = "stream"
    mishap: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    within: float = 8.0
    closed: bool = False


QUICK: dict[str, Any] = {"extra": {"timeout": 0.3}}
PAGE = "<!DOCTYPE html><html><body><h1>Bad gateway</h1>{link} {key}</body></html>"

STREAMS = [
    Case("connection refused", (), KieConnectionError, asked=0, closed=True),
    Case("reset before the body is read", (Reply(head=0, then="reset", read=0), OK), asked=2),
    Case("reset during the body", (Reply(head=0, then="reset", read=EARLY), OK), asked=2),
    Case(
        "reset during the body, always",
        (Reply(head=0, then="reset", read=EARLY),) * 9,
        KieConnectionError,
        asked=3,
    ),
    Case("reset after the body", (Reply(head=0, then="reset"), OK), asked=2),
    Case("reset within the answer", (stored(sent=40, then="reset"), OK), asked=2),
    Case("hang-up during the body", (Reply(head=0, read=EARLY), OK), asked=2),
    Case("silence after the body", (Reply(head=0, then="silence"), OK), asked=2, **QUICK),
    Case("silence during the body", (Reply(head=0, then="silence", read=EARLY), OK), asked=2, **QUICK),
    Case(
        "silence during the body, always",
        (Reply(head=0, then="silence", read=EARLY),) * 9,
        KieConnectionError,
        asked=3,
        **QUICK,
    ),
    Case("413 before the body is read", (says(413, read=0, then="drain"),), KieValidationError, asked=1),
    Case(
        "413 as a status and a hang-up, the body unread",
        (says(413, status=413, read=0),) * 9,
        (KieValidationError, KieConnectionError),
    ),
    Case(
        "401 before the body is read", (says(401, "no {key}", read=0, then="drain"),), KieAuthError, asked=1
    ),
    Case("success before the body is read", (stored(read=EARLY, then="drain"),) * 9, (None, KieError)),
    Case(
        "500 for no credits",
        (says(500, "Credits insufficient, please top up"),),
        KieInsufficientCreditsError,
        asked=1,
    ),
    Case("500 once", (says(500), OK), asked=2),
    Case("500 always", (says(500),) * 9, KieUnavailableError, asked=3),
    Case("429 once", (says(429, headers={"Retry-After": "0.05"}), OK), asked=2),
    Case("429 always", (says(429, headers={"Retry-After": "0"}),) * 9, KieRateLimitError, asked=3),
    Case("524 in HTML once", (Reply(status=524, body=PAGE), OK), asked=2),
    Case("502 in HTML always", (Reply(status=502, body=PAGE),) * 9, KieGatewayError, asked=3),
    Case("HTML under 200 once", (Reply(body=PAGE), OK), asked=2),
    Case("answer cut, once", (stored(sent=40), OK), asked=2),
    Case("answer null", (Reply(body=envelope(None)),), KieResponseError, asked=1),
    Case("answer a list", (Reply(body=envelope([1, 2])),), KieResponseError, asked=1),
    Case("answer of fewer bytes", (stored(fileSize=len(FILE) - 1),), KieTransferError),
    Case("answer of more bytes", (stored(fileSize=len(FILE) + 1),), KieTransferError),
    Case("answer of bytes in words", (stored(fileSize="many"),), KieResponseError, asked=1),
    Case("answer without a name", (stored(fileName=None),), KieResponseError, asked=1),
    Case(
        "answer with a script for a URL",
        (stored(downloadUrl="javascript:alert(1)"),),
        KieResponseError,
        asked=1,
    ),
    Case("answer with a time of no sense", (stored(uploadedAt="yesterday"),), KieResponseError, asked=1),
    Case(
        "redirect to another host",
        (Reply(status=307, body=b"", headers={"Location": "{other}/steal"}),),
        KieError,
        asked=1,
    ),
]

FILES = [
    Case("file grows while it is sent", (stored(meanwhile=EARLY),), KieTransferError, mishap="grow"),
    Case("file shrinks while it is sent", (stored(meanwhile=EARLY),), KieTransferError, mishap="shrink"),
    Case("file vanishes while it is sent", (stored(meanwhile=EARLY),), mishap="vanish", asked=1),
    Case("file is replaced while it is sent", (stored(meanwhile=EARLY),), mishap="replace", asked=1),
    Case(
        "file grows between two tries", (Reply(head=0, meanwhile=EARLY), OK), KieTransferError, mishap="grow"
    ),
    Case(
        "file shrinks between two tries",
        (Reply(head=0, meanwhile=EARLY * 2, read=EARLY * 4), OK),
        KieTransferError,
        mishap="shrink",
    ),
    Case(
        "file vanishes between two tries",
        (Reply(head=0, meanwhile=EARLY, then="reset"), OK),
        FileNotFoundError,
        mishap="vanish",
        asked=1,
    ),
    Case(
        "file is replaced between two tries",
        (Reply(head=0, meanwhile=EARLY, then="reset"), OK),
        KieTransferError,
        mishap="replace",
    ),
]

BASE64 = [
    Case(
        "base64: reset during the body",
        (Reply(head=0, then="reset", read=EARLY), OK),
        asked=2,
        method="base64",
    ),
    Case("base64: silence, once", (Reply(head=0, then="silence"), OK), asked=2, method="base64", **QUICK),
    Case(
        "base64: 413 before the body is read",
        (says(413, read=0, then="drain"),),
        KieValidationError,
        asked=1,
        method="base64",
    ),
    Case("base64: answer of fewer bytes", (stored(fileSize=9),), KieTransferError, method="base64"),
    Case("base64: 500 once", (says(500), OK), asked=2, method="base64"),
    Case(
        "base64: file vanishes while it is sent",
        (stored(meanwhile=EARLY),),
        mishap="vanish",
        asked=1,
        method="base64",
    ),
]

CASES = STREAMS + FILES + BASE64


@pytest.mark.parametrize("case", CASES, ids=[case.name.replace(" ", "-") for case in CASES])
def test_an_upload_is_whole_or_a_typed_error(case: Case, trial: Trial, tmp_path: Path) -> None:
    in_the_middle = any(reply.read is not None or reply.meanwhile for reply in case.replies)
    data = MUCH if in_the_middle and case.method == "stream" else FILE
    source = tmp_path / "source.bin"
    source.write_bytes(data)
    api = trial.host(trusted=True)
    upload = trial.host(
        case.replies, trusted=True, small=True, mishap=partial(MISHAPS.get(case.mishap, _nothing), source)
    )
    other = trial.host([OK])
    trial.words |= {
        "files": other.url,
        "other": other.url,
        "size": str(len(data)),
        "link": f"{other.url}/a?X-Amz-Signature={trial.signature}",
    }
    if case.closed:
        upload.close()
    trial.connect(api.url, upload.url, **case.extra)
    result, error = trial.play(
        lambda hook: hook.upload_file(source, "faults", file_name="a.bin", method=case.method)
    )
    trial.judge_ending(error, case.ends, within=case.within)
    upload.close()
    if result is not None:
        request = upload.requests[-1]
        if case.method == "base64":
            arrived = base64.b64decode(json.loads(bytes(request.body))["base64Data"])
        else:
            arrived = request.file
        if arrived != data and "before the body is read" not in case.name:
            trial.lose("wrong byte", f"{len(arrived)} bytes arrived of {len(data)}")
        if result.sha256 != hashlib.sha256(data).hexdigest():
            trial.lose("wrong byte", "the hash told is of other bytes")
    if not case.mishap and source.read_bytes() != data:
        trial.lose("old file lost", "the source is another")
    trial.judge_file(None, data)
    trial.judge_leftovers()
    if case.asked is None:
        trial.judge_requests(upload, min(3, len(case.replies)), or_fewer=True)
    else:
        trial.judge_requests(upload, case.asked)
    trial.judge_requests(other, 0)
    trial.judge_requests(api, 0)
    trial.judge_secrets()
    trial.close()


@dataclass(frozen=True)
class UrlCase:
    """
    A fault of an upload that kie.ai fetches itself.

    :param name: The fault.
    :param faults: What the upload host does, as ``KieSimulator.fail_next`` takes it.
    :param files: What the host of the source does.
    :param ends: What keeps the promise: None is success.
    :param method: As the caller says.
    """

    name: str
    faults: tuple[Mapping[str, Any], ...] = ()
    files: tuple[Reply, ...] = (Reply(),)
    ends: Ending = None
    method: UploadMethod = "auto"


CANNOT_FETCH: dict[str, Any] = {"code": 400, "msg": "Could not download the file from fileUrl: timed out"}
URL_CASES = [
    UrlCase("url: fetched"),
    UrlCase("url: 500 once", ({"code": 500},)),
    UrlCase("url: 429 once", ({"code": 429, "retry_after": 0.05},)),
    UrlCase("url: HTML and 502 once", ({"html": True},)),
    UrlCase("url: dropped once", ({"drop_after": -1},)),
    UrlCase("url: answer null", ({"body": '{"code":200,"data":null}'},), ends=KieResponseError),
    UrlCase("url: 401", ({"code": 401},), ends=KieAuthError),
    # What becomes of the bytes when kie.ai cannot have them is in test_addresses.
    UrlCase("url: cannot be fetched, 400", (CANNOT_FETCH,), ends=KieSourceError),
    UrlCase("url: cannot be fetched, 451", ({"code": 451},), ends=KieSourceError),
    UrlCase(
        "url: cannot be fetched, 500",
        ({"code": 500, "msg": "Failed to fetch the file from the URL"},),
        ends=KieSourceError,
    ),
    UrlCase("url: too large", ({"code": 413, "msg": "File too large"},), ends=KieValidationError),
    UrlCase(
        "url: cannot be fetched, and url was insisted on", (CANNOT_FETCH,), ends=KieSourceError, method="url"
    ),
    UrlCase("url: found by nobody", (), (Reply(status=404, body=b""),) * 40, ends=KieSourceError),
    UrlCase("url: failing for all", (), (Reply(status=503, body=b""),) * 40, ends=KieSourceError),
]


@pytest.mark.parametrize("case", URL_CASES, ids=[case.name.replace(" ", "-") for case in URL_CASES])
def test_an_upload_from_a_url_is_whole_or_a_typed_error(
    case: UrlCase, trial: Trial, kie: KieSimulator
) -> None:
    files = trial.host(case.files)
    trial.connect(kie.api_url, kie.upload_url, key=kie.api_key)
    for fault in case.faults:
        kie.fail_next("file-url-upload", **fault)
    url = f"{files.url}/public/a.bin?X-Amz-Signature={trial.signature}"
    result, error = trial.play(lambda hook: hook.upload_file(url, "faults", method=case.method))
    trial.judge_ending(error, case.ends)
    known = list(kie.uploads.values())
    if error is not None and known:
        trial.lose("half file", f"{known[0].size} bytes are at kie.ai after an error")
    if error is None:
        if [stored.sha256 for stored in known] != [hashlib.sha256(FILE).hexdigest()]:
            trial.lose("wrong byte", f"kie.ai holds {[stored.size for stored in known]} bytes")
        if result.file_size != len(FILE) or result.sha256 is not None:
            trial.lose("wrong byte", f"told were {result.file_size} bytes, sha256 {result.sha256}")
        if result.method != "url":
            trial.lose("other ending than promised", f"it went as {result.method}")
    trial.judge_leftovers(also=())
    # kie.ai asks the file's host, the worker does not.
    if len(kie.requests) > 3 or len(files.requests) > 3:
        trial.lose("request too many", f"{len(kie.requests)} and {len(files.requests)}")
    trial.judge_secrets()
    trial.close()
