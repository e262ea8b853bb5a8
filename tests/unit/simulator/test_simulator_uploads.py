from __future__ import annotations

import base64
import hashlib
import itertools
import os
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from airflow_provider_kie.simulator import KieSimulator, UploadedObject, fetching, uploads

Upload = Callable[..., httpx.Response]
CALLS = ["file-stream-upload", "file-url-upload", "file-base64-upload"]
DATA = b"hello world"


def send(
    kie: KieSimulator, web: httpx.Client, call: str, data: bytes = DATA, **fields: Any
) -> httpx.Response:
    """Upload some bytes by any of the three ways; a None leaves the field out."""
    fields = {"uploadPath": "documents", "fileName": "test.txt", **fields}
    fields = {name: value for name, value in fields.items() if value is not None}
    url = f"{kie.upload_url}/api/{call}"
    if call == "file-stream-upload":
        return web.post(url, data=fields, files={"file": ("original.txt", data)})
    if call == "file-url-upload":
        return web.post(url, json={"fileUrl": kie.add_generated_file("original.txt", data), **fields})
    return web.post(url, json={"base64Data": base64.b64encode(data).decode(), **fields})


def stored(kie: KieSimulator) -> set[str]:
    """Name what the simulator has on disk."""
    return set(os.listdir(kie._state.files._opened().name))


@pytest.mark.parametrize("call", CALLS)
def test_an_upload_is_answered_in_the_recorded_shape_and_served_publicly(
    kie: KieSimulator, web: httpx.Client, plain: httpx.Client, call: str
) -> None:
    answer = send(kie, web, call)
    body = answer.json()
    stamp = body["data"].pop("uploadedAt")
    url = f"{kie.upload_url}/kieai/1000001/documents/test.txt"
    assert answer.status_code == 200
    assert body == {
        "success": True,
        "code": 200,
        "msg": "File uploaded successfully",
        "data": {
            "success": True,
            "fileName": "test.txt",
            "filePath": "kieai/1000001/documents/test.txt",
            "downloadUrl": url,
            "fileSize": 11,
            "mimeType": "text/plain",
        },
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp)
    served = plain.get(url)
    assert (served.content, served.headers["content-type"]) == (DATA, "text/plain; charset=utf-8")
    assert plain.head(url).headers["content-length"] == "11"
    path = "kieai/1000001/documents/test.txt"
    digest = hashlib.sha256(DATA).hexdigest()
    assert kie.uploads[path] == UploadedObject("test.txt", path, 11, digest, "text/plain", url)


@pytest.mark.parametrize("call", CALLS)
def test_the_quickstart_shape_can_be_asked_for(
    kie: KieSimulator, web: httpx.Client, plain: httpx.Client, call: str
) -> None:
    kie.upload_shape = "quickstart"
    assert kie.upload_shape == "quickstart"
    data = send(kie, web, call).json()["data"]
    assert set(data) == {
        "fileId",
        "fileName",
        "originalName",
        "fileSize",
        "mimeType",
        "uploadPath",
        "fileUrl",
        "downloadUrl",
        "uploadTime",
        "expiresAt",
    }
    original = "file" if call == "file-base64-upload" else "original.txt"
    assert (data["uploadPath"], data["originalName"]) == ("documents", original)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", data["expiresAt"])
    assert plain.get(data["fileUrl"]).content == plain.get(data["downloadUrl"]).content == DATA


def test_an_unknown_shape_is_refused(kie: KieSimulator) -> None:
    with pytest.raises(ValueError, match="recorded, quickstart"):
        kie.upload_shape = "other"  # type: ignore[assignment]


@pytest.mark.parametrize("call", CALLS)
def test_the_key_is_needed(kie: KieSimulator, plain: httpx.Client, call: str) -> None:
    answer = plain.post(f"{kie.upload_url}/api/{call}", headers={"Authorization": "Bearer wrong"})
    body = {"success": False, "code": 401, "msg": "Authentication failed: Invalid API Key"}
    assert (answer.status_code, answer.json()) == (200, body)


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_key_is_told_after_a_long_body(kie: KieSimulator, plain: httpx.Client, call: str) -> None:
    answer = plain.post(f"{kie.upload_url}/api/{call}", content=b"x" * 5_000_000)
    assert answer.json()["code"] == 401
    assert kie.requests[-1].bytes_in == 5_000_000


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("path", [None, ""])
def test_upload_path_is_needed(kie: KieSimulator, web: httpx.Client, call: str, path: str | None) -> None:
    answer = send(kie, web, call, uploadPath=path)
    body = {"success": False, "code": 400, "msg": "Missing required parameter: uploadPath"}
    assert (answer.status_code, answer.json()) == (400, body)


