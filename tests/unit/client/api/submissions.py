"""What can come of a submission, by what it means."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieError,
    KieFeatureDisabledError,
    KieInsufficientCreditsError,
    KieNotFoundError,
    KieQuotaError,
    KieRateLimitError,
    KieSourceError,
    KieUnavailableError,
    KieValidationError,
)
from tests.fake_host import SILENCE, Answer, chunked, http, reset

JOB_ID = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
ACCEPTED = {"code": 200, "msg": "success", "data": {"taskId": JOB_ID, "recordId": JOB_ID}}
NO_CREDITS = "Credits insufficient : your balance is too low, please top up"
HTML = "<html><h1>Just a moment</h1></html>"


def said(code: Any, msg: str = "it says so", status: str = "200 OK", **more: Any) -> bytes:
    """Write an answer in kie.ai's envelope."""
    return http(json.dumps({"code": code, "msg": msg, **more}), status)


GOOD = http(json.dumps(ACCEPTED))

REFUSED: dict[str, tuple[Answer, type[KieError]]] = {}
for _code, _kind in {
    400: KieValidationError,
    401: KieAuthError,
    402: KieInsufficientCreditsError,
    403: KieAuthError,
    404: KieNotFoundError,
    405: KieValidationError,
    413: KieValidationError,
    422: KieValidationError,
    433: KieQuotaError,
    451: KieSourceError,
    505: KieFeatureDisabledError,
}.items():
    REFUSED[f"{_code} in the body"] = said(_code), _kind
    REFUSED[f"{_code} in body and status"] = said(_code, status=f"{_code} No"), _kind
    REFUSED[f"{_code} in the body under 502"] = said(_code, status="502 No"), _kind
for _code in (402, 429, 430, 500):
    REFUSED[f"{_code}: no credits"] = said(_code, NO_CREDITS), KieInsufficientCreditsError
    REFUSED[f"{_code}: no credits, by status"] = (
        http(json.dumps({"msg": NO_CREDITS}), f"{_code} No"),
        KieInsufficientCreditsError,
    )
for _msg in (
    "This field is required",
    "prompt is required",
    "duration is not within the range of allowed options",
    "The image_size must be one of 1:1, 16:9",
    "aspect_ratio is invalid",
    "Invalid parameter: n_frames",
    "The model name cannot be empty",
    "model foo is not supported",
):
    REFUSED[f"500: {_msg}"] = said(500, _msg), KieValidationError
for _msg in ("This interface is temporarily paused, please try again later", "This model has been disabled"):
    REFUSED[f"500: {_msg}"] = said(500, _msg), KieFeatureDisabledError
for _msg in ("Failed to fetch the image_url", "The video could not be downloaded"):
    REFUSED[f"500: {_msg}"] = said(500, _msg), KieSourceError

FOR_NOW: dict[str, tuple[Answer, type[KieError]]] = {
    **{f"{code} in the body": (said(code), KieRateLimitError) for code in (429, 430)},
    **{
        f"{code} in body and status": (said(code, status=f"{code} No"), KieRateLimitError)
        for code in (429, 430)
    },
    "429 as text": (said("429"), KieRateLimitError),
    "405: too often": (said(405, "Rate limit exceeded"), KieRateLimitError),
    "455 in the body": (said(455), KieUnavailableError),
    "455 in body and status": (said(455, status="455 No"), KieUnavailableError),
    "429 by status": (http('{"msg": "slow down"}', "429 No"), KieRateLimitError),
    "429 of a proxy": (http(HTML, "429 No"), KieRateLimitError),
    "429 of a proxy, empty": (http(b"", "429 No"), KieRateLimitError),
    "429 and when": (http('{"code": 429}', "429 No", Retry_After="0"), KieRateLimitError),
}

