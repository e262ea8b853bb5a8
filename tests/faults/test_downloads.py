"""What a file host does wrong: breaks, silence, truncations, lengths, ranges, statuses, encodings."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from airflow_provider_kie.client.errors import (
    KieConnectionError,
    KieNotFoundError,
    KieRateLimitError,
    KieTransferError,
    KieUnavailableError,
)

from .server import BIG, FILE, HALF, LONGER, OTHER, TAG, Reply
from .trial import Ending, Trial

WHOLE = Reply()
CUT = Reply(sent=HALF)
HTML = b"<!DOCTYPE html><html><body><h1>Sorry, please come back later</h1></body></html>"
PACKED = gzip.compress(FILE)
GZIP = {"Content-Encoding": "gzip", "ETag": '"z1"'}
DEFLATE = {"Content-Encoding": "deflate", "ETag": '"z1"'}
CONNECTION = (KieConnectionError, KieTransferError)
SHA256 = hashlib.sha256(FILE).hexdigest()
INSISTING = {"expected_size": len(FILE), "expected_sha256": SHA256}
FIRST_HALF = f"bytes={HALF}-"


@dataclass(frozen=True)
class Case:
    """
    A fault of the file host.

    :param name: The fault.
    :param replies: What the host does, request by request.
    :param ends: What keeps the promise: None is success.
    :param expected: The bytes of a success.
    :param asked: How many requests there are; None to allow as many as there are replies.
    :param ranges: What the requests ask for, None for the whole file.
    :param how: Arguments of the download.
    :param extra: Of the connection.
    :param verified: What the result says of it.
    :param code: The error's.
    :param within: Seconds that it may take.
    :param closed: The host is not there.
    """

    name: str
    replies: tuple[Reply, ...]
    ends: Ending = None
    expected: bytes = FILE
    asked: int | None = None
    ranges: tuple[str | None, ...] | None = None
    how: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    verified: bool | None = None
    code: int | None = None
    within: float = 5.0
    closed: bool = False


def status(code: int, body: bytes = b"", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=code, body=body, headers=named)


def resumed(**headers: str | None) -> Reply:
    """Give the right half, under headers that are not right."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(headers=named)


QUICK: dict[str, Any] = {"extra": {"timeout": 0.3}, "within": 4.0}

BREAKS = [
    Case("connection refused", (), KieConnectionError, closed=True),
    Case("reset before the headers", (Reply(head=0, then="reset"), WHOLE), asked=2),
    Case("reset within the headers", (Reply(head=40, then="reset"), WHOLE), asked=2),
    Case("reset within the body", (Reply(sent=HALF, then="reset"), WHOLE), ranges=(None, FIRST_HALF)),
    Case("reset after the body", (Reply(then="reset"), WHOLE), asked=1),
    Case("reset after a body without length", (Reply(framing="none", then="reset"), WHOLE, WHOLE)),
    Case("reset within a body without length", (Reply(framing="none", sent=HALF, then="reset"), WHOLE)),
    Case("reset within a chunked body", (Reply(framing="chunked", sent=HALF, then="reset"), WHOLE), asked=2),
    Case("reset every time before a byte", (Reply(sent=0, then="reset"),) * 9, CONNECTION, asked=3),
    Case(
        "reset again and again, but further each time",
        (Reply(sent=20_000, then="reset"),) * 9 + (WHOLE,),
        extra={"max_retries": 1},
        asked=10,
    ),
    Case(
        "reset at the same byte every time, without ranges",
        (Reply(sent=HALF, then="reset", ranges=False, etag=None),) * 40,
        CONNECTION,
    ),
    Case("hang-up before the headers", (Reply(head=0), WHOLE), asked=2),
    Case("hang-up within the headers", (Reply(head=40), WHOLE), asked=2),
    Case("silence before the headers", (Reply(head=0, then="silence"), WHOLE), asked=2, **QUICK),
    Case("silence within the headers", (Reply(head=40, then="silence"), WHOLE), asked=2, **QUICK),
    Case(
        "silence within the body",
        (Reply(sent=HALF, then="silence"), WHOLE),
        ranges=(None, FIRST_HALF),
        **QUICK,
    ),
    Case(
        "silence within a chunk",
        (Reply(framing="chunked", sent=HALF, then="silence"), WHOLE),
        asked=2,
        **QUICK,
    ),
    Case("silence for ever", (Reply(head=0, then="silence"),) * 9, KieConnectionError, asked=3, **QUICK),
    Case("a trickle, slower than the timeout as a whole", (Reply(drip=0.05),), asked=1, **QUICK),
    Case("no HTTP at all", (Reply(head=0), Reply(body=b"SSH-2.0-OpenSSH", head=0), WHOLE), asked=3),
]

