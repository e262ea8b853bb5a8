"""The connection's form, and the button that tests a connection."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from airflow import __version__ as airflow_version
from playwright.sync_api import Locator, expect

from airflow_provider_kie.get_provider_info import get_provider_info
from airflow_provider_kie.simulator import KieSimulator

from .screen import Screen

FIELDS = get_provider_info()["connection-types"][0]["conn-fields"]
# These compare the port that their own page sends, 0, with the stored connection's, which has none.
REFUSING = ("3.3.1", "3.3.2")


def text_field(form: Locator, label: str) -> Locator:
    """Find one of our text fields by the label beside it, which Airflow does not connect with it."""
    return form.get_by_role("group").filter(has_text=label).get_by_role("textbox")


@pytest.fixture
def form(screen: Screen) -> Locator:
    """The form for a new connection, of our type."""
    screen.open("connections")
    screen.page.get_by_role("button", name="Add Connection").click()
    form = screen.page.get_by_role("dialog")
    form.get_by_label("Connection ID").fill("kie_form")
    form.get_by_role("combobox", name="Connection Type").fill("kie")
    screen.page.get_by_role("option", name="kie.ai", exact=True).click()
    return form


@pytest.fixture
def saved(form: Locator, screen: Screen, airflow: httpx.Client, kie: KieSimulator) -> Iterator[Locator]:
    """The row of a connection that was saved with the form."""
    form.get_by_label("API base URL").fill(kie.api_url)
    form.get_by_label("API key", exact=True).fill(kie.api_key)
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    text_field(form, "Upload base URL").fill(kie.upload_url)
    form.get_by_role("spinbutton", name="Retries").fill("2")
    form.get_by_role("button", name="Save").click()
    yield screen.row("kie_form")
    airflow.delete("/api/v2/connections/kie_form").raise_for_status()


def test_the_form_says_what_goes_where(form: Locator, screen: Screen) -> None:
    for hidden in ("Login", "Schema", "Port"):
        expect(form.get_by_text(hidden, exact=True)).to_have_count(0)
    host, key = form.get_by_label("API base URL"), form.get_by_label("API key", exact=True)
    expect(host).to_have_attribute("placeholder", "https://api.kie.ai")
    expect(key).to_have_attribute("placeholder", "made at kie.ai/api-key")
    screen.picture("connection-form", form, height=900)
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    for extra in FIELDS.values():
        expect(form.get_by_text(extra["label"], exact=True)).to_be_visible()
        expect(form.get_by_text(extra["description"], exact=True)).to_be_visible()


def test_the_form_gives_back_what_it_was_given(saved: Locator, screen: Screen, kie: KieSimulator) -> None:
    expect(saved).to_contain_text(kie.api_url)
    saved.get_by_role("button", name="Edit Connection").click()
    form = screen.page.get_by_role("dialog")
    expect(form.get_by_label("API base URL")).to_have_value(kie.api_url)
    expect(form.get_by_label("API key", exact=True)).to_have_value("***")
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    expect(text_field(form, "Upload base URL")).to_have_value(kie.upload_url)
    expect(form.get_by_role("spinbutton", name="Retries")).to_have_value("2")
    screen.keeps_secrets()


@pytest.mark.usefixtures("connections")
def test_the_button_tells_the_balance_and_a_wrong_key(screen: Screen) -> None:
    screen.open("connections")
    screen.row("kie_right").get_by_role("button", name="Test Connection").click()
    screen.shows(re.compile(r"kie\.ai answers: the account has \d+ credits\."))
    # The first button's hint lies over the second.
    screen.page.get_by_role("heading", name="Connections").hover()
    screen.row("kie_wrong").get_by_role("button", name="Test Connection").click()
    screen.shows("Test Connection Failed", "Unauthorized", "Check the API key")


def test_airflow_itself_refuses_what_its_form_has_saved_as_the_documentation_says(
    saved: Locator, screen: Screen
) -> None:
    saved.get_by_role("button", name="Test Connection").click()
    said = "Bad Request" if airflow_version in REFUSING else "kie.ai answers"
    screen.shows(said)
