"""A download that is cut goes on where it stopped, where that is the same file, and else begins anew."""

from __future__ import annotations

import gzip
import secrets

import pytest

from airflow_provider_kie.client.errors import (
    KieConnectionError,
    KieTransferError,
)
from tests.fake_host import SILENCE, chunked, http
from tests.unit.client.transfer.downloads import (
    CONTENT,
    HALF,
    OTHER,
    TAG,
    FileHost,
    cut,
    failure,
    fetch,
    received_of,
    rest,
    whole,
)


@pytest.mark.parametrize("sent", [1, HALF, len(CONTENT) - 1])
def test_a_cut_transfer_goes_on_where_it_stopped(sent: int) -> None:
    with FileHost(cut(sent), rest(sent)) as host:
        assert fetch(host) == received_of(CONTENT)
        assert host.ranges() == [None, f"bytes={sent}-"]
        assert host.requests[1].headers.get("if-range") == TAG


def test_a_transfer_that_is_cut_again_and_again_goes_on_each_time() -> None:
    second = rest(100, Content_Length=str(len(CONTENT) - 100))[: -(len(CONTENT) - 300)]
    with FileHost(cut(100), second, rest(300)) as host:
        assert fetch(host) == received_of(CONTENT)
        assert host.ranges() == [None, "bytes=100-", "bytes=300-"]


def test_a_chunked_transfer_that_is_cut_goes_on() -> None:
    body = chunked(CONTENT[:HALF], end=False)
    first = http(body, Content_Length=None, Transfer_Encoding="chunked", ETag=TAG)
    with FileHost(first, rest()) as host:
        assert fetch(host) == received_of(CONTENT)
        assert host.ranges() == [None, f"bytes={HALF}-"]


def test_silence_in_the_middle_is_a_cut() -> None:
    with FileHost([SILENCE], whole()) as host:
        assert fetch(host, timeout=0.5) == received_of(CONTENT)


def test_a_cut_before_the_first_byte_begins_anew() -> None:
    with FileHost(b"", cut(0), whole()) as host:
        assert fetch(host) == received_of(CONTENT)
        assert host.ranges() == [None, None, None]


@pytest.mark.parametrize("etag", [None, 'W/"v1"', "", "v1"])
def test_without_a_strong_etag_a_cut_transfer_begins_anew(etag: str | None) -> None:
    with FileHost(cut(ETag=etag), whole()) as host:
        assert fetch(host) == received_of(CONTENT)
        assert host.ranges() == [None, None]


def test_a_host_that_ignores_the_range_is_read_from_the_start() -> None:
    with FileHost(cut(), whole()) as host:
        assert fetch(host) == received_of(CONTENT)


def test_a_file_that_changed_meanwhile_is_read_from_the_start() -> None:
    with FileHost(cut(), whole(OTHER + b"more", ETag='"v2"')) as host:
        assert fetch(host) == received_of(OTHER + b"more")


def test_a_file_that_shrank_meanwhile_leaves_nothing_of_its_old_self() -> None:
    with FileHost(cut(), whole(OTHER[:10], ETag='"v2"')) as host:
        assert fetch(host) == received_of(OTHER[:10])


@pytest.mark.parametrize(
    "other",
    [
        rest(content=OTHER, ETag='"v2"'),
        rest(content=OTHER + b"more"),
        rest(content=OTHER + b"more", ETag='"v2"'),
        rest(content=OTHER, ETag=None),
        rest(content=OTHER, ETag="v1"),
        rest(content=OTHER, ETag='"V1"'),
        rest(content=OTHER, ETag='W/"v1"'),
        rest(content=OTHER, ETag='"v1", "v2"'),
    ],
    ids=["other-tag", "other-length", "other-both", "no-tag", "unquoted", "other-case", "weak", "two-tags"],
)
def test_two_versions_of_a_file_are_never_joined(other: bytes) -> None:
    # A host, or a cache before it, that knows Range but not If-Range.
    with FileHost(cut(), other, whole(OTHER)) as host:
        assert fetch(host)[0] == OTHER


@pytest.mark.parametrize(
    "content_range",
    [
        None,
        "",
        "nonsense",
        f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}",
        f"bytes {HALF - 1}-{len(CONTENT) - 1}/{len(CONTENT)}",
        f"bytes {HALF}-{len(CONTENT) - 1}/*",
        f"bytes */{len(CONTENT)}",
        f"items {HALF}-{len(CONTENT) - 1}/{len(CONTENT)}",
        f"bytes {HALF}-{len(CONTENT) - 1}/{'9' * 5000}",
        f"bytes {HALF}-{len(CONTENT) - 2}/{len(CONTENT)}",
        f"bytes {HALF}-{len(CONTENT)}/{len(CONTENT)}",
        f"bytes {HALF}-{HALF - 1}/{len(CONTENT)}",
        f"bytes {HALF}-{len(CONTENT) - 1}/{len(CONTENT)}, bytes 0-1/{len(CONTENT)}",
    ],
    ids=[
        *("missing", "empty", "nonsense", "start", "overlap", "no-total", "no-range", "other-unit", "huge"),
        *("shorter-than-length", "beyond-the-end", "backwards", "two-ranges"),
    ],
)
def test_another_range_than_was_asked_for_begins_anew(content_range: str | None) -> None:
    with FileHost(cut(), rest(Content_Range=content_range), whole()) as host:
        assert fetch(host) == received_of(CONTENT)
        assert host.ranges() == [None, f"bytes={HALF}-", None]