TRUNCATIONS = [
    Case("cut before its length", (CUT, WHOLE), ranges=(None, FIRST_HALF)),
    Case(
        "cut one byte before its length", (Reply(sent=len(FILE) - 1), WHOLE), ranges=(None, "bytes=199999-")
    ),
    Case("cut every time at the start", (Reply(sent=0),) * 9, CONNECTION, asked=3),
    Case("cut within a chunk", (Reply(framing="chunked", sent=HALF), WHOLE), asked=2),
    Case("chunked without the last chunk", (Reply(framing="endless-chunked"), WHOLE, WHOLE)),
    Case(
        "chunked without the last chunk every time",
        (Reply(framing="endless-chunked", etag=None),) * 40,
        CONNECTION,
    ),
    Case("without length, whole", (Reply(framing="none"),), verified=False, asked=1),
    Case(
        "without length, cut: reported as not verified",
        (Reply(framing="none", sent=HALF),),
        expected=FILE[:HALF],
        verified=False,
    ),
    Case(
        "without length, cut, size known",
        (Reply(framing="none", sent=HALF), WHOLE, WHOLE),
        (KieTransferError, None),
        how={"expected_size": len(FILE)},
    ),
    Case(
        "without length, cut, hash known",
        (Reply(framing="none", sent=HALF), WHOLE, WHOLE),
        (KieTransferError, None),
        how={"expected_sha256": SHA256},
    ),
    Case("with length, whole, size and hash known", (WHOLE,), how=INSISTING, verified=True, asked=1),
    Case(
        "another file, size known",
        (Reply(file=LONGER),) * 40,
        KieTransferError,
        how={"expected_size": len(FILE)},
    ),
    Case(
        "another file, hash known",
        (Reply(file=OTHER),) * 40,
        KieTransferError,
        how={"expected_sha256": SHA256},
    ),
    Case("chunked, whole", (Reply(framing="chunked"),), verified=True, asked=1),
]

LENGTHS = [
    Case("length too long", (Reply(headers={"Content-Length": "200001"}), WHOLE, WHOLE)),
    Case(
        "length too long every time",
        (Reply(headers={"Content-Length": "200001"}, ranges=False),) * 40,
        CONNECTION,
    ),
    Case(
        "length too short, hash known",
        (Reply(headers={"Content-Length": str(HALF)}),) * 40,
        KieTransferError,
        how={"expected_sha256": SHA256},
    ),
    Case("length of no number", (Reply(headers={"Content-Length": "many"}), WHOLE), asked=2),
    Case("length below nothing", (Reply(headers={"Content-Length": "-1"}), WHOLE), asked=2),
    Case("length beyond all files", (Reply(headers={"Content-Length": "9" * 19}), WHOLE, WHOLE)),
    Case("length of the rest too short", (CUT, Reply(headers={"Content-Length": "50000"}), WHOLE)),
    Case("length of the rest too long", (CUT, Reply(headers={"Content-Length": "150000"}), WHOLE, WHOLE)),
    Case(
        "length beside chunks",
        (Reply(framing="chunked", headers={"Content-Length": "5"}), WHOLE),
        (KieTransferError, None),
    ),
]

