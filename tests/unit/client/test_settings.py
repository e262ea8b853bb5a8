from __future__ import annotations

import dataclasses
import secrets
from typing import Any

import pytest

from airflow_provider_kie.client.errors import KieConfigError
from airflow_provider_kie.client.settings import KieSettings


def test_the_defaults_are_kie_ai() -> None:
    settings = KieSettings(api_key="a-key")
    assert dataclasses.asdict(settings) == {
        "api_key": "a-key",
        "base_url": "https://api.kie.ai",
        "upload_base_url": "https://kieai.redpandaai.co",
        "timeout": 60.0,
        "max_retries": 4,
        "upload_retention_hours": 24.0,
        "uploaded_files_host": "tempfile.redpandaai.co",
        "chat_path": None,
    }


def test_the_key_is_not_shown() -> None:
    key = secrets.token_hex()
    assert key not in f"{KieSettings(api_key=key)!r} {KieSettings(api_key=key)}"


@pytest.mark.parametrize(
    "key", ["", "a key", " a-key", "a-key\n", "a\tkey", "a-\u043a\u0435\u0443", "\x7f", "a\x00"]
)
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(KieConfigError, match=r"^api_key: ") as caught:
        KieSettings(api_key=key)
    assert key.strip() == "" or key.strip() not in str(caught.value)


@pytest.mark.parametrize("name", ["base_url", "upload_base_url"])
@pytest.mark.parametrize(
    "url",
    [
        "https://api.kie.ai",
        "https://api.kie.ai/",
        "https://proxy.example:8443/kie/",
        "HTTPS://API.KIE.AI",
        "http://localhost:8765",
        "http://127.0.0.1:8765/",
        "http://[::1]:8765",
        "https://[2001:db8::1]",
    ],
)
def test_a_base_url_is_https_or_loopback(name: str, url: str) -> None:
    settings: dict[str, Any] = {"api_key": "a-key", name: url}
    assert getattr(KieSettings(**settings), name) == url


@pytest.mark.parametrize("name", ["base_url", "upload_base_url"])
@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.kie.ai",
        "//api.kie.ai",
        "ftp://api.kie.ai",
        "https://",
        "https:///path",
        "https://:443",
        "http://api.kie.ai",
        "http://10.0.0.1:8765",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://0.0.0.0:8765",
        "https://api.kie.ai:99999",
        "https://api.kie.ai:port",
        "https://api.kie.ai:0",
        "https://[::1",
        "https://me:s3cret@api.kie.ai",
        "https://s3cret@api.kie.ai",
        "https://api.kie.ai/?token=s3cret",
        "https://api.kie.ai/#s3cret",
        "https://api.kie.ai?",
        "https://api.kie.ai#",
        "https://api kie.ai",
        " https://api.kie.ai",
        "https://api.kie.ai\n",
        "https://api..kie.ai",
        "https://" + "a" * 64 + ".example",
    ],
)
def test_another_base_url_is_refused_without_showing_it(name: str, url: str) -> None:
    settings: dict[str, Any] = {"api_key": "a-key", name: url}
    with pytest.raises(KieConfigError, match=f"^{name}: ") as caught:
        KieSettings(**settings)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("timeout", [0.1, 1, 3600]),
        ("max_retries", [0, 1, 4, 100]),
        ("upload_retention_hours", [0.5, 24, 72, 24 * 365]),
    ],
)
def test_numbers_in_reason_are_taken(name: str, values: list[float]) -> None:
    for value in values:
        settings: dict[str, Any] = {"api_key": "a-key", name: value}
        assert getattr(KieSettings(**settings), name) == value


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("timeout", [0, -1]),
        ("max_retries", [-1, 1.5]),
        ("upload_retention_hours", [0, -24]),
    ],
)
def test_numbers_out_of_reason_are_refused(name: str, values: list[Any]) -> None:
    for value in values:
        refuse(name, value)


@pytest.mark.parametrize("name", ["timeout", "max_retries", "upload_retention_hours"])
@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "soon",
        "60",
        True,
        False,
        [],
        {},
        float("nan"),
        float("inf"),
        -float("inf"),
        1e300,
        pytest.param(10**400, id="huge"),
    ],
)
def test_what_is_no_usable_number_is_refused(name: str, value: Any) -> None:
    refuse(name, value)


