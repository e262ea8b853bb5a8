from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import BaseHook

from airflow_provider_kie.client.errors import KieConfigError, KieConnectionNotFoundError
from airflow_provider_kie.client.settings import KieSettings
from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.hooks.settings import settings_of

Connect = Callable[..., str]


def settings(conn_id: str = "kie_default") -> KieSettings:
    return settings_of(BaseHook.get_connection(conn_id))


def test_a_key_is_enough(connect: Connect) -> None:
    connect()
    assert settings() == KieSettings(
        api_key="a-key",
        base_url="https://api.kie.ai",
        upload_base_url="https://kieai.redpandaai.co",
        timeout=60,
        max_retries=4,
        upload_retention_hours=24,
    )


def test_json_sets_everything(connect: Connect) -> None:
    extra = {
        "upload_base_url": "https://up.example",
        "timeout": 7.5,
        "max_retries": 0,
        "upload_retention_hours": 72,
        "uploaded_files_host": "files.example:8443",
        "chat_path": "/{model}/chat",
    }
    connect(host="https://api.example/prefix", extra=extra)
    expected = KieSettings(
        *("a-key", "https://api.example/prefix", "https://up.example", 7.5, 0, 72),
        *("files.example:8443", "/{model}/chat"),
    )
    assert settings() == expected