RANGES = [
    Case(
        "range with another start", (CUT, resumed(Content_Range="bytes 90000-199999/200000"), WHOLE), asked=3
    ),
    Case(
        "range with another total", (CUT, resumed(Content_Range="bytes 100000-199999/260000"), WHOLE), asked=3
    ),
    Case("range without total", (CUT, resumed(Content_Range="bytes 100000-199999/*"), WHOLE), asked=3),
    Case("range of another unit", (CUT, resumed(Content_Range="items 100000-199999/200000"), WHOLE), asked=3),
    Case("range untold", (CUT, resumed(Content_Range=None), WHOLE), asked=3),
    Case("range of another ETag", (CUT, Reply(file=OTHER, etag='"v2"', if_range=False), WHOLE), asked=3),
    Case("range of another weak ETag", (CUT, Reply(file=OTHER, etag='W/"v2"', if_range=False), WHOLE, WHOLE)),
    Case(
        "range of another file without a word, hash known",
        (CUT, Reply(file=OTHER, etag=None, if_range=False), WHOLE, WHOLE),
        (KieTransferError, None),
        how={"expected_sha256": SHA256},
    ),
    Case("range of another, longer file", (CUT, Reply(file=LONGER, if_range=False), WHOLE), asked=3),
    Case(
        "multipart range",
        (CUT, resumed(Content_Type="multipart/byteranges; boundary=x", Content_Range=None), WHOLE),
    ),
    Case("whole file instead of the range", (CUT, Reply(ranges=False)), ranges=(None, FIRST_HALF)),
    Case(
        "whole new file instead of the range", (CUT, Reply(file=OTHER, etag='"v2"')), expected=OTHER, asked=2
    ),
    Case(
        "whole shorter file instead of the range",
        (CUT, Reply(file=OTHER[:9], etag='"v2"')),
        expected=OTHER[:9],
    ),
    Case(
        "part that nobody asked for",
        (
            Reply(
                status=206, body=FILE[:HALF], headers={"Content-Range": "bytes 0-99999/200000", "ETag": TAG}
            ),
            WHOLE,
        ),
        asked=2,
    ),
    Case("part that nobody asked for every time", (Reply(status=206),) * 9, KieTransferError, asked=3),
    Case(
        "range refused",
        (CUT, status(416, Content_Range="bytes */200000"), WHOLE),
        ranges=(None, FIRST_HALF, None),
    ),
    Case(
        "range refused as the file shrank",
        (CUT, Reply(status=416, body=b""), Reply(file=OTHER[:9])),
        expected=OTHER[:9],
    ),
]

AGAIN = {"Retry-After": "0.01"}
STATUSES = [
    Case("403 at the first byte", (status(403, HTML),) * 9, KieTransferError, asked=1, code=403),
    Case("404 at the first byte", (status(404, HTML),) * 9, KieNotFoundError, asked=1, code=404),
    Case("410 at the first byte", (status(410),) * 9, KieNotFoundError, asked=1, code=410),
    Case("416 at the first byte", (status(416),) * 9, KieTransferError, asked=3, code=416),
    Case("429 at the first byte, once", (status(429, Retry_After="0.05"), WHOLE), asked=2),
    Case(
        "429 at the first byte, always",
        (Reply(status=429, body=b"", headers=AGAIN),) * 9,
        KieRateLimitError,
        asked=3,
        code=429,
    ),
    Case("500 at the first byte, once", (status(500, HTML), WHOLE), asked=2),
    Case("503 at the first byte, always", (status(503, HTML),) * 9, KieUnavailableError, asked=3, code=503),
    Case(
        "204 instead of a file", (Reply(status=204, body=b"", framing="none"),) * 9, KieTransferError, asked=1
    ),
    Case("403 at the rest", (CUT, status(403, HTML)), KieTransferError, asked=2, code=403),
    Case("404 at the rest", (CUT, status(404)), KieNotFoundError, asked=2, code=404),
    Case(
        "429 at the rest, once",
        (CUT, Reply(status=429, body=b"", headers=AGAIN), WHOLE),
        ranges=(None, FIRST_HALF, FIRST_HALF),
    ),
    Case(
        "503 at the rest, once",
        (CUT, status(503, HTML), WHOLE),
        ranges=(None, FIRST_HALF, FIRST_HALF),
    ),
    Case("503 at the rest, always", (CUT, *(status(503),) * 9), KieUnavailableError, code=503),
    Case(
        "HTML and 200 at the first byte, hash known",
        (Reply(body=HTML),) * 40,
        KieTransferError,
        how=INSISTING,
    ),
    Case(
        "HTML and 200 at the rest, hash known",
        (CUT, Reply(body=HTML), WHOLE, WHOLE),
        (KieTransferError, None),
        how=INSISTING,
    ),
]