def refuse(name: str, value: Any) -> None:
    settings: dict[str, Any] = {"api_key": "a-key", name: value}
    with pytest.raises(KieConfigError, match=f"^{name}: must be ") as caught:
        KieSettings(**settings)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("file_url", "uploaded"),
    [
        ("https://tempfile.redpandaai.co/kieai/1/a.png", True),
        ("https://TEMPFILE.redpandaai.co:443/kieai/1/a.png", True),
        ("https://kieai.redpandaai.co/download/file_1", True),
        ("https://tempfile.aiquickdraw.com/a.png", False),
        ("https://api.kie.ai/a.png", False),
        ("https://tempfile.redpandaai.co.example/a.png", False),
        ("https://tempfile.redpandaai.co:8443/a.png", False),
        ("https://example/tempfile.redpandaai.co/a.png", False),
        ("https://tempfile.redpandaai.co@example/a.png", False),
    ],
)
def test_an_uploaded_file_is_known_by_its_host(file_url: str, uploaded: bool) -> None:
    assert KieSettings(api_key="a-key").is_uploaded_file(file_url) is uploaded


@pytest.mark.parametrize(
    ("host", "file_url", "uploaded"),
    [
        ("files.example", "https://files.example/a.png", True),
        ("FILES.example:443", "https://files.example/a.png", True),
        ("files.example:8443", "https://files.example:8443/a.png", True),
        ("files.example:8443", "https://files.example/a.png", False),
        ("127.0.0.1:8767", "http://127.0.0.1:8767/a.png", True),
        ("[::1]:8767", "http://[::1]:8767/a.png", True),
        ("files.example", "https://tempfile.redpandaai.co/a.png", False),
    ],
)
def test_the_host_of_uploaded_files_can_be_another(host: str, file_url: str, uploaded: bool) -> None:
    settings = KieSettings(api_key="a-key", uploaded_files_host=host)
    assert settings.is_uploaded_file(file_url) is uploaded


@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        "https://files.example",
        "files.example/",
        "files.example/a",
        "me:s3cret@files.example",
        "files.example?s3cret",
        "#s3cret",
        "a b",
        "h:x",
        "files..example",
        "files.example\n",
        "::1",
    ],
)
def test_what_is_no_host_of_uploaded_files_is_refused_without_showing_it(host: str) -> None:
    with pytest.raises(KieConfigError, match=r"^uploaded_files_host: ") as caught:
        KieSettings(api_key="a-key", uploaded_files_host=host)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("file_url", "uploaded"),
    [
        ("http://127.0.0.1:8766/a.png", True),
        ("http://127.0.0.1:8767/a.png", False),
        ("https://kieai.redpandaai.co/a.png", False),
        ("https://tempfile.redpandaai.co/a.png", True),
    ],
)
def test_the_configured_upload_host_serves_uploaded_files(file_url: str, uploaded: bool) -> None:
    settings = KieSettings(api_key="a-key", upload_base_url="http://127.0.0.1:8766")
    assert settings.is_uploaded_file(file_url) is uploaded


@pytest.mark.parametrize(
    ("base_url", "chat_path", "path"),
    [
        ("https://api.kie.ai", None, "/a-model/v1/chat/completions"),
        ("https://proxy.example/kie", None, "/a-model/v1/chat/completions"),
        ("https://kieai.erweima.ai", None, "/api/v1/chat/completions"),
        ("HTTPS://KIEAI.Erweima.AI:443/", None, "/api/v1/chat/completions"),
        ("https://kieai.erweima.ai.example", None, "/a-model/v1/chat/completions"),
        ("https://kieai.erweima.ai", "/{model}/v1/chat/completions", "/a-model/v1/chat/completions"),
        ("https://api.kie.ai", "/api/v1/chat/completions", "/api/v1/chat/completions"),
        ("https://api.kie.ai", "/v2/{model}/chat", "/v2/a-model/chat"),
        ("https://api.kie.ai", "/x-{model}/chat", "/x-a-model/chat"),
    ],
)
def test_chat_has_its_path_by_host_unless_it_is_named(
    base_url: str, chat_path: str | None, path: str
) -> None:
    settings = KieSettings(api_key="a-key", base_url=base_url, chat_path=chat_path)
    assert settings.path_of_chat("a-model") == path


@pytest.mark.parametrize(
    "path",
    [
        *(
            "",
            "/",
            "chat",
            "//",
            "/a//b",
            "/a/",
            " /a",
            "/a\n",
            "/a b",
            "/a?s3cret",
            "/a#s3cret",
            "/a%2fs3cret",
            "/../s3cret",
            "/a/./s3cret",
            "/s3cret/..",
        ),
        *("https://s3cret.example/a", "//s3cret.example/a", "/{name}/s3cret", "/{model", "/{}"),
        "/a\\s3cret",
    ],
)
def test_what_is_no_path_of_chat_is_refused_without_showing_it(path: str) -> None:
    with pytest.raises(KieConfigError, match=r"^chat_path: ") as caught:
        KieSettings(api_key="a-key", chat_path=path)
    assert "s3cret" not in str(caught.value)
