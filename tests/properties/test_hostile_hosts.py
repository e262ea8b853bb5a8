"""
A host that changes versions, tells of ranges what it likes and cuts anywhere: one version whole, or an error.

What no client can see is left out: another version under the same tag, and a length that is told and sent too
short.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import logging
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.client.settings import KieSettings
from airflow_provider_kie.client.transfer.download import NOTHING_EXPECTED, Expected, Received, download
from tests.fake_host import Answer, FakeHost, Request, chunked, http
from tests.faults import FULL, SEED

CASES = 2_000 if FULL else 300
SIZE = 3_000
_random = random.Random(10)
# Two of the same length, one that begins like the first, a shorter and a longer one.
FIRST = _random.randbytes(SIZE)
VERSIONS = [
    FIRST,
    _random.randbytes(SIZE),
    FIRST[:2_000] + _random.randbytes(SIZE - 2_000),
    _random.randbytes(700),
    _random.randbytes(2 * SIZE),
]
TAGS = {
    "strong": '"v{}"',
    "weak": 'W/"v{}"',
    "unquoted": "v{}",
    "other-case": '"V{}"',
    "two": '"v{}", "x"',
    "none": None,
}
PAGE = b"<!DOCTYPE html><html><body>Please come back later</body></html>"


@dataclass(frozen=True)
class Step:
    """
    What the host does with one request.

    :param version: Which version it has by now.
    :param tag: How it tells the version's ETag.
    :param knows: ``nothing`` of ranges, ``range`` only, or ``if-range`` too.
    :param cut: After how many bytes of the body, on the wire, it hangs up; None for never.
    :param framing: How the end of the body is told.
    :param packed: Whether it packs the body.
    :param start: How far the range begins from where it should.
    :param total: How much longer it says the file is.
    :param several: Whether it calls the range several ranges.
    :param status: In place of 200 or 206.
    :param page: Whether it shows a page instead.
    """

    version: int = 0
    tag: str = "strong"
    knows: str = "if-range"
    cut: int | None = None
    framing: str = "length"
    packed: bool = False
    start: int = 0
    total: int = 0
    several: bool = False
    status: int | None = None
    page: bool = False


def draw(source: random.Random) -> Step:
    """Make one up; most of it is as usual."""

    def rarely(choices: Sequence[Any], usual: Any) -> Any:
        return source.choice(choices) if source.random() < 0.25 else usual

    return Step(
        version=source.randrange(len(VERSIONS)),
        tag=rarely(sorted(TAGS), "strong"),
        knows=source.choice(["nothing", "range", "range", "if-range"]),
        cut=rarely([None], source.randint(0, SIZE)),
        framing=rarely(["chunked", "none"], "length"),
        packed=rarely([True, False], False),
        start=rarely(range(-5, 6), 0),
        total=rarely(range(6), 0),
        several=rarely([True, False], False),
        status=rarely([200, 206, 404, 416, 503], None),
        page=rarely([True, False], False),
    )


def answer(step: Step) -> Answer:
    """Make the answer of a step."""
    file = VERSIONS[step.version]
    tag = (TAGS[step.tag] or "").format(step.version)

    def give(request: Request) -> bytes:
        start = _asked(request, step, tag)
        status = step.status or (200 if start is None else 206)
        start = max(0, start + step.start) if start is not None and status == 206 else 0
        total = len(file) + step.total
        headers = {
            "Content_Range": f"bytes {start}-{total - 1}/{total}" if status == 206 else None,
            "Content_Type": _type(step),
            "ETag": tag or None,
        }
        body = PAGE if step.page else file[start:]
        if step.packed:
            body = gzip.compress(body)
            headers["Content_Encoding"] = "gzip"
        if step.framing == "length":
            headers["Content_Length"] = str(len(body) + (step.total if step.status != 206 else 0))
        else:
            headers["Content_Length"] = None
        if step.framing == "chunked":
            headers["Transfer_Encoding"] = "chunked"
            body = chunked(body)
        return http(b"", f"{status} As told", **headers) + body[: step.cut]

    return give


def _asked(request: Request, step: Step, tag: str) -> int | None:
    match = re.fullmatch(r"bytes=(\d+)-", request.range or "")
    if not match or step.knows == "nothing":
        return None
    if step.knows == "if-range" and request.headers.get("if-range") != tag:
        return None
    return int(match[1])


def _type(step: Step) -> str:
    if step.page:
        return "text/html"
    return "multipart/byteranges; boundary=x" if step.several else "application/octet-stream"


@pytest.fixture(scope="module")
def client() -> Iterator[KieClient]:
    """Give one client to all examples."""
    with KieClient(KieSettings("a-key", timeout=5.0, max_retries=2)) as opened:
        yield opened


def fetch(client: KieClient, host: FakeHost, expected: Expected) -> tuple[bytes, Received | None]:
    sink = io.BytesIO()
    received = None
    with contextlib.suppress(KieError):
        received = download(client, f"{host.url}/a.bin", sink, signed=False, expected=expected)
    return sink.getvalue(), received


def judge(
    client: KieClient, host: FakeHost, script: Sequence[Step], wanted: int | None, by_hash: bool
) -> None:
    expected = NOTHING_EXPECTED
    if wanted is not None:
        file = VERSIONS[wanted]
        expected = Expected(sha256=hashlib.sha256(file).hexdigest()) if by_hash else Expected(len(file))
    # It stays at the last.
    host.script = [answer(step) for step in (*script, *[script[-1]] * 99)]
    found, received = fetch(client, host, expected)
    if received is None:
        return
    assert (received.size, received.sha256) == (len(found), hashlib.sha256(found).hexdigest())
    if received.verified and (wanted is None or by_hash):
        assert found in VERSIONS
    else:
        # No end was told, so that a cut cannot be known.
        assert any(file.startswith(found) for file in VERSIONS)
    if wanted is not None:
        assert (found == VERSIONS[wanted]) if by_hash else (len(found) == len(VERSIONS[wanted]))


CUT = Step(cut=1_000)
OTHER = Step(version=1, knows="range")
PACKED = Step(version=1, packed=True, cut=700)
UNASKED = replace(OTHER, tag="none", status=206)


@pytest.mark.parametrize(
    "script",
    [
        (CUT, OTHER, Step()),
        (CUT, replace(OTHER, tag="none"), Step()),
        (replace(CUT, tag="none"), UNASKED, Step()),
        (Step(cut=0), PACKED, Step()),
        (CUT, Step(page=True, framing="none", status=206), Step()),
    ],
    ids=["another-tag", "no-tag", "unasked", "packed-between", "page-as-rest"],
)
def test_one_version_is_not_continued_by_another(
    script: Sequence[Step], host: FakeHost, client: KieClient
) -> None:
    judge(client, host, script, None, by_hash=False)


def test_what_arrives_is_one_version_whole_or_an_error(
    host: FakeHost, client: KieClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "airflow_provider_kie")
    caplog.set_level(logging.ERROR, "httpx")
    print(f"KIE_FAULTS_SEED={SEED}")
    for number in range(CASES):
        source = random.Random(f"{SEED} {number}")
        script = [draw(source) for _ in range(source.randint(1, 6))]
        wanted = source.choice([None, None, *range(len(VERSIONS))])
        by_hash = source.random() < 0.5
        try:
            judge(client, host, script, wanted, by_hash)
        except AssertionError:
            print(f"case {number}: version {wanted} wanted {'by hash' if by_hash else 'by size'} of {script}")
            raise
