"""How requests and answers are encoded: JSON that is none, gzip, chunks, and what browsers ask for."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from airflow_provider_kie.simulator import KieSimulator
from airflow_provider_kie.simulator.answers import accepts_gzip

JSON_CALLS = ["file-url-upload", "file-base64-upload"]
WRONG_URL = {"code": 422, "msg": "url is wrong", "data": None}
TYPE = {"Content-Type": "application/json"}


def upload(**fields: str) -> dict[str, str]:
    return {"base64Data": base64.b64encode(b"hello").decode(), "uploadPath": "bodies", **fields}


def in_pieces(data: bytes, size: int = 1000) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


UNREADABLE = {
    "half a surrogate pair": rb'{"base64Data":"aGk=","fileUrl":"http://127.0.0.1/","uploadPath":"\ud800"}',
    "half a surrogate pair alone": rb'"\ud800"',
    "100,000 brackets": b"[" * 100_000,
    "100,000 objects": b'{"a":' * 100_000,
    "invalid UTF-8": b'{"uploadPath":"\xff"}',
    "a surrogate as UTF-8": b'{"uploadPath":"\xed\xa0\x80"}',
    "a raw NUL": b'{"uploadPath":"\0"}',
    "5,000 digits": b'{"uploadPath":' + b"9" * 5000 + b"}",
    "NaN": b'{"uploadPath":NaN}',
    "an infinite number": b'{"uploadPath":1e999}',
    "nothing": b"",
    "cut": b'{"uploadPath":',
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=list(UNREADABLE))
def test_what_is_no_json_gets_the_error_of_the_host(
    kie: KieSimulator, web: httpx.Client, body: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    for call in JSON_CALLS:
        answer = web.post(f"{kie.upload_url}/api/{call}", content=body, headers=TYPE)
        expected = {"success": False, "code": 400, "msg": "Bad Request"}
        assert (answer.status_code, answer.json()) == (400, expected)
    answer = web.post(f"{kie.api_url}/api/v1/common/download-url", content=body, headers=TYPE)
    assert (answer.status_code, answer.json()) == (200, WRONG_URL)
    assert [request.json for request in kie.requests] == [None] * 3
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("value", ["[]", "7", "null", '"text"'])
def test_json_that_is_no_object_misses_all_parameters(
    kie: KieSimulator, web: httpx.Client, value: str
) -> None:
    answer = web.post(f"{kie.upload_url}/api/file-base64-upload", content=value, headers=TYPE)
    assert answer.json()["msg"] == "Missing required parameter: base64Data"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json;charset=UTF-8",
        "application/json; charset=utf-8",
        "text/plain",
        None,
    ],
)
def test_a_body_is_json_whatever_its_content_type_says(
    kie: KieSimulator, web: httpx.Client, content_type: str | None
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    body = json.dumps(upload(uploadPath="ü")).encode()
    answer = web.post(f"{kie.upload_url}/api/file-base64-upload", content=body, headers=headers)
    assert answer.json()["data"]["filePath"].startswith("kieai/1000001/ü/")
    assert kie.requests[-1].json == upload(uploadPath="ü")


def test_answers_name_their_charset(kie: KieSimulator, web: httpx.Client, plain: httpx.Client) -> None:
    answers = [
        web.get(f"{kie.api_url}/api/v1/chat/credit"),
        plain.get(f"{kie.api_url}/api/v1/chat/credit"),
        web.post(f"{kie.upload_url}/api/file-base64-upload", json=upload()),
        web.post(f"{kie.upload_url}/api/file-base64-upload", json={}),
        web.get(f"{kie.api_url}/nothing"),
    ]
    assert {answer.headers["content-type"] for answer in answers} == {"application/json;charset=UTF-8"}


def test_a_gzipped_body_is_read(kie: KieSimulator, web: httpx.Client) -> None:
    packed = gzip.compress(json.dumps(upload(fileName="a.txt")).encode())
    headers = {**TYPE, "Content-Encoding": "gzip"}
    for content in (packed, in_pieces(packed, 7)):
        answer = web.post(f"{kie.upload_url}/api/file-base64-upload", content=content, headers=headers)
        assert answer.json()["data"]["fileSize"] == 5
        assert (kie.requests[-1].json, kie.requests[-1].bytes_in) == (upload(fileName="a.txt"), len(packed))


def test_a_gzipped_form_is_read(kie: KieSimulator, web: httpx.Client) -> None:
    data = hashlib.shake_128(b"seed").digest(300_000)
    form = httpx.Request("POST", kie.upload_url, data={"uploadPath": "gz"}, files={"file": ("a.bin", data)})
    headers = {"Content-Type": form.headers["content-type"], "Content-Encoding": "gzip"}
    packed = gzip.compress(form.read())
    answer = web.post(f"{kie.upload_url}/api/file-stream-upload", content=packed, headers=headers)
    assert kie.uploads[answer.json()["data"]["filePath"]].sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("call", ["file-stream-upload", *JSON_CALLS])
@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", b"no gzip"), ("gzip", gzip.compress(b"{}")[:-3]), ("br", b"{}")],
    ids=["no gzip", "cut", "unknown"],
)
def test_a_body_that_is_not_encoded_as_it_says_is_refused(
    kie: KieSimulator, web: httpx.Client, call: str, encoding: str, body: bytes
) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Encoding": encoding}
    answer = web.post(f"{kie.upload_url}/api/{call}", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, 400)
    answer = web.post(f"{kie.api_url}/api/v1/common/download-url", content=body, headers=headers)
    assert answer.json()["code"] == 400


def test_a_wrong_key_is_told_before_a_wrong_encoding(kie: KieSimulator, plain: httpx.Client) -> None:
    headers = {**TYPE, "Content-Encoding": "gzip"}
    content = in_pieces(b"no gzip" * 10_000)
    answer = plain.post(f"{kie.upload_url}/api/file-url-upload", content=content, headers=headers)
    assert answer.json()["code"] == 401


def test_a_small_gzip_of_an_enormous_body_is_refused(kie: KieSimulator, web: httpx.Client) -> None:
    packed = gzip.compress(b'{"url":"' + b"x" * 20_000_000 + b'"}')
    headers = {**TYPE, "Content-Encoding": "gzip"}
    answer = web.post(f"{kie.api_url}/api/v1/common/download-url", content=packed, headers=headers)
    assert (answer.json()["code"], kie.requests[-1].json) == (413, None)


def test_bodies_may_come_in_chunks(kie: KieSimulator, web: httpx.Client) -> None:
    body = json.dumps(upload()).encode()
    answer = web.post(f"{kie.upload_url}/api/file-base64-upload", content=in_pieces(body, 5), headers=TYPE)
    assert answer.json()["data"]["fileSize"] == 5
    assert kie.requests[-1].headers["transfer-encoding"] == "chunked"


def test_answers_are_gzipped_and_in_chunks_for_who_accepts_it(kie: KieSimulator, web: httpx.Client) -> None:
    for url, json_ in [
        (f"{kie.upload_url}/api/file-base64-upload", upload()),
        (f"{kie.upload_url}/api/file-base64-upload", {}),
        (f"{kie.api_url}/api/v1/common/download-url", {"url": kie.add_generated_file("a.png", b"a")}),
        (f"{kie.api_url}/api/v1/common/download-url", {"url": "https://example.com/a.png"}),
    ]:
        packed = web.post(url, json=json_, headers={"Accept-Encoding": "gzip, deflate"})
        assert (packed.headers["content-encoding"], packed.headers["transfer-encoding"]) == (
            "gzip",
            "chunked",
        )
        plain = web.post(url, json=json_, headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.headers["content-length"] == str(len(plain.content))
        assert packed.json()["code"] == plain.json()["code"]
        assert all("Accept-Encoding" in answer.headers["vary"] for answer in (packed, plain))


def test_faults_are_gzipped_too_but_files_and_given_bodies_never(
    kie: KieSimulator, web: httpx.Client
) -> None:
    web.headers["Accept-Encoding"] = "gzip"
    kie.fail_next("credit", code=455)
    kie.fail_next("credit", body="{}")
    first, second = (web.get(f"{kie.api_url}/api/v1/chat/credit") for _ in range(2))
    assert (first.headers["content-encoding"], first.json()["code"]) == ("gzip", 455)
    assert ("content-encoding" in second.headers, second.text) == (False, "{}")
    file = web.get(kie.add_generated_file("a.json", b"{}" * 10_000))
    assert ("content-encoding" in file.headers, file.headers["content-length"]) == (False, "20000")


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("GZip;q=0.5", True),
        ("br, gzip; q=1.0", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, br", False),
        ("identity", False),
        ("", False),
        ("*", False),
    ],
)
def test_gzip_is_accepted_by_who_names_it(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


def test_a_client_of_http_1_0_gets_no_chunks(kie: KieSimulator) -> None:
    address = urlsplit(kie.api_url)
    with socket.create_connection((address.hostname or "", address.port or 0)) as client:
        client.sendall(
            b"GET /api/v1/chat/credit HTTP/1.0\r\nUser-Agent: tests\r\nAccept-Encoding: gzip\r\n"
            b"Authorization: Bearer " + kie.api_key.encode() + b"\r\n\r\n"
        )
        with client.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert json.loads(gzip.decompress(body))["data"] == 100


ORIGIN = {"Origin": "https://example.com"}


@pytest.mark.parametrize("call", ["file-stream-upload", *JSON_CALLS])
def test_a_browser_is_told_that_it_may_upload(kie: KieSimulator, plain: httpx.Client, call: str) -> None:
    kie.fail_next(call, code=500)
    preflight = {
        **ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = plain.options(f"{kie.upload_url}/api/{call}", headers=preflight)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "authorization,content-type"
    # The question is recorded, and leaves the fault to the request that it is asked for.
    assert [(request.call, request.method) for request in kie.requests] == [(call, "OPTIONS")]
    answer = plain.post(f"{kie.upload_url}/api/{call}", headers=ORIGIN)
    assert (answer.json()["code"], answer.headers["access-control-allow-origin"]) == (500, "*")


def test_a_browser_may_read_every_answer_of_the_upload_host(
    kie: KieSimulator, web: httpx.Client, plain: httpx.Client
) -> None:
    url = f"{kie.upload_url}/api/file-base64-upload"
    stored = web.post(url, json=upload(), headers=ORIGIN)
    answers: list[httpx.Response] = [
        stored,
        web.post(url, json={}, headers=ORIGIN),
        plain.post(url, json={}, headers=ORIGIN),
        web.get(f"{kie.upload_url}/nothing", headers=ORIGIN),
        plain.get(stored.json()["data"]["downloadUrl"], headers=ORIGIN),
    ]
    assert [answer.headers.get("access-control-allow-origin") for answer in answers] == ["*"] * 5
    assert "access-control-allow-origin" not in web.post(url, json={}).headers


def test_the_api_is_not_for_browsers(kie: KieSimulator, web: httpx.Client) -> None:
    answer = web.get(f"{kie.api_url}/api/v1/chat/credit", headers=ORIGIN)
    assert "access-control-allow-origin" not in answer.headers