@pytest.mark.parametrize(
    ("call", "parameter"), list(zip(CALLS, ["file", "fileUrl", "base64Data"], strict=True))
)
def test_the_file_is_needed(kie: KieSimulator, web: httpx.Client, call: str, parameter: str) -> None:
    url = f"{kie.upload_url}/api/{call}"
    if call == "file-stream-upload":
        answer = web.post(url, files={"uploadPath": (None, b"documents")})
    else:
        answer = web.post(url, json={"uploadPath": "documents"})
    assert answer.status_code == 400
    assert answer.json()["msg"] == f"Missing required parameter: {parameter}"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("path", ["/documents", "documents/", "..", "a/../b"])
def test_upload_paths_with_outer_slashes_or_parents_are_refused(
    kie: KieSimulator, web: httpx.Client, call: str, path: str
) -> None:
    before = kie.uploads
    answer = send(kie, web, call, uploadPath=path)
    assert (answer.status_code, answer.json()["code"]) == (400, 400)
    assert "uploadPath" in answer.json()["msg"]
    assert kie.uploads == before


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("field", ["uploadPath", "fileName"])
def test_nul_is_no_part_of_a_path_or_name(
    kie: KieSimulator, web: httpx.Client, call: str, field: str
) -> None:
    fields: dict[str, Any] = {field: "a\0b"}
    answer = send(kie, web, call, **fields)
    assert (answer.status_code, answer.json()["code"], field in answer.json()["msg"]) == (400, 400, True)


@pytest.mark.parametrize("name", ["a/b.txt", ".", ".."])
def test_a_file_name_is_no_path(kie: KieSimulator, web: httpx.Client, name: str) -> None:
    answer = send(kie, web, "file-base64-upload", fileName=name)
    assert (answer.status_code, "fileName" in answer.json()["msg"]) == (400, True)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", [None, ""])
def test_a_missing_name_is_made_up(kie: KieSimulator, web: httpx.Client, call: str, name: str | None) -> None:
    made_up = send(kie, web, call, fileName=name).json()["data"]["fileName"]
    extension = "bin" if call == "file-base64-upload" else "txt"
    assert re.fullmatch(rf"\d{{13}}-[0-9a-f]+\.{extension}", made_up)


def test_a_data_url_gives_the_made_up_name_its_extension(kie: KieSimulator, web: httpx.Client) -> None:
    url = f"{kie.upload_url}/api/file-base64-upload"
    for prefix in ("data:image/png;base64,", "data:image/png;name=a;base64,"):
        answer = web.post(url, json={"base64Data": prefix + "aGk=", "uploadPath": "a"}).json()
        assert answer["data"]["fileName"].endswith(".png")
        assert answer["data"]["fileSize"] == 2


def test_the_name_decides_the_mime_type_and_may_hold_any_letter(
    kie: KieSimulator, web: httpx.Client, plain: httpx.Client
) -> None:
    for name, mime_type in {"ä b%20?#.png": "image/png", "x.nothing": "application/octet-stream"}.items():
        data = send(kie, web, "file-stream-upload", fileName=name, uploadPath="ü/b c").json()["data"]
        assert (data["fileName"], data["mimeType"]) == (name, mime_type)
        served = plain.get(data["downloadUrl"])
        assert (served.content, served.headers["content-type"]) == (DATA, mime_type)


@pytest.mark.parametrize("call", CALLS)
def test_the_same_path_and_name_overwrite_silently(
    kie: KieSimulator, web: httpx.Client, plain: httpx.Client, call: str
) -> None:
    first = send(kie, web, call, b"old").json()["data"]["downloadUrl"]
    second = send(kie, web, call, b"newer").json()["data"]["downloadUrl"]
    assert first == second
    assert plain.get(first).content == b"newer"


def test_a_replaced_upload_leaves_the_disk(kie: KieSimulator, web: httpx.Client) -> None:
    send(kie, web, "file-base64-upload", b"old")
    before = stored(kie)
    send(kie, web, "file-base64-upload", b"newer")
    assert len(stored(kie)) == len(before)
    assert stored(kie) != before


