"""What the pages quote of our messages is what comes, each provoked as a reader would."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest
from airflow.sdk.api.client import Client

from airflow_provider_kie.client.errors import KieConfigError, KieValidationError
from airflow_provider_kie.client.http.environment import ssl_context
from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.simulator import KieSimulator

from .pages import literals, table, text_of

# What a reader's connection or environment has, for each row of the connection page's table.
WRONG: dict[str, dict[str, Any]] = {
    "no such connection": {},
    "no key": {"password": ""},
    "white space inside the key": {"password": "a key"},
    "plain http": {"host": "http://api.kie.ai"},
    "``extra`` is no JSON object": {"extra": "[]"},
}


def connection_with(wrong: str) -> str | None:
    """Make the connection that a row of the table speaks of."""
    if wrong == "no such connection":
        return None
    fields = {"conn_type": "kie", "password": "a-key", **WRONG.get(wrong, {})}
    if wrong.startswith('``"'):
        fields["extra"] = json.loads("{" + wrong.strip("`") + "}")
    return json.dumps(fields)


def said_of(wrong: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Provoke what a row of the table speaks of; give the message."""
    if (connection := connection_with(wrong)) is None:
        monkeypatch.delenv("AIRFLOW_CONN_KIE_DEFAULT", raising=False)
    else:
        monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", connection)
    if variable := re.fullmatch(r"``([A-Z_]+)=(.+)``", wrong):
        monkeypatch.setenv(variable[1], variable[2])
    ssl_context.cache_clear()
    try:
        with pytest.raises(KieConfigError) as caught:
            KieHook().get_credits()
    finally:
        ssl_context.cache_clear()
    return str(caught.value)


@pytest.mark.parametrize(("wrong", "quoted"), table("connection.rst", "Wrong"), ids=lambda cell: cell[:20])
def test_an_unusable_connection_is_told_in_the_words_of_its_page(
    wrong: str, quoted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = said_of(wrong, monkeypatch)
    assert any(fits(said, message) for message in literals(quoted))


def test_a_socks_proxy_is_told_by_airflows_own_client_as_the_page_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    [quoted] = [row[1] for row in table("connection.rst", "Wrong") if "socks5" in row[0]]
    with pytest.raises(ImportError) as caught:
        Client(base_url="http://127.0.0.1", token="")
    assert fits(str(caught.value), literals(quoted)[0])


def fits(said: str, quoted: str) -> bool:
    """Tell whether a message is the quoted one, in which ... stands for anything."""
    return fnmatchcase(said, re.sub(r"([\[?*])", r"[\1]", quoted).replace("...", "*"))


@pytest.mark.parametrize("data", [{}, {"data": None}], ids=["no data", "data is null"])
def test_a_client_without_a_look_at_the_code_fails_in_the_words_of_the_page(data: dict[str, Any]) -> None:
    answer = {"code": 401, "msg": "Unauthorized", **data}
    with pytest.raises((KeyError, TypeError)) as caught:
        answer["data"]["taskId"]
    name = "KeyError: " if isinstance(caught.value, KeyError) else ""
    assert f"{name}{caught.value}" in literals(text_of("coming-from.rst"))


def test_the_log_of_a_task_that_pays_names_the_job_as_the_page_for_the_night_says(
    kie_simulator: KieSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    job_id = KieHook().submit_job({"prompt": "a fox"}, model="demo/edit")
    assert "Submitted job" in literals(text_of("at-night.rst"))
    assert any(message.startswith(f"Submitted job {job_id} ") for message in caplog.messages)


def test_a_link_that_kie_ai_does_not_sign_is_refused_in_the_words_of_the_page_for_the_night(
    kie_simulator: KieSimulator,
) -> None:
    with pytest.raises(KieValidationError, match="url is wrong"):
        KieHook().get_download_url("https://files.example/film.mp4")
    [row] = [row for row in table("at-night.rst", "The log says") if "KieValidationError" in row[0]]
    assert "url is wrong" in literals(row[1])
