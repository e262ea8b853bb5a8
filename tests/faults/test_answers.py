"""What kie.ai may answer to a call: errors, and what is no answer at all."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieConnectionError,
    KieError,
    KieGatewayError,
    KieRateLimitError,
    KieResponseError,
    KieUnavailableError,
    KieValidationError,
)
from airflow_provider_kie.hooks.kie import KieHook

from .server import Reply, envelope
from .trial import Ending, Trial

GOOD = Reply(body=envelope(5916.25))
GOOD_BODY = envelope(5916.25).encode()
GZIP = {"Content-Encoding": "gzip"}
HTML = "<!DOCTYPE html><html><body>" + "<p>Please wait.</p>" * 200 + "{link} {key}</body></html>"


@dataclass(frozen=True)
class Case:
    """
    An answer to the question for the balance.

    :param name: What is wrong with it.
    :param replies: What the API host does.
    :param ends: What keeps the promise: None is success.
    :param asked: How often it is asked.
    :param extra: Of the connection.
    :param within: Seconds that it may take.
    """

    name: str
    replies: tuple[Reply, ...]
    ends: Ending = None
    asked: int = 1
    extra: Mapping[str, Any] = field(default_factory=dict)
    within: float = 5.0


def text(body: str | bytes, status: int = 200, **how: Any) -> tuple[Reply, ...]:
    return (Reply(status=status, body=body, **how),) * 9


QUICK: dict[str, Any] = {"extra": {"timeout": 0.3}, "within": 4.0}

CASES = [
    Case("JSON cut in the middle, once", (Reply(body='{"code":200,"msg":"succ'), GOOD), asked=2),
    Case("JSON cut in the middle, always", text('{"code":200,"msg":"succ'), KieResponseError, asked=3),
    Case("nothing, once", (Reply(body=b""), GOOD), asked=2),
    Case("nothing, always", text(b""), KieResponseError, asked=3),
    Case(
        "a megabyte and more",
        text(b'{"code":200,"msg":"' + b"x" * 2_000_000 + b'","data":1}'),
        KieResponseError,
    ),
    Case("JSON without end", (Reply(body=b" " * 65536, endless=True, framing="none"),) * 9, KieResponseError),
    Case("brackets 100,000 deep", text("[" * 100_000), KieResponseError, asked=3),
    Case(
        "a packed bomb",
        text(gzip.compress(bytes(80_000_000)), headers={"Content-Encoding": "gzip"}),
        KieResponseError,
    ),
    Case(
        "a bomb packed twice",
        text(gzip.compress(gzip.compress(bytes(8_000_000))), headers={"Content-Encoding": "gzip, gzip"}),
        KieResponseError,
        asked=3,
    ),
    Case("gzip", text(gzip.compress(GOOD_BODY), headers={"Content-Encoding": "GZIP"})),
    Case("x-gzip", text(gzip.compress(GOOD_BODY), headers={"Content-Encoding": "x-gzip"})),
    Case("deflate", text(zlib.compress(GOOD_BODY), headers={"Content-Encoding": "deflate"})),
    Case("gzip and nothing", text(gzip.compress(GOOD_BODY), headers={"Content-Encoding": "identity, gzip"})),
    Case("gzip in chunks", text(gzip.compress(GOOD_BODY), headers=GZIP, framing="chunked")),
    Case("Identity as encoding", text(GOOD_BODY, headers={"Content-Encoding": "Identity"})),
    Case("nothing as encoding", text(GOOD_BODY, headers={"Content-Encoding": ""})),
    Case(
        "gzip cut in the middle, once",
        (Reply(body=gzip.compress(GOOD_BODY)[:-9], headers=GZIP), GOOD),
        asked=2,
    ),
    Case("brotli, once", (Reply(body=b"br", headers={"Content-Encoding": "br"}), GOOD), asked=2),
    Case("broken gzip, once", (Reply(body=b"no gzip", headers={"Content-Encoding": "gzip"}), GOOD), asked=2),
    Case(
        "a number of 5,000 digits", text('{"code":200,"data":' + "9" * 5000 + "}"), KieResponseError, asked=3
    ),
    Case("bytes of no text", text(bytes(range(128, 256)) * 9), KieResponseError, asked=3),
    Case("null data", text(envelope(None)), KieResponseError),
    Case("a text as data", text(envelope("many")), KieResponseError),
    Case("a list as data", text(envelope([1])), KieResponseError),
    Case("true as data", text(envelope(True)), KieResponseError),
    Case("NaN as data", text('{"code":200,"data":NaN}'), KieResponseError),
    Case("infinity as data", text('{"code":200,"data":1e999}'), KieResponseError),
    Case("no code", text('{"msg":"ok","data":1}'), KieResponseError),
    Case("null as code", text('{"code":null,"data":1}'), KieResponseError),
    Case("a list", text("[200]"), KieResponseError, asked=3),
    Case("a code of text", text('{"code":"200","data":5916.25}')),
    Case("code 200 under status 500", text(envelope(1.0), 500), KieUnavailableError, asked=3),
    Case("code 200 under status 403", text(envelope(1.0), 403), KieAuthError),
    Case(
        "code 200, but not successful",
        text('{"success":false,"code":200,"msg":"no","data":1}'),
        KieResponseError,
    ),
    Case("code 0", text(envelope(None, 0)), KieResponseError),
    # One for each rule; which error a code is, is in tests/unit/client/test_errors.py.
    Case("code 401", text(envelope(None, 401)), KieAuthError),
    Case("code 401 under status 401", text(envelope(None, 401), 401), KieAuthError),
    Case("code 500, once", (Reply(body=envelope(None, 500)), GOOD), asked=2),
    Case("code 455, always", text(envelope(None, 455)), KieUnavailableError, asked=3),
    Case(
        "code 429 under status 429, always",
        text(envelope(None, 429), 429, headers={"Retry-After": "0"}),
        KieRateLimitError,
        asked=3,
    ),
    Case("code 999", text(envelope(None, 999)), KieResponseError),
    Case("HTML under 200", text(HTML), KieResponseError, asked=3),
    Case("HTML under 403", text(HTML, 403), KieError),
    Case("HTML under 502", text(HTML, 502), KieGatewayError, asked=3),
    Case("HTML under 524, once", (Reply(status=524, body=HTML), GOOD), asked=2),
    Case(
        "the key in the message",
        text(envelope(None, 422, "the key {key} may not do this")),
        KieValidationError,
    ),
    Case(
        "a signed link in the message", text(envelope(None, 400, "cannot fetch {link}")), KieValidationError
    ),
    Case(
        "control characters in the message",
        text(envelope(None, 400, "a\x1b[2Jb\r\nc" * 900)),
        KieValidationError,
    ),
    Case("a redirect to another host", text(b"", 302, headers={"Location": "{other}/"}), KieError),
    Case("reset before the headers, once", (Reply(head=0, then="reset"), GOOD), asked=2),
    Case(
        "reset within the body, always", text(envelope(1), sent=9, then="reset"), KieConnectionError, asked=3
    ),
    Case("silence before the headers, once", (Reply(head=0, then="silence"), GOOD), asked=2, **QUICK),
    Case(
        "silence within the body, always",
        text(envelope(1), sent=9, then="silence"),
        KieConnectionError,
        asked=3,
        **QUICK,
    ),
    Case(
        "Retry-After of no sense",
        (Reply(status=429, body=b"", headers={"Retry-After": "soon"}), GOOD),
        asked=2,
    ),
    Case(
        "Retry-After of the past",
        (Reply(status=429, body=b"", headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), GOOD),
        asked=2,
    ),
]


@pytest.mark.parametrize("in_loop", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize("case", CASES, ids=[case.name.replace(" ", "-") for case in CASES])
def test_an_answer_is_a_balance_or_a_typed_error(case: Case, in_loop: bool, trial: Trial) -> None:
    api = trial.host(case.replies, trusted=True)
    other = trial.host([GOOD])
    trial.words |= {
        "other": f"{other.url}/a?{trial.signature}",
        "link": f"{other.url}/a.bin?X-Amz-Signature={trial.signature}",
    }
    trial.connect(api.url, api.url, **case.extra)

    def ask(hook: KieHook) -> float:
        return asyncio.run(hook.aget_credits()) if in_loop else hook.get_credits()

    result, error = trial.play(ask)
    trial.judge_ending(error, case.ends, within=case.within)
    if error is None and result != 5916.25:
        trial.lose("wrong byte", f"the balance is {result!r}")
    if error is not None and (len(str(error)) > 600 or not str(error).isprintable()):
        trial.lose("other ending than promised", f"an error of {len(str(error))} characters, or of odd ones")
    trial.judge_requests(api, case.asked)
    trial.judge_requests(other, 0)
    trial.judge_secrets()
    trial.close()
