"""Downloads: ranges as RFC 9110 has them, and links that are signed as S3 signs them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from airflow_provider_kie.simulator import KieSimulator

Serve = Callable[[bytes], str]


@pytest.fixture(params=["generated", "signed", "uploaded"])
def serve(request: pytest.FixtureRequest, kie: KieSimulator, web: httpx.Client) -> Serve:
    """Put bytes where they can be downloaded; give the URL."""

    def put(data: bytes) -> str:
        if request.param == "uploaded":
            files = {"file": ("a.bin", data)}
            url = f"{kie.upload_url}/api/file-stream-upload"
            answer = web.post(url, data={"uploadPath": "ranges"}, files=files).json()
            return str(answer["data"]["downloadUrl"])
        url = kie.add_generated_file("a.bin", data)
        return sign(kie, web, url) if request.param == "signed" else url

    return put


def sign(kie: KieSimulator, web: httpx.Client, url: str) -> str:
    return str(web.post(f"{kie.api_url}/api/v1/common/download-url", json={"url": url}).json()["data"])


IGNORED = [
    "bytes=abc",
    "bytes=5-2",
    "bytes=",
    "bytes",
    "bytes=-",
    "bytes=--5",
    "bytes=1-2-3",
    "bytes=0x1-2",
    "bytes=1.5-2",
    "items=0-1",
    "0-1",
    "bytes=²-",
    "bytes=0-0,2-3",
    "bytes=0-1,50-",
    ",".join(["bytes=0-0"] + [f"{i}-{i}" for i in range(1000)]),
    "bytes=" + "9" * 5000 + "-",
]


@pytest.mark.parametrize("header", IGNORED, ids=lambda header: header[:20])
def test_a_range_that_is_invalid_or_several_is_ignored(
    serve: Serve, plain: httpx.Client, header: str
) -> None:
    answer = plain.get(serve(b"0123456789"), headers={b"Range": header.encode("latin-1")})
    assert (answer.status_code, answer.content) == (200, b"0123456789")
    assert "content-range" not in answer.headers


@pytest.mark.parametrize(
    ("header", "content", "content_range"),
    [
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=0-", b"0123456789", "bytes 0-9/10"),
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=9-99", b"9", "bytes 9-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
        ("Bytes=2-4", b"234", "bytes 2-4/10"),
    ],
)
def test_a_range_is_served(
    serve: Serve, plain: httpx.Client, header: str, content: bytes, content_range: str
) -> None:
    answer = plain.get(serve(b"0123456789"), headers={"Range": header})
    assert (answer.status_code, answer.content) == (206, content)
    assert answer.headers["content-range"] == content_range
    assert answer.headers["content-length"] == str(len(content))


@pytest.mark.parametrize(
    ("header", "data"),
    [("bytes=10-", b"0123456789"), ("bytes=99-100", b"0123456789"), ("bytes=-0", b"0"), ("bytes=0-", b"")],
)
def test_a_range_that_cannot_be_served_is_416(
    serve: Serve, plain: httpx.Client, header: str, data: bytes
) -> None:
    answer = plain.get(serve(data), headers={"Range": header})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(data)}")


def test_the_last_bytes_of_an_empty_file_are_the_file(serve: Serve, plain: httpx.Client) -> None:
    answer = plain.get(serve(b""), headers={"Range": "bytes=-5"})
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")


def test_if_range_takes_the_very_etag_or_date_and_nothing_else(serve: Serve, plain: httpx.Client) -> None:
    url = serve(b"0123456789")
    whole = plain.get(url)
    tag, changed = whole.headers["etag"], whole.headers["last-modified"]
    assert re.fullmatch(r'"[^"]+"', tag)
    for range_ in ("bytes=2-4", "bytes=10-"):
        statuses = [
            plain.get(url, headers={"Range": range_, "If-Range": value}).status_code
            for value in (tag, changed, f"W/{tag}", '"other"', "Thu, 01 Jan 1970 00:00:00 GMT", "nonsense")
        ]
        answered = 206 if range_ == "bytes=2-4" else 416
        assert statuses == [answered, answered, 200, 200, 200, 200]


@pytest.mark.parametrize("header", ["bytes=2-4", "bytes=99-"])
def test_head_knows_no_ranges(kie: KieSimulator, plain: httpx.Client, header: str) -> None:
    url = kie.add_generated_file("a.bin", b"0123456789")
    answer = plain.head(url, headers={"Range": header})
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "10", b"")


def test_a_large_file_and_a_large_range_of_it_arrive_whole(serve: Serve, plain: httpx.Client) -> None:
    data = bytes(range(256)) * 20_000
    url = serve(data)
    assert plain.get(url).content == data
    assert plain.get(url, headers={"Range": "bytes=1000000-4999999"}).content == data[1_000_000:5_000_000]


def test_a_file_whose_bytes_are_gone_is_404(kie: KieSimulator, plain: httpx.Client) -> None:
    url = kie.add_generated_file("a.bin", b"a")
    file = kie._state.files.find_generated(urlsplit(url).path)
    assert file is not None
    Path(file.disk).unlink()
    assert plain.get(url).status_code == 404


def test_a_signed_link_keeps_the_path_and_is_signed_as_s3_signs(kie: KieSimulator, web: httpx.Client) -> None:
    url = kie.add_generated_file("a fine film ü.mp4", b"film")
    link = urlsplit(sign(kie, web, url))
    assert link.path.endswith(urlsplit(url).path)
    query = dict(parse_qsl(link.query))
    assert list(query) == [
        f"X-Amz-{name}"
        for name in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
    ]
    signed = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%S%z")
    assert abs((datetime.now(UTC) - signed).total_seconds()) < 60
    assert query["X-Amz-Credential"] == f"simulator/{signed:%Y%m%d}/auto/s3/aws4_request"
    assert (query["X-Amz-Expires"], query["X-Amz-SignedHeaders"]) == ("1200", "host")
    assert re.fullmatch(r"[0-9a-f]{64}", query["X-Amz-Signature"])


def test_all_of_a_link_is_signed_but_not_the_order(
    kie: KieSimulator, web: httpx.Client, plain: httpx.Client
) -> None:
    link = sign(kie, web, kie.add_generated_file("a.png", b"picture"))
    other = urlsplit(sign(kie, web, kie.add_generated_file("b.png", b"other")))
    base, _, text = link.partition("?")
    query = dict(parse_qsl(text))
    assert plain.get(f"{base}?{urlencode(dict(reversed(query.items())))}").content == b"picture"
    wrong = [{**query, name: "99999"} for name in query]
    wrong += [{one: value for one, value in query.items() if one != name} for name in query]
    wrong += [{**query, "response-content-type": "text/html"}]
    urls = [f"{base}?{urlencode(one)}" for one in wrong]
    urls += [f"{kie.files_url}{other.path}?{text}"]
    for url in urls:
        answer = plain.get(url)
        assert (answer.status_code, "<Code>SignatureDoesNotMatch</Code>" in answer.text) == (403, True), url