# Statuses above kie.ai's "code 200", and above what is not kie.ai's at all.
_SAID_200 = "300 304 400 401 402 403 404 405 408 413 422 429 430 433 451 455 499 500 502 503 524"
_SAID_HTML = (
    "200 202 300 400 401 402 403 404 405 407 408 413 422 430 433 451 455 499 500 502 503 504 520 522 524 530"
)
IN_DOUBT: dict[str, Answer] = {
    **{
        f"500: {msg}": said(500, msg)
        for msg in (
            "Server exception, please try again later",
            "internal error, please try again later.",
            "",
            "fetch failed",
            "Failed to fetch",
            "Failed to download the result file",
            "The upstream service is not supported",
            "The upstream cannot be reached",
            "response cannot be null",
            "Connection must be closed",
            "java.lang.NullPointerException: model is required",
            "Internal service is disabled",
            "Gateway time-out: url is invalid",
        )
    },
    **{
        f"{code} with an id": http(
            json.dumps(ACCEPTED | {"code": code, "msg": "Your call frequency is too high"})
        )
        for code in (402, 422, 429, 430, 455, 500)
    },
    **{f"{code} in the body": said(code) for code in (408, 410, 418, 499, 501, 502, 503, 524, 531, 550, 599)},
    **{
        f"{code!r} for a code": said(code)
        for code in (0, -1, 1, 20, 100, 201, 299, 301, 2000, 200.0, True, None)
    },
    **{f"{text!r} for a code": said(text) for text in ("", "ok", "-200")},
    "a list for a code": said([200]),
    **{f"200 under {status}": http(json.dumps(ACCEPTED), f"{status} No") for status in _SAID_200.split()},
    **{f"HTML under {status}": http(HTML, f"{status} No") for status in _SAID_HTML.split()},
    **{
        f"nothing under {status}": http(b"", f"{status} No") for status in (200, 204, 304, 400, 404, 500, 503)
    },
    **{
        f"no code under {status}": http('{"msg": "no"}', f"{status} No")
        for status in (200, 400, 401, 403, 404, 413, 422, 433, 500, 502, 505)
    },
    **{
        f"id {data!r}": said(200, data=data)
        for data in (
            None,
            {},
            "",
            JOB_ID,
            [],
            [JOB_ID],
            5,
            True,
            {"taskId": None},
            {"taskId": ""},
            {"taskId": 5},
            {"taskId": "a b"},
            {"taskId": [JOB_ID]},
            {"recordId": JOB_ID},
            {"taskId": "x" * 201},
        )
    },
    "no data": said(200),
    "not successful": http(json.dumps({**ACCEPTED, "success": False})),
    "another JSON": http("[1, 2]"),
    "cut JSON": http(json.dumps(ACCEPTED)[:-3]),
    "too long": http(json.dumps({**ACCEPTED, "more": "x" * 2**20})),
    "packed otherwise": http(json.dumps(ACCEPTED), Content_Encoding="br"),
    "packed, but broken": http(json.dumps(ACCEPTED), Content_Encoding="gzip"),
    "cut body": http(json.dumps(ACCEPTED), Content_Length="500"),
    "cut chunks": http(
        chunked(json.dumps(ACCEPTED).encode(), end=False), Content_Length=None, Transfer_Encoding="chunked"
    ),
    "cut head": GOOD[:40],
    "cut status": GOOD[:9],
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    "only an early hint": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "hung up": b"",
    "reset": [reset],
    "reset in the answer": [GOOD[:40], reset],
    "silence": [SILENCE],
    "silence in the answer": [GOOD[:40], SILENCE],
    "hung up before the body was read": lambda _: b"",
}
for _status in (301, 302, 303, 307, 308):
    for _target in ("/api/v1/elsewhere", "https://other.example/api", "http://[broken"):
        IN_DOUBT[f"{_status} to {_target}"] = http(b"", f"{_status} Moved", Location=_target)

TAKEN: dict[str, Answer] = {
    "plainly": GOOD,
    "as created": http(json.dumps(ACCEPTED), "201 Created"),
    "as accepted": http(json.dumps(ACCEPTED), "202 Accepted"),
    "with a code in text": http(json.dumps({**ACCEPTED, "code": "200"})),
    "with more": said(200, data={"taskId": JOB_ID, "recordId": JOB_ID, "credits": 5}, success=True, extra=[]),
    "in chunks": http(
        chunked(json.dumps(ACCEPTED).encode(), size=7), Content_Length=None, Transfer_Encoding="chunked"
    ),
    "after a hint": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + GOOD,
    "after a hint, later": [b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.05, GOOD],
    "after a call to go on": b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD,
    "after both": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + GOOD,
}