def test_expired_uploads_leave_the_disk_and_downloads_of_them_go_on(
    kie: KieSimulator, web: httpx.Client, plain: httpx.Client
) -> None:
    kie.expire_uploads()
    before = stored(kie)
    data = hashlib.shake_128(b"seed").digest(300_000)
    url = send(kie, web, "file-stream-upload", data).json()["data"]["downloadUrl"]
    assert len(stored(kie) - before) == 1
    kie.fail_next("file", chunk_delay=0.01)
    with plain.stream("GET", url) as answer:
        kie.expire_uploads()
        assert stored(kie) == before
        assert answer.read() == data


def test_a_download_that_waits_is_not_cut_by_a_replacement(
    kie: KieSimulator, web: httpx.Client, plain: httpx.Client
) -> None:
    url = send(kie, web, "file-stream-upload", b"old").json()["data"]["downloadUrl"]
    kie.fail_next("file", delay=0.3)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(plain.get, url)
        while not kie.requests_to("file"):
            time.sleep(0.01)
        send(kie, web, "file-stream-upload", b"newer")
        assert answer.result().content in (b"old", b"newer")


def test_two_versions_of_one_path_have_two_etags(
    kie: KieSimulator, web: httpx.Client, plain: httpx.Client
) -> None:
    tags = set()
    for data in (b"one", b"two"):
        url = send(kie, web, "file-base64-upload", data).json()["data"]["downloadUrl"]
        tags.add(plain.head(url).headers["etag"])
    assert len(tags) == 2


def test_expired_uploads_are_gone(kie: KieSimulator, web: httpx.Client, plain: httpx.Client) -> None:
    url = send(kie, web, "file-base64-upload").json()["data"]["downloadUrl"]
    kie.expire_uploads()
    answer = plain.get(url)
    assert (answer.status_code, answer.text) == (404, "Not Found")
    assert kie.uploads == {}


@pytest.mark.parametrize(
    "order", list(itertools.permutations(("file", "uploadPath", "fileName"))), ids="-".join
)
def test_the_parts_of_a_form_come_in_any_order(
    kie: KieSimulator, web: httpx.Client, order: tuple[str, ...]
) -> None:
    parts: dict[str, Any] = {
        "file": ("original.txt", DATA),
        "uploadPath": (None, b"any/order"),
        "fileName": (None, b"mine.txt"),
    }
    ordered = [(name, parts[name]) for name in order]
    data = web.post(f"{kie.upload_url}/api/file-stream-upload", files=ordered).json()["data"]
    assert data["filePath"] == "kieai/1000001/any/order/mine.txt"
    assert kie.uploads[data["filePath"]].sha256 == hashlib.sha256(DATA).hexdigest()


def test_of_several_files_the_first_counts(kie: KieSimulator, web: httpx.Client) -> None:
    parts: list[tuple[str, Any]] = [
        ("file", ("a.txt", DATA)),
        ("other", (None, b"nobody's")),
        ("file", ("b.png", b"x" * 70_000)),
        ("uploadPath", (None, b"several")),
    ]
    data = web.post(f"{kie.upload_url}/api/file-stream-upload", files=parts).json()["data"]
    assert (data["fileName"].endswith(".txt"), data["fileSize"]) == (True, len(DATA))


