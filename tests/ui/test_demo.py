"""The example DAG of ``make demo``: what it looks like while it waits, and when it is done."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from airflow_provider_kie.simulator import KieSimulator

from .conftest import SIZE, THRESHOLD
from .screen import Screen


# The slow file has to be fetched by the other DAG.
@pytest.mark.usefixtures("ended")
def test_the_log_of_the_sensor_goes_on_when_the_account_is_topped_up(
    screen: Screen, kie: KieSimulator
) -> None:
    screen.open_task("kie_demo", "wait_for_credits")
    screen.shows("Deferred", re.compile(rf"The balance of \d+ credits is not yet at least {THRESHOLD}"))
    screen.picture("demo-log")
    kie.credits = 2 * THRESHOLD
    screen.shows("Success", re.compile(rf"The balance\b.*\b{2 * THRESHOLD} credits"))
    screen.click("Rendered Templates")
    screen.shows("threshold", str(THRESHOLD), "at_least")


@pytest.mark.usefixtures("demo_ended")
def test_the_graph_shows_every_task_and_how_it_ended(screen: Screen) -> None:
    screen.open("dags/kie_demo/runs/run")
    screen.shows("Success")
    screen.page.get_by_role("button", name="Show Graph").click()
    graph = screen.page.get_by_role("application")
    for task, kind in {
        "wait_for_credits": "KieCreditsSensor",
        "enough_credits": "KieCreditsBranchOperator",
        "upload_stream": "KieUploadOperator",
        "generate": "KieGenerateOperator",
        "download [4]": "KieDownloadOperator",
    }.items():
        expect(graph.get_by_role("link", name=task, exact=True)).to_be_visible()
        expect(graph.get_by_text(kind).first).to_be_visible()
    expect(graph.get_by_text("success")).to_have_count(11)
    expect(graph.get_by_text("skipped")).to_have_count(1)
    screen.keeps_secrets()
    screen.page.get_by_role("button", name="Collapse Details Panel").click()
    screen.page.set_viewport_size({"width": SIZE["width"], "height": 640})
    screen.page.get_by_role("button", name="Fit View").click()
    screen.picture("demo-graph", graph)


@pytest.mark.usefixtures("demo_ended")
def test_an_xcom_tells_what_became_of_a_file(screen: Screen) -> None:
    screen.open_task("kie_demo", "upload_stream")
    screen.click("Storage", "XCom")
    expect(screen.row("file_size")).to_contain_text("20000000")
    expect(screen.row("download_url")).to_contain_text("large.mp4")
    screen.picture("demo-xcom", height=900)
    screen.keeps_secrets()


@pytest.mark.usefixtures("demo_ended")
def test_the_mapped_downloads_tell_what_they_fetched(screen: Screen) -> None:
    screen.open("dags/kie_demo/runs/run/tasks/download/mapped")
    screen.click("generated.mp4")
    screen.shows("Downloaded 100000 bytes")
    screen.click("Storage", "XCom")
    screen.shows_value("sha256", "100000")