ENCODINGS = [
    Case("gzip though not asked for", (Reply(body=PACKED, headers=GZIP),), asked=1),
    Case("deflate though not asked for", (Reply(body=zlib.compress(FILE), headers=DEFLATE),), asked=1),
    Case("gzip, cut before its length", (Reply(body=PACKED, headers=GZIP, sent=HALF), WHOLE), asked=2),
    Case("gzip, cut to fit its length", (Reply(body=PACKED[:HALF], headers=GZIP), WHOLE), asked=2),
    Case(
        "gzip, cut to fit its length every time",
        (Reply(body=PACKED[:HALF], headers=GZIP),) * 40,
        KieTransferError,
    ),
    Case("gzip, its trailer cut off", (Reply(body=PACKED[:-4], headers=GZIP), WHOLE), asked=2),
    Case(
        "gzip, cut and chunked", (Reply(body=PACKED[:HALF], headers=GZIP, framing="chunked"), WHOLE), asked=2
    ),
    Case(
        "gzip, cut and without length",
        (Reply(body=PACKED[:HALF], headers=GZIP, framing="none"), WHOLE),
        asked=2,
    ),
    Case(
        "deflate, cut to fit its length",
        (Reply(body=zlib.compress(FILE)[:HALF], headers=DEFLATE), WHOLE),
        asked=2,
    ),
    Case(
        "gzip of one wrong bit", (Reply(body=PACKED[:-6] + b"\0" + PACKED[-5:], headers=GZIP), WHOLE), asked=2
    ),
    Case("gzip that is none", (Reply(body=b"plain text", headers=GZIP), WHOLE), asked=2),
    Case(
        "an encoding that is unknown",
        (Reply(headers={"Content-Encoding": "br"}),) * 9,
        KieTransferError,
        asked=1,
    ),
    Case(
        "a word for an encoding that is none", (Reply(headers={"Content-Encoding": "aws-chunked"}),), asked=1
    ),
    Case(
        "gzip of two members",
        (Reply(body=gzip.compress(FILE[:HALF]) + gzip.compress(FILE[HALF:]), headers=GZIP),) * 9,
        (None, KieTransferError),
    ),
    Case(
        "gzip of two members, the second cut",
        (Reply(body=(gzip.compress(FILE[:HALF]) + gzip.compress(FILE[HALF:]))[:-99], headers=GZIP),) * 9,
        KieTransferError,
    ),
    Case("the rest packed", (CUT, Reply(headers={"Content-Encoding": "gzip"}), WHOLE), asked=3),
]