def test_a_form_whose_upload_path_never_comes_is_refused_and_leaves_nothing(
    kie: KieSimulator, web: httpx.Client
) -> None:
    before = stored(kie)
    parts: list[tuple[str, Any]] = [("file", ("a.txt", DATA)), ("fileName", (None, b"a.txt"))]
    answer = web.post(f"{kie.upload_url}/api/file-stream-upload", files=parts)
    assert (answer.status_code, answer.json()["msg"]) == (400, "Missing required parameter: uploadPath")
    assert stored(kie) == before


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=x", b"no form"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc'),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="uploadPath"\r\n\r\n'
            + b"a" * 70_000
            + b"\r\n--x--\r\n",
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc\r\n'
            b'--x\r\nContent-Disposition: form-data; name="uploadPath"\r\n\r\n'
            + b"a" * 70_000
            + b"\r\n--x--\r\n",
        ),
        (f"multipart/form-data; boundary={'x' * 300}", b"x"),
    ],
    ids=["json", "no boundary", "garbage", "cut", "long text", "long text after the file", "long boundary"],
)
def test_a_stream_upload_is_a_complete_multipart_form(
    kie: KieSimulator, web: httpx.Client, content_type: str, body: bytes
) -> None:
    url = f"{kie.upload_url}/api/file-stream-upload"
    answer = web.post(url, content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (400, 400)


def test_a_part_has_more_headers_and_the_file_needs_no_name(kie: KieSimulator, web: httpx.Client) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="uploadPath"\r\n\r\na\r\n'
        b'--x\r\nContent-Type: text/plain\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
        b"hi\r\n--x--\r\n"
    )
    url = f"{kie.upload_url}/api/file-stream-upload"
    answer = web.post(url, content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.json()["data"]["fileSize"] == 2


@pytest.mark.parametrize(
    "text", ["a", "aGk", "aGk= ", "aG\nk=", "_-8=", "ü", "data:image/png,aGk=", "aGk=aGk="]
)
def test_base64_is_the_standard_alphabet_without_white_space(
    kie: KieSimulator, web: httpx.Client, text: str
) -> None:
    url = f"{kie.upload_url}/api/file-base64-upload"
    answer = web.post(url, json={"base64Data": text, "uploadPath": "a"})
    body = {"success": False, "code": 400, "msg": "Base64 decoding failed: Invalid Base64 format"}
    assert (answer.status_code, answer.json()) == (400, body)


@pytest.mark.parametrize("size", [10_000_001, 12_000_000])
def test_base64_over_10_mb_is_413(kie: KieSimulator, web: httpx.Client, size: int) -> None:
    answer = send(kie, web, "file-base64-upload", bytes(size))
    assert (answer.status_code, answer.json()["code"], answer.json()["success"]) == (413, 413, False)


def test_base64_of_10_mb_is_taken(kie: KieSimulator, web: httpx.Client) -> None:
    assert send(kie, web, "file-base64-upload", bytes(10_000_000)).json()["data"]["fileSize"] == 10_000_000


@pytest.mark.parametrize(
    "url", ["ftp://example.com/a", "file:///etc/passwd", "a.txt", "http://", "https:///a"]
)
def test_only_web_urls_are_fetched(kie: KieSimulator, web: httpx.Client, url: str) -> None:
    answer = web.post(f"{kie.upload_url}/api/file-url-upload", json={"fileUrl": url, "uploadPath": "a"})
    assert (answer.status_code, answer.json()["code"]) == (400, 400)


def test_a_url_that_cannot_be_had_is_400(kie: KieSimulator, web: httpx.Client) -> None:
    with KieSimulator() as gone:
        nobody = gone.api_url
    for url in (f"{kie.files_url}/nothing", nobody, "http://127.0.0.1:port/", "http://xn--/", "http://[::1/"):
        answer = web.post(f"{kie.upload_url}/api/file-url-upload", json={"fileUrl": url, "uploadPath": "a"})
        assert (answer.status_code, answer.json()["code"]) == (400, 400)
        assert "Could not download" in answer.json()["msg"]


def test_a_url_that_takes_too_long_is_400(
    kie: KieSimulator, web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MAX_SECONDS", 0.2)
    kie.fail_next("file", delay=1.0)
    answer = send(kie, web, "file-url-upload")
    assert (answer.status_code, "Could not download" in answer.json()["msg"]) == (400, True)


def test_a_url_of_too_many_bytes_is_413(
    kie: KieSimulator, web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MAX_BYTES", 10)
    before = kie.uploads
    assert send(kie, web, "file-url-upload").status_code == 413
    assert kie.uploads == before


def test_an_uploaded_file_can_be_uploaded_again_by_its_url(kie: KieSimulator, web: httpx.Client) -> None:
    url = send(kie, web, "file-stream-upload").json()["data"]["downloadUrl"]
    again = web.post(f"{kie.upload_url}/api/file-url-upload", json={"fileUrl": url, "uploadPath": "copies"})
    assert again.json()["data"]["fileSize"] == len(DATA)
    agent = next(request.headers["user-agent"] for request in kie.requests_to("file"))
    assert agent == fetching.USER_AGENT


def test_a_large_stream_upload_arrives_whole(
    kie: KieSimulator, web: httpx.Client, plain: httpx.Client
) -> None:
    data = hashlib.shake_128(b"seed").digest(20_000_000)
    answer = send(kie, web, "file-stream-upload", data, fileName="large.bin").json()["data"]
    assert kie.uploads[answer["filePath"]].sha256 == hashlib.sha256(data).hexdigest()
    assert plain.get(answer["downloadUrl"]).content == data


def test_the_documented_limits_are_the_real_ones() -> None:
    assert (fetching.MAX_SECONDS, fetching.MAX_BYTES, uploads.MAX_BASE64) == (30, 100_000_000, 10_000_000)