def test_several_parts_in_one_are_not_taken_for_the_rest() -> None:
    with FileHost(cut(), rest(Content_Type="multipart/byteranges; boundary=x"), whole()) as host:
        assert fetch(host) == received_of(CONTENT)


def test_a_part_that_nobody_asked_for_is_not_taken_for_the_whole() -> None:
    with FileHost(rest(), rest(0), whole()) as host:
        assert fetch(host) == received_of(CONTENT)


@pytest.mark.parametrize("etag", [None, 'W/"v1"'])
def test_a_part_that_nobody_asked_for_is_not_taken_for_the_rest(etag: str | None) -> None:
    with FileHost(cut(ETag=etag), rest(content=OTHER, ETag=etag), whole()) as host:
        assert fetch(host) == received_of(CONTENT)
        assert host.ranges() == [None, None, None]


def test_what_was_told_of_a_version_is_forgotten_with_it() -> None:
    # The second answer is of another version, packed and cut: the first one's tag is not of its bytes.
    packed = gzip.compress(secrets.token_bytes(4096))
    second = http(packed[:2000], Content_Length=str(len(packed)), Content_Encoding="gzip", ETag='"v2"')
    with FileHost(cut(0), second, whole()) as host:
        assert fetch(host) == received_of(CONTENT)
        assert host.ranges() == [None, None, None]


def test_a_part_that_ends_early_is_not_taken_for_the_rest() -> None:
    short = http(
        CONTENT[HALF:-1],
        "206 Partial Content",
        Content_Range=f"bytes {HALF}-{len(CONTENT) - 2}/{len(CONTENT)}",
        ETag=TAG,
    )
    with FileHost(cut(), short, rest(len(CONTENT) - 1)) as host:
        assert fetch(host) == received_of(CONTENT)


def test_a_chunked_rest_that_does_not_end_is_not_taken_for_the_rest() -> None:
    span = f"bytes {HALF}-{len(CONTENT) - 1}/{len(CONTENT)}"
    headers = {"Content_Length": None, "Transfer_Encoding": "chunked", "ETag": TAG, "Content_Range": span}
    with FileHost(cut(), http(chunked(CONTENT), "206 Partial Content", **headers), whole()) as host:
        assert fetch(host) == received_of(CONTENT)


def test_a_range_that_is_no_longer_there_begins_anew() -> None:
    with FileHost(cut(), http(b"", "416 Range Not Satisfiable"), whole()) as host:
        assert fetch(host) == received_of(CONTENT)
        assert host.ranges() == [None, f"bytes={HALF}-", None]


@pytest.mark.parametrize("etag", ['"\u00e9"', '"\u6587"', '"a b"', '"a, b"'])
def test_an_etag_of_any_characters_does_no_harm(etag: str) -> None:
    with FileHost(cut(ETag=etag), whole(ETag=etag)) as host:
        assert fetch(host) == received_of(CONTENT)


def test_a_compressed_transfer_that_is_cut_begins_anew() -> None:
    packed = gzip.compress(secrets.token_bytes(4096))
    first = http(packed[:2000], Content_Length=str(len(packed)), Content_Encoding="gzip", ETag=TAG)
    with FileHost(first, whole()) as host:
        assert fetch(host) == received_of(CONTENT)
        assert host.ranges() == [None, None]


def test_a_compressed_rest_is_not_joined_to_a_plain_beginning() -> None:
    packed = gzip.compress(CONTENT)
    part = http(
        packed[HALF:] or packed[-10:],
        "206 Partial Content",
        Content_Range=f"bytes {HALF}-{len(CONTENT) - 1}/{len(CONTENT)}",
        Content_Encoding="gzip",
        ETag=TAG,
    )
    with FileHost(cut(), part, whole()) as host:
        assert fetch(host) == received_of(CONTENT)


def test_a_page_instead_of_the_rest_leaves_what_is_there() -> None:
    page = whole(b"<html>Sorry</html>", Content_Type="text/html")
    with FileHost(cut(), page, rest()) as host:
        assert fetch(host, name="a") == received_of(CONTENT)
        assert host.ranges() == [None, f"bytes={HALF}-", f"bytes={HALF}-"]


def test_a_transfer_that_never_arrives_whole_is_an_error_after_the_last_try() -> None:
    with FileHost(*[cut()] * 9) as host:
        error = failure(host, max_retries=2)
        assert isinstance(error, KieConnectionError | KieTransferError)
        # The first brings it half way; three more bring it no further.
        assert len(host.requests) == 4


def slices(size: int, count: int) -> list[bytes]:
    """Bring so many bytes at a time, so often."""
    return [cut(size)] + [rest(at)[: -(len(CONTENT) - at - size)] for at in range(size, size * count, size)]


def test_a_transfer_that_brings_a_twentieth_each_time_has_all_the_tries_it_needs() -> None:
    size = len(CONTENT) // 20 + 1
    with FileHost(*slices(size, 9), rest(9 * size)) as host:
        assert fetch(host, max_retries=1) == received_of(CONTENT)
        assert host.ranges() == [None, *(f"bytes={at * size}-" for at in range(1, 10))]


def test_a_transfer_that_brings_a_byte_each_time_is_given_up() -> None:
    with FileHost(*slices(1, 20)) as host:
        failure(host, max_retries=4)
        assert host.ranges() == [None, *(f"bytes={at}-" for at in range(1, 5))]
