from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from airflow_provider_kie.simulator import KieSimulator

UNAUTHORIZED = {
    "code": 401,
    "msg": "Unauthorized – Authentication failed. "  # noqa: RUF001
    "Please check that your Authorization and Content-Type headers are correctly set.",
}
WRONG_URL = {"code": 422, "msg": "url is wrong", "data": None}


def sign(kie: KieSimulator, web: httpx.Client, url: str) -> str:
    answer = web.post(f"{kie.api_url}/api/v1/common/download-url", json={"url": url}).json()
    assert (answer["code"], answer["msg"]) == (200, "success")
    return str(answer["data"])


@pytest.mark.parametrize("balance", [100, 5916.25, 0])
def test_credit_is_the_balance_always_as_a_float(
    kie: KieSimulator, web: httpx.Client, balance: float
) -> None:
    kie.credits = balance
    answer = web.get(f"{kie.api_url}/api/v1/chat/credit")
    assert answer.status_code == 200
    assert answer.json() == {"code": 200, "msg": "success", "data": balance}
    assert isinstance(answer.json()["data"], float)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic a"}])
@pytest.mark.parametrize(("method", "path"), [("GET", "chat/credit"), ("POST", "common/download-url")])
def test_a_wrong_key_is_http_200_with_the_recorded_body(
    kie: KieSimulator, plain: httpx.Client, headers: dict[str, str], method: str, path: str
) -> None:
    answer = plain.request(method, f"{kie.api_url}/api/v1/{path}", headers=headers)
    assert (answer.status_code, answer.json()) == (200, UNAUTHORIZED)


@pytest.mark.parametrize("agent", ["", "Python-urllib/3.11", "python-urllib/3", "Python/3.12 aiohttp/3.9"])
@pytest.mark.parametrize("host", ["api_url", "upload_url", "files_url"])
def test_cloudflare_refuses_the_default_user_agent_of_python(
    kie: KieSimulator, web: httpx.Client, agent: str, host: str
) -> None:
    answer = web.get(f"{getattr(kie, host)}/api/v1/chat/credit", headers={"User-Agent": agent})
    assert (answer.status_code, answer.text) == (403, "error code: 1010")


def test_every_host_answers_404_for_the_paths_of_the_others(kie: KieSimulator, web: httpx.Client) -> None:
    uploaded = web.post(
        f"{kie.upload_url}/api/file-base64-upload", json={"base64Data": "aGk=", "uploadPath": "a"}
    ).json()["data"]["filePath"]
    generated = kie.add_generated_file("a.png", b"a").removeprefix(kie.files_url)
    signed = sign(kie, web, kie.files_url + generated).removeprefix(kie.files_url)
    paths = {
        kie.api_url: ["/api/v1/chat/credit", "/api/v1/common/download-url"],
        kie.upload_url: ["/api/file-stream-upload", "/api/file-base64-upload", f"/{uploaded}"],
        kie.files_url: [generated, signed],
    }
    for host in paths:
        for owner, theirs in paths.items():
            for path in theirs if owner != host else ["/", "/api/v1/chat/credit/", "/nothing"]:
                for method in ("GET", "POST"):
                    # the file host serves files alone: any path may be one, and only GET and HEAD are routed
                    expected = {404} if (host, method) != (kie.files_url, "POST") else {404, 405}
                    assert web.request(method, host + path).status_code in expected, (host, path)


def test_an_unknown_path_is_told_in_json_and_recorded(kie: KieSimulator, web: httpx.Client) -> None:
    assert web.get(f"{kie.api_url}/nothing").json() == {"code": 404, "msg": "Not Found", "data": None}
    upload = web.get(f"{kie.upload_url}/nothing").json()
    assert upload == {"success": False, "code": 404, "msg": "Not Found"}
    assert [request.path for request in kie.requests_to("unknown")] == ["/nothing", "/nothing"]


def test_a_wrong_method_is_405(kie: KieSimulator, web: httpx.Client) -> None:
    answer = web.post(f"{kie.api_url}/api/v1/chat/credit")
    assert (answer.status_code, answer.json()["code"]) == (405, 405)
    answer = web.get(f"{kie.upload_url}/api/file-url-upload")
    assert (answer.status_code, answer.json()["code"], answer.json()["success"]) == (405, 405, False)


def test_a_generated_file_is_public_by_its_url(kie: KieSimulator, plain: httpx.Client) -> None:
    url = kie.add_generated_file("a fine film ü.mp4", b"0123456789")
    assert url.startswith(f"{kie.files_url}/")
    answer = plain.get(url)
    assert (answer.content, answer.headers["content-type"]) == (b"0123456789", "video/mp4")
    head = plain.head(url)
    assert (head.status_code, head.headers["content-length"]) == (200, "10")


def test_a_generated_file_can_come_from_disk(kie: KieSimulator, plain: httpx.Client, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"on disk")
    assert plain.get(kie.add_generated_file("a.bin", source)).content == b"on disk"
    assert plain.get(kie.add_generated_file("a.bin", str(source))).content == b"on disk"