@pytest.mark.parametrize(
    ("uri", "base_url"),
    [
        ("kie://:a-key@", "https://api.kie.ai"),
        ("kie://:a-key@api.example", "https://api.example"),
        ("kie://:a-key@api.example:8443", "https://api.example:8443"),
        ("kie://:a-key@https%3A%2F%2Fapi.example", "https://api.example"),
        ("kie://:a-key@http%3A%2F%2F127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("kie://:a-key@http%3A%2F%2F127.0.0.1%3A8765", "http://127.0.0.1:8765"),
        ("kie://:a-key@127.0.0.1:8765/http", "http://127.0.0.1:8765"),
    ],
)
def test_a_uri_sets_the_host(uri: str, base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", uri)
    assert settings() == KieSettings("a-key", base_url)


def test_a_uri_sets_the_extras_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    query = (
        "upload_base_url=https%3A%2F%2Fup.example&timeout=7.5&max_retries=2&upload_retention_hours=72"
        "&uploaded_files_host=files.example%3A8443&chat_path=%2F%7Bmodel%7D%2Fchat"
    )
    monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", f"kie://:a-key@/?{query}")
    expected = KieSettings(
        *("a-key", "https://api.kie.ai", "https://up.example", 7.5, 2, 72),
        *("files.example:8443", "/{model}/chat"),
    )
    assert settings() == expected


def test_fields_left_empty_in_the_form_mean_the_defaults(connect: Connect) -> None:
    connect(
        host="", extra={"upload_base_url": "", "timeout": None, "uploaded_files_host": "", "chat_path": ""}
    )
    assert settings() == KieSettings("a-key")


def test_white_space_around_a_pasted_key_is_ignored(connect: Connect) -> None:
    connect(password=" a-key\n")
    assert settings().api_key == "a-key"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"password": None}, "password"),
        ({"password": ""}, "password"),
        ({"password": "two words"}, "password"),
        ({"host": "http://api.kie.ai"}, "host"),
        ({"host": "http://127.0.0.1.example"}, "host"),
        ({"host": "https://someone:secret@api.kie.ai"}, "host"),
        ({"host": "ftp://api.kie.ai"}, "host"),
        ({"host": "https://api.kie.ai:99999"}, "host"),
        ({"host": "https://api.kie.ai/?a=b"}, "host"),
        ({"host": "https://"}, "host"),
        ({"extra": {"upload_base_url": "http://kieai.redpandaai.co"}}, "extra 'upload_base_url'"),
        ({"extra": {"upload_base_url": 5}}, "extra 'upload_base_url'"),
        ({"extra": {"uploaded_files_host": "https://files.example"}}, "extra 'uploaded_files_host'"),
        ({"extra": {"uploaded_files_host": ["files.example"]}}, "extra 'uploaded_files_host'"),
        ({"extra": {"chat_path": "https://api.kie.ai/secret"}}, "extra 'chat_path'"),
        ({"extra": {"chat_path": "/{name}/secret"}}, "extra 'chat_path'"),
        ({"extra": {"chat_path": ["/chat"]}}, "extra 'chat_path'"),
        ({"extra": {"timeout": "soon"}}, "extra 'timeout'"),
        ({"extra": {"timeout": 0}}, "extra 'timeout'"),
        ({"extra": {"timeout": True}}, "extra 'timeout'"),
        ({"extra": {"timeout": [60]}}, "extra 'timeout'"),
        ({"extra": {"timeout": "nan"}}, "extra 'timeout'"),
        ({"extra": {"max_retries": -1}}, "extra 'max_retries'"),
        ({"extra": {"max_retries": 1.5}}, "extra 'max_retries'"),
        ({"extra": {"max_retries": "inf"}}, "extra 'max_retries'"),
        ({"extra": {"upload_retention_hours": "-3"}}, "extra 'upload_retention_hours'"),
    ],
)
def test_an_unusable_field_is_named_with_its_connection(
    fields: dict[str, Any], place: str, connect: Connect
) -> None:
    connect("kie_prod", **fields)
    with pytest.raises(KieConfigError) as caught:
        KieHook("kie_prod").get_conn()
    assert str(caught.value).startswith(f"Connection 'kie_prod', {place}: ")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("time_out", "did you mean 'timeout'?"),
        ("Timeout", "did you mean 'timeout'?"),
        ("retries", "did you mean 'max_retries'?"),
        ("upload_url", "did you mean 'upload_base_url'?"),
        ("chat-path", "did you mean 'chat_path'?"),
        (
            "x",
            "known are chat_path, max_retries, timeout, upload_base_url, upload_retention_hours, "
            "uploaded_files_host",
        ),
    ],
)
def test_an_extra_that_nothing_reads_is_told_of_once_with_the_nearest_name(
    name: str, advice: str, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    conn_id = connect(f"kie_{name.lower()}", extra={name: "s3cret", "timeout": 5})
    for _ in range(3):
        assert settings(conn_id).timeout == 5
    (record,) = [record for record in caplog.records if record.name.endswith("hooks.settings")]
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith(f"Connection {conn_id!r}, extra {name!r}: ")
    assert record.getMessage().endswith(advice)
    assert "s3cret" not in caplog.text


def test_extras_that_are_known_are_not_told_of(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    connect(extra={"upload_base_url": "https://up.example", "timeout": 5, "max_retries": 1})
    settings()
    assert [record for record in caplog.records if record.name.endswith("hooks.settings")] == []


@pytest.mark.parametrize("extra", ["{timeout: 5", "[1, 2]", '"text"'])
def test_an_extra_that_is_no_json_object_is_an_error(extra: str) -> None:
    from airflow.sdk import Connection

    connection = Connection(conn_id="kie_prod", conn_type="kie", password="a-key")
    connection.extra = extra
    with pytest.raises(KieConfigError, match="Connection 'kie_prod', extra: must be a JSON object"):
        settings_of(connection)


def test_a_missing_connection_says_how_to_make_one() -> None:
    with pytest.raises(KieConfigError, match=r"'kie_prod' does not exist.*AIRFLOW_CONN_KIE_PROD="):
        KieHook("kie_prod").get_conn()


class Vault:
    """A lookup that fails in a way of its own."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def get(self, *_: Any) -> Any:
        raise self.error

    async def aget(self, *_: Any) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError("Access denied for 'kie_b'"), "(PermissionError: Access denied for 'kie_b')"),
        (EOFError("Request socket closed"), "(EOFError: Request socket closed)"),
        (OSError("cannot reach https://vault/?token=s3cret"), "(OSError: cannot reach https://...)"),
        (RuntimeError("a\nb" * 900), "(RuntimeError: a ba b"),
    ],
)
async def test_a_lookup_that_fails_otherwise_tells_why(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = Vault(error)
    monkeypatch.setattr(KieHook, "get_connection", vault.get)
    monkeypatch.setattr("airflow_provider_kie.hooks._base.aget_connection", vault.aget)
    hook = KieHook("kie_b")
    with pytest.raises(KieConnectionNotFoundError) as caught:
        hook.get_conn()
    with pytest.raises(KieConnectionNotFoundError) as caught_on_a_loop:
        await hook.aget_conn()
    for found in (caught.value, caught_on_a_loop.value):
        assert f"'kie_b' does not exist, or Airflow could not look it up just now {reason}" in str(found)
        assert found.__cause__ is error
        assert found.transient
    assert len(str(caught.value)) < 700
    assert "s3cret" not in str(caught.value)
    assert hook.test_connection() == (False, str(caught.value))


async def test_a_missing_connection_says_so_on_an_event_loop_too() -> None:
    with pytest.raises(KieConfigError, match="'kie_prod' does not exist"):
        await KieHook("kie_prod").aget_conn()