# From some size on the bytes may go another way than through the HTTP library.
B = Reply(file=BIG)
BIG_FILES = [
    Case("big: whole", (B,), asked=1, verified=True),
    Case("big: cut early", (replace(B, sent=1_000_000), B), ranges=(None, "bytes=1000000-")),
    Case("big: cut late", (replace(B, sent=11_999_999), B), ranges=(None, "bytes=11999999-")),
    Case("big: cut within the head's packet", (replace(B, sent=1), B), ranges=(None, "bytes=1-")),
    Case(
        "big: cut again and again",
        (*(replace(B, sent=sent) for sent in (1_000_000, 500_000, 9_000_000)), B),
    ),
    Case("big: reset early", (replace(B, sent=1_000_000, then="reset"), B), asked=2),
    Case("big: reset late", (replace(B, sent=11_999_999, then="reset"), B), asked=2),
    Case("big: reset after the body", (replace(B, then="reset"),), asked=1),
    Case(
        "big: silence within the body",
        (replace(B, sent=9_000_000, then="silence"), B),
        ranges=(None, "bytes=9000000-"),
        **QUICK,
    ),
    Case(
        "big: silence for ever",
        (replace(B, sent=0, then="silence"),) * 9,
        KieConnectionError,
        asked=3,
        **QUICK,
    ),
    Case(
        "big: silence at the same byte, without ranges",
        (replace(B, sent=9_000_000, then="silence", ranges=False),) * 9,
        KieConnectionError,
        asked=4,
        **QUICK,
    ),
    Case("big: length too long", (replace(B, headers={"Content-Length": "12000001"}), B, B)),
    Case(
        "big: more bytes than its length",
        (replace(B, body=BIG + b"and more", headers={"Content-Length": "12000000"}),),
        asked=1,
    ),
    Case(
        "big: the rest of another ETag",
        (replace(B, sent=HALF), Reply(file=BIG[::-1], etag='"v2"', if_range=False), B),
        asked=3,
    ),
    Case(
        "big: the rest of more bytes",
        (
            replace(B, sent=HALF),
            replace(
                B,
                body=BIG[HALF:] + b"more",
                status=206,
                headers={
                    "Content-Range": f"bytes {HALF}-11999999/12000000",
                    "Content-Length": str(len(BIG) - HALF),
                    "ETag": TAG,
                },
            ),
        ),
        asked=2,
    ),
    Case("big: chunked and cut", (replace(B, framing="chunked", sent=9_000_000), B), asked=2),
    Case(
        "big: hash known, one byte wrong",
        (replace(B, file=BIG[:-1] + b"\0"),) * 9,
        KieTransferError,
        how={"expected_sha256": hashlib.sha256(BIG).hexdigest()},
    ),
]
BIG_FILES = [replace(case, expected=BIG) for case in BIG_FILES]

CASES = BIG_FILES + BREAKS + TRUNCATIONS + LENGTHS + RANGES + STATUSES + ENCODINGS


@pytest.mark.parametrize("case", CASES, ids=[case.name.replace(" ", "-") for case in CASES])
def test_a_download_arrives_whole_or_leaves_everything_as_it_was(case: Case, trial: Trial) -> None:
    api = trial.host(trusted=True)
    files = trial.host(case.replies)
    if case.closed:
        files.close()
    trial.connect(api.url, api.url, **case.extra)
    url = f"{files.url}/store/a.bin?X-Amz-Signature={trial.signature}"
    result, error = trial.play(lambda hook: hook.download_file(url, trial.target, sign="never", **case.how))
    trial.judge_ending(error, case.ends, within=case.within, code=case.code)
    trial.judge_file(result, case.expected)
    trial.judge_leftovers()
    if case.asked is None:
        trial.judge_requests(files, max(len(case.replies), 1), or_fewer=True)
    else:
        trial.judge_requests(files, case.asked)
    trial.judge_requests(api, 0)
    trial.judge_ranges(files, case.ranges)
    if case.verified is not None and getattr(result, "verified", None) is not case.verified:
        trial.lose("other ending than promised", f"verified is {getattr(result, 'verified', 'missing')}")
    trial.judge_secrets()
    trial.close()