def test_two_generated_files_of_one_name_are_two_files(kie: KieSimulator) -> None:
    assert kie.add_generated_file("a.png", b"1") != kie.add_generated_file("a.png", b"2")


def test_a_signed_link_opens_the_file_for_a_get_without_the_key(
    kie: KieSimulator, web: httpx.Client, plain: httpx.Client
) -> None:
    url = kie.add_generated_file("ü.png", b"picture")
    link = sign(kie, web, url)
    assert link.startswith(f"{kie.files_url}/")
    assert urlsplit(link).path != urlsplit(url).path
    assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == ["1200"]
    answer = plain.get(link)
    assert (answer.content, answer.headers["content-type"]) == (b"picture", "image/png")
    assert sign(kie, web, url) != link


def test_a_signed_link_refuses_a_second_credential(kie: KieSimulator, web: httpx.Client) -> None:
    answer = web.get(sign(kie, web, kie.add_generated_file("a.png", b"picture")))
    assert answer.status_code == 400
    assert "Only one auth mechanism allowed" in answer.text


def test_a_signed_link_does_not_open_head_and_needs_its_signature(
    kie: KieSimulator, web: httpx.Client, plain: httpx.Client
) -> None:
    link = sign(kie, web, kie.add_generated_file("a.png", b"picture"))
    assert plain.head(link).status_code == 403
    for wrong in (
        link[:-1] + "ü",
        link.partition("?")[0],
        f"{kie.files_url}/signed/unknown?X-Amz-Signature=1",
    ):
        answer = plain.get(wrong)
        assert (answer.status_code, answer.headers["content-type"]) == (403, "application/xml")
        assert "<Code>SignatureDoesNotMatch</Code>" in answer.text


def test_a_signed_link_expires_and_a_new_one_opens(
    kie: KieSimulator, web: httpx.Client, plain: httpx.Client
) -> None:
    url = kie.add_generated_file("a.png", b"picture")
    old = sign(kie, web, url)
    kie.expire_links()
    answer = plain.get(old)
    assert (answer.status_code, "<Code>AccessDenied</Code>" in answer.text) == (403, True)
    assert plain.get(sign(kie, web, url)).content == b"picture"


def test_link_ttl_is_the_life_of_the_links_to_come(
    kie: KieSimulator, web: httpx.Client, plain: httpx.Client
) -> None:
    url = kie.add_generated_file("a.png", b"picture")
    long = sign(kie, web, url)
    kie.link_ttl = 0
    assert kie.link_ttl == 0.0
    short = sign(kie, web, url)
    assert (plain.get(long).status_code, plain.get(short).status_code) == (200, 403)


@pytest.mark.parametrize(
    "body",
    [{"url": "https://example.com/a.png"}, {"url": 7}, {}, [], "no json"],
    ids=["foreign", "number", "missing", "list", "text"],
)
def test_download_url_takes_nothing_but_generated_files(
    kie: KieSimulator, web: httpx.Client, body: object
) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    answer = web.post(f"{kie.api_url}/api/v1/common/download-url", content=content)
    assert (answer.status_code, answer.json()) == (200, WRONG_URL)


def test_download_url_refuses_uploaded_files_and_unknown_ones_on_its_host(
    kie: KieSimulator, web: httpx.Client
) -> None:
    uploaded = web.post(
        f"{kie.upload_url}/api/file-base64-upload", json={"base64Data": "aGk=", "uploadPath": "a"}
    ).json()["data"]["downloadUrl"]
    for url in (uploaded, f"{kie.files_url}/nothing.png"):
        answer = web.post(f"{kie.api_url}/api/v1/common/download-url", json={"url": url})
        assert (answer.status_code, answer.json()) == (200, WRONG_URL)


def test_an_enormous_body_is_refused(kie: KieSimulator, web: httpx.Client) -> None:
    answer = web.post(f"{kie.api_url}/api/v1/common/download-url", json={"url": "x" * 14_000_000})
    assert answer.json()["code"] == 413
    assert kie.requests[-1].json is None


@pytest.mark.parametrize(
    ("range_", "status", "content", "content_range"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=10-", 416, None, "*/10"),
    ],
)
def test_ranges_are_honoured_on_every_file_host(
    kie: KieSimulator,
    web: httpx.Client,
    plain: httpx.Client,
    range_: str,
    status: int,
    content: bytes | None,
    content_range: str,
) -> None:
    generated = kie.add_generated_file("a.bin", b"0123456789")
    files = {"file": ("a.bin", b"0123456789")}
    uploaded = web.post(f"{kie.upload_url}/api/file-stream-upload", data={"uploadPath": "a"}, files=files)
    for url in (generated, sign(kie, web, generated), uploaded.json()["data"]["downloadUrl"]):
        whole = plain.get(url)
        assert whole.headers["accept-ranges"] == "bytes"
        assert whole.headers["etag"]
        part = plain.get(url, headers={"Range": range_})
        assert part.status_code == status
        assert content in (None, part.content)
        assert part.headers["content-range"].endswith(content_range)
