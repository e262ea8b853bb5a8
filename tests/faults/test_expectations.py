"""Files that are not the expected ones: seen as early as they can be, and fetched once more at the most."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from airflow_provider_kie.client.errors import KieTransferError

from .server import FILE, HALF, LONGER, OTHER, Reply
from .trial import Trial

WHOLE = Reply()
FOREIGN = Reply(file=OTHER, etag='"v2"')
PAGE = Reply(body="<html>", headers={"Content-Type": "text/html"})
SHA256 = hashlib.sha256(FILE).hexdigest()
SIZE = {"expected_size": len(FILE)}
HASH = {"expected_sha256": SHA256}
BOMB = gzip.compress(bytes(100_000_000))
# What the kernels of both sides take before anybody reads.
BUFFERED = 16_000_000


@dataclass(frozen=True)
class Case:
    """
    A file other than expected.

    :param name: What is wrong.
    :param replies: What the host does.
    :param asked: How many requests there are.
    :param how: What is expected.
    :param told: What the error says; nothing for a success.
    :param transient: Whether the error is.
    :param extra: Of the connection.
    """

    name: str
    replies: tuple[Reply, ...]
    asked: int
    how: Mapping[str, Any]
    told: tuple[str, ...] = ()
    transient: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


CHUNK = b"4000\r\n" + bytes(0x4000) + b"\r\n"
ENDLESS = Reply(body=CHUNK, endless=True, headers={"Content-Length": None, "Transfer-Encoding": "chunked"})
ONCE = {"max_retries": 0}
HUGE = Reply(body=FILE, endless=True, headers={"Content-Length": "384000000"})
CASES = [
    Case("as expected", (WHOLE,), 1, SIZE | HASH),
    Case("announced longer", (HUGE,) * 9, 2, {"expected_size": 1000}, ("384000000", "1000")),
    Case("announced shorter", (Reply(file=FILE[:-1]),) * 9, 2, SIZE, ("199999", "200000")),
    Case("announced longer once", (Reply(file=LONGER), WHOLE), 2, SIZE),
    Case(
        "longer than announced by nobody",
        (ENDLESS,) * 9,
        2,
        {"expected_size": 1000},
        ("more", "1000"),
    ),
    Case(
        "without an end",
        (Reply(body=FILE, endless=True, framing="none"),) * 9,
        2,
        {"expected_size": 1000},
        ("more", "1000"),
    ),
    Case(
        "packed, and larger than a disk",
        (Reply(body=BOMB, headers={"Content-Encoding": "gzip"}),) * 9,
        2,
        {"expected_size": 1000},
        ("more", "1000"),
    ),
    Case(
        "shorter than announced by nobody",
        (Reply(file=FILE[:HALF], framing="none"),) * 9,
        2,
        SIZE,
        ("100000", "200000"),
    ),
    Case("one byte longer, chunked", (Reply(file=FILE + b"x", framing="chunked"),) * 9, 2, SIZE, ("200000",)),
    Case("of another hash", (FOREIGN,) * 9, 2, HASH, (hashlib.sha256(OTHER).hexdigest(), SHA256)),
    Case("of another hash once", (FOREIGN, WHOLE), 2, HASH),
    Case("of another hash, and not to be repeated", (FOREIGN,) * 9, 1, HASH, (SHA256,), True, ONCE),
    Case(
        "of another hash, with cuts between",
        (FOREIGN, replace(FOREIGN, sent=HALF), replace(FOREIGN, sent=60_000), FOREIGN, WHOLE),
        4,
        HASH,
        (hashlib.sha256(OTHER).hexdigest(), SHA256),
    ),
    Case("of another hash, with pages between", (FOREIGN, PAGE, PAGE, FOREIGN, WHOLE), 4, HASH, (SHA256,)),
    Case("of another size, then hash", (Reply(file=LONGER), FOREIGN, WHOLE), 2, SIZE | HASH, (SHA256,)),
    Case(
        "known to be longer at the rest",
        (Reply(file=LONGER, framing="chunked", sent=HALF), Reply(file=LONGER), WHOLE),
        3,
        SIZE,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name.replace(" ", "-") for case in CASES])
def test_what_is_not_the_expected_file_is_fetched_once_more_at_the_most(case: Case, trial: Trial) -> None:
    api = trial.host(trusted=True)
    files = trial.host(case.replies)
    trial.connect(api.url, api.url, **case.extra)
    url = f"{files.url}/store/a.bin?X-Amz-Signature={trial.signature}"
    result, error = trial.play(lambda hook: hook.download_file(url, trial.target, sign="never", **case.how))
    trial.judge_ending(error, KieTransferError if case.told else None)
    trial.judge_file(result, FILE)
    trial.judge_leftovers()
    trial.judge_requests(files, case.asked)
    if missing := [words for words in case.told if words not in str(error)]:
        trial.lose("other ending than promised", f"{error} does not say {missing}")
    if error is not None and getattr(error, "transient", None) is not case.transient:
        trial.lose("other ending than promised", f"transient is not {case.transient}: {error}")
    if files.sent > case.asked * BUFFERED:
        trial.lose("too slow", f"{files.sent} bytes were taken")
    trial.judge_secrets()
    trial.close()
