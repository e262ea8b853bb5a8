"""What goes wrong around signed links and redirects: at the signing, at the link, on the way elsewhere."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieConnectionError,
    KieError,
    KieGatewayError,
    KieNotFoundError,
    KieRateLimitError,
    KieResponseError,
    KieTransferError,
    KieValidationError,
)

from .server import BIG, FILE, HALF, OTHER, Reply, envelope, signs
from .trial import Ending, Trial

WHOLE = Reply()
CUT = Reply(sent=HALF)
EXPIRED = Reply(status=403, body="<Error><Code>AccessDenied</Code><Message>{link}</Message></Error>")
GONE = Reply(status=410, body=b"")
PAGE = Reply(status=502, body="<html><body>Bad gateway</body></html>")
FIRST_HALF = f"bytes={HALF}-"


def says(code: int, msg: str = "as told", **headers: str) -> Reply:
    """Answer as the API does: HTTP 200, and the error in the body."""
    return Reply(
        body=envelope(None, code, msg),
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def redirect(to: str, status: int = 302) -> Reply:
    return Reply(status=status, body=b"", headers={"Location": to})


@dataclass(frozen=True)
class Case:
    """
    A fault on a signed link's way.

    :param name: The fault.
    :param api: What the API host does.
    :param files: What the file host does.
    :param other: What the host does that only redirects lead to.
    :param ends: What keeps the promise: None is success.
    :param expected: The bytes of a success.
    :param asked: How often each host is asked, in this order.
    :param ranges: What the file host is asked for.
    :param extra: Of the connection.
    :param code: The error's.
    :param within: Seconds that it may take.
    """

    name: str
    api: tuple[Reply, ...] = ()
    files: tuple[Reply, ...] = ()
    other: tuple[Reply, ...] = ()
    ends: Ending = None
    expected: bytes = FILE
    asked: tuple[int, int, int] | None = None
    ranges: tuple[str | None, ...] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    code: int | None = None
    within: float = 5.0


QUICK: dict[str, Any] = {"extra": {"timeout": 0.3}, "within": 4.0}
LINK = signs()

SIGNING = [
    Case("signing reset before the headers", (Reply(head=0, then="reset"), LINK), (WHOLE,)),
    Case("signing reset within the answer", (signs(sent=20, then="reset"), LINK), (WHOLE,)),
    Case("signing answered by silence", (Reply(head=0, then="silence"), LINK), (WHOLE,), **QUICK),
    Case("signing cut within the answer", (signs(sent=20), LINK), (WHOLE,)),
    Case("signing cut without a length", (signs(sent=20, framing="none"), LINK), (WHOLE,)),
    Case("signing answered by HTML and 502", (PAGE, LINK), (WHOLE,)),
    Case("signing answered by HTML and 502 always", (PAGE,) * 9, ends=KieGatewayError, asked=(3, 0, 0)),
    Case("signing answered by HTML and 200", (Reply(body="<html>Wait</html>"), LINK), (WHOLE,)),
    Case("signing said 429 once", (says(429, Retry_After="0.05"), LINK), (WHOLE,)),
    Case(
        "signing said 429 always",
        (says(429, Retry_After="0"),) * 9,
        ends=KieRateLimitError,
        asked=(3, 0, 0),
        code=429,
    ),
    Case("signing said 500 once", (says(500), LINK), (WHOLE,)),
    Case("signing said 401", (says(401, "bad key {key}"),), ends=KieAuthError, asked=(1, 0, 0), code=401),
    Case(
        "signing said 422",
        (says(422, "url is wrong: {link}"),),
        ends=KieValidationError,
        asked=(1, 0, 0),
        code=422,
    ),
    Case("signing gave null", (signs(body=envelope(None)),) * 9, ends=KieResponseError, asked=(1, 0, 0)),
    Case(
        "signing gave no URL",
        (signs(body=envelope("javascript:{link}")),) * 9,
        ends=KieResponseError,
        asked=(1, 0, 0),
    ),
    Case(
        "signing gave a path",
        (signs(body=envelope("/etc/passwd")),) * 9,
        ends=KieResponseError,
        asked=(1, 0, 0),
    ),
    Case(
        "signing gave an object",
        (signs(body=envelope({"url": "{link}"})),) * 9,
        ends=KieResponseError,
        asked=(1, 0, 0),
    ),
    Case(
        "signing gave a link to nowhere",
        (signs(body=envelope("http://127.0.0.1:1/x?{signature}")),) * 9,
        ends=KieConnectionError,
    ),
    Case("signing redirected", (redirect("{other}/steal"),), ends=KieError, asked=(1, 0, 0)),
    Case(
        "signing redirected, with the body", (redirect("{other}/steal", 307),), ends=KieError, asked=(1, 0, 0)
    ),
]

EXPIRY = [
    Case("link expired at once", (LINK, LINK), (EXPIRED, WHOLE), asked=(2, 2, 0)),
    Case("link gone at once", (LINK, LINK), (GONE, WHOLE), asked=(2, 2, 0)),
    Case(
        "link expired always", (LINK,) * 9, (EXPIRED,) * 9, ends=KieTransferError, asked=(3, 3, 0), code=403
    ),
    Case(
        "link expired between two parts",
        (LINK, LINK),
        (CUT, EXPIRED, WHOLE),
        ranges=(None, FIRST_HALF, FIRST_HALF),
    ),
    Case(
        "link gone between two parts", (LINK, LINK), (CUT, GONE, WHOLE), ranges=(None, FIRST_HALF, FIRST_HALF)
    ),
    Case(
        "link expired, and the file changed",
        (LINK, LINK),
        (CUT, EXPIRED, Reply(file=OTHER, etag='"v2"')),
        expected=OTHER,
    ),
    Case("link good after a cut is kept", (LINK, LINK), (CUT, WHOLE), asked=(1, 2, 0)),
    Case(
        "link expired, signing failed once",
        (LINK, says(500), LINK),
        (CUT, EXPIRED, WHOLE),
        extra={"max_retries": 4},
    ),
    Case(
        "link expired, signing refused",
        (LINK, says(401)),
        (CUT, EXPIRED, WHOLE),
        ends=KieAuthError,
        asked=(2, 2, 0),
    ),
    Case(
        "link expired, then found no more",
        (LINK, LINK),
        (CUT, EXPIRED, Reply(status=404, body=b"")),
        ends=KieNotFoundError,
    ),
    Case(
        "link of a key connection reset in between",
        (signs(headers={"Connection": "keep-alive"}, then="reset"), LINK),
        (EXPIRED, WHOLE),
    ),
    Case("link said 503 once", (LINK,), (Reply(status=503, body="{link}"), WHOLE), asked=(1, 2, 0)),
    Case(
        "link said 429 once", (LINK,), (Reply(status=429, body=b"", headers={"Retry-After": "0.05"}), WHOLE)
    ),
    Case(
        "link refused with 400",
        (LINK,),
        (Reply(status=400, body="{link}"),),
        ends=KieTransferError,
        asked=(1, 1, 0),
    ),
]

REDIRECTS = [
    Case(
        "redirect to another host",
        (LINK,),
        (redirect("{other}/a.bin?sig={signature}"),),
        (WHOLE,),
        asked=(1, 1, 1),
    ),
    Case(
        "redirect for ever", (LINK,), (redirect("{files}/again?sig={signature}"),) * 40, ends=KieTransferError
    ),
    Case(
        "redirect to and fro",
        (LINK,),
        (redirect("{other}/a"),) * 40,
        (redirect("{files}/b"),) * 40,
        ends=KieTransferError,
    ),
    Case(
        "redirect to credentials",
        (LINK,),
        (redirect("{other_with_password}/a"),),
        (WHOLE,),
        ends=(None, KieTransferError),
    ),
    Case(
        "redirect to a local file",
        (LINK,),
        (redirect("file:///etc/passwd"),),
        ends=KieTransferError,
        asked=(1, 1, 0),
    ),
    Case("redirect to no URL", (LINK,), (redirect("http://[::1/?sig={signature}"),) * 9, ends=KieError),
    Case(
        "redirect to nowhere", (LINK,), (Reply(status=302, body=b""),), ends=KieTransferError, asked=(1, 1, 0)
    ),
    Case(
        "redirect, cut at the other host",
        (LINK,),
        (redirect("{other}/a"),) * 2,
        (CUT, WHOLE),
        asked=(1, 2, 2),
    ),
    Case("redirect at the rest", (LINK,), (CUT, redirect("{other}/a")), (WHOLE,), asked=(1, 2, 1)),
    Case(
        "redirect to a closed port",
        (LINK,),
        (redirect("http://127.0.0.1:1/a?sig={signature}"),) * 9,
        ends=KieConnectionError,
    ),
    Case(
        "redirect with a body for ever",
        (LINK,),
        (
            Reply(
                status=302, body=b"x" * 9999, endless=True, framing="none", headers={"Location": "{other}/a"}
            ),
        ),
        (WHOLE,),
    ),
]

CASES = SIGNING + EXPIRY + REDIRECTS


@pytest.mark.parametrize("case", CASES, ids=[case.name.replace(" ", "-") for case in CASES])
def test_a_signed_download_arrives_whole_or_leaves_everything_as_it_was(case: Case, trial: Trial) -> None:
    password = trial.signature[::-1]
    trial.secrets.append(password)
    api = trial.host(case.api, trusted=True)
    files, other = trial.host(case.files), trial.host(case.other)
    trial.words |= {
        "link": f"{files.url}/store/a.bin?X-Amz-Signature={trial.signature}",
        "files": files.url,
        "other": other.url,
        "other_with_password": other.url.replace("//", f"//user:{password}@"),
        "signature": trial.signature,
    }
    trial.connect(api.url, trial.host(trusted=True).url, **case.extra)
    result, error = trial.play(
        lambda hook: hook.download_file(f"{files.url}/a.bin", trial.target, sign="always")
    )
    trial.judge_ending(error, case.ends, within=case.within, code=case.code)
    trial.judge_file(result, case.expected)
    trial.judge_leftovers()
    for number, server in enumerate((api, files, other)):
        if case.asked is not None:
            trial.judge_requests(server, case.asked[number])
        else:
            # Six hops a try are the most.
            trial.judge_requests(
                server, 6 if error else len((case.api, case.files, case.other)[number]), or_fewer=True
            )
    trial.judge_ranges(files, case.ranges)
    trial.judge_secrets()
    trial.close()


@dataclass(frozen=True)
class TlsCase:
    """
    A fault that only TLS knows.

    :param name: The fault.
    :param replies: What the https host does.
    :param other: What the http host does that a redirect leads to.
    :param ends: What keeps the promise.
    :param asked: How often each is asked.
    :param how: Arguments of the download.
    :param unseen: Whether nobody can see that it is cut; then the result has to say that it is not verified.
    """

    name: str
    replies: tuple[Reply, ...]
    other: tuple[Reply, ...] = ()
    ends: Ending = None
    asked: tuple[int, int] | None = None
    how: Mapping[str, Any] = field(default_factory=dict)
    unseen: bool = False


TLS_CASES = [
    TlsCase(
        "redirect from https to http", (redirect("{other}/a"),), (WHOLE,), KieTransferError, asked=(1, 0)
    ),
    TlsCase("cut over TLS", (CUT, WHOLE), asked=(2, 0)),
    TlsCase("reset over TLS", (Reply(sent=HALF, then="reset"), WHOLE), asked=(2, 0)),
    # Python's ssl takes it for a proper end.
    TlsCase(
        "reset over TLS without length",
        (Reply(sent=HALF, framing="none", then="reset"), WHOLE, WHOLE),
        unseen=True,
    ),
    TlsCase(
        "cut over TLS without length, size known",
        (Reply(sent=HALF, framing="none"), WHOLE, WHOLE),
        how={"expected_size": len(FILE)},
        ends=(None, KieTransferError),
    ),
    TlsCase("big: cut over TLS", (Reply(file=BIG, sent=9_000_000), Reply(file=BIG)), asked=(2, 0)),
    TlsCase(
        "big: reset over TLS", (Reply(file=BIG, sent=9_000_000, then="reset"), Reply(file=BIG)), asked=(2, 0)
    ),
    TlsCase(
        "big: silence over TLS",
        (Reply(file=BIG, sent=9_000_000, then="silence"), Reply(file=BIG)),
        asked=(2, 0),
    ),
    TlsCase("reset within TLS's headers", (Reply(head=30, then="reset"), WHOLE), asked=(2, 0)),
]


@pytest.mark.parametrize("case", TLS_CASES, ids=[case.name.replace(" ", "-") for case in TLS_CASES])
def test_a_download_over_tls_arrives_whole_or_leaves_everything_as_it_was(
    case: TlsCase, trial: Trial, trusted_tls: ssl.SSLContext
) -> None:
    api = trial.host(trusted=True)
    files, other = trial.host(case.replies, tls=trusted_tls), trial.host(case.other)
    trial.words |= {"other": other.url}
    trial.connect(api.url, api.url, timeout=0.5)
    url = f"{files.url}/store/a.bin?X-Amz-Signature={trial.signature}"
    result, error = trial.play(lambda hook: hook.download_file(url, trial.target, sign="never", **case.how))
    trial.judge_ending(error, case.ends)
    expected = case.replies[-1].file
    if case.unseen and result is not None and trial.target.read_bytes() != FILE:
        if getattr(result, "verified", True):
            trial.lose("wrong byte", f"{result.size} of {len(FILE)}, and nothing says so")
        trial.judge_file(result, FILE[: result.size])
    else:
        trial.judge_file(result, expected)
    trial.judge_leftovers()
    for server, count in zip((files, other), case.asked or (3, 0), strict=True):
        trial.judge_requests(server, count, or_fewer=case.asked is None)
    trial.judge_secrets()
    trial.close()
