"""Plain, mapped and failed tasks: their logs, XComs, rendered templates and links."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from airflow_provider_kie.simulator import KieSimulator

from .screen import Screen

pytestmark = pytest.mark.usefixtures("ended")

LINK = "kie.ai logs"


def test_a_log_tells_how_far_a_transfer_is(screen: Screen) -> None:
    screen.open_task("kie_ui", "download")
    screen.shows(re.compile(r"\d+ % of 2.5 MB"), "Downloaded 2500000 bytes")


def test_a_job_has_a_link_that_names_it(screen: Screen, kie: KieSimulator) -> None:
    [job] = [job for job in kie.jobs if job.model == "ui/video"]
    screen.open_task("kie_ui", "generate")
    screen.shows(f"Submitted job {job.job_id} to ui/video", f"Job {job.job_id} has succeeded")
    screen.click("Storage", "XCom")
    expect(screen.row("job_id")).to_contain_text(job.job_id)
    expect(screen.row("credits")).to_contain_text("1")
    screen.click("Details")
    link = screen.page.get_by_role("link", name=LINK)
    expect(link).to_have_attribute("href", re.compile(rf"^https://kie\.ai/logs\b.*{job.job_id}"))
    screen.keeps_secrets()


def test_each_job_of_a_mapped_task_has_its_own_link(screen: Screen, kie: KieSimulator) -> None:
    jobs = {job.input["prompt"]: job.job_id for job in kie.jobs if job.model == "ui/picture"}
    for map_index, prompt in enumerate(("a fox", "a hen")):
        screen.open_task("kie_ui", "generate_each", map_index)
        screen.shows(f"Job {jobs[prompt]} has succeeded")
        screen.click("Rendered Templates")
        screen.shows("ui/picture", prompt)
        screen.click("Details")
        link = screen.page.get_by_role("link", name=LINK)
        expect(link).to_have_attribute("href", re.compile(rf"^https://kie\.ai/logs\b.*{jobs[prompt]}"))
        screen.keeps_secrets()


def test_mapped_uploads_go_by_their_names_and_tell_where_the_file_is(screen: Screen) -> None:
    screen.open("dags/kie_ui/runs/run/tasks/upload/mapped")
    screen.click("hen.png")
    screen.shows(re.compile("Uploaded .*/hen.png"))
    screen.click("Rendered Templates")
    screen.shows("upload_path", "kie_default")
    screen.click("Storage", "XCom")
    screen.shows_value("source", "file_path")
    screen.click("Details")
    expect(screen.row("Operator")).to_contain_text("KieUploadOperator")
    expect(screen.page.get_by_role("link", name=LINK)).to_have_count(0)
    screen.keeps_secrets()


def test_a_failed_task_says_why_where_one_looks_first(screen: Screen) -> None:
    screen.open_task("kie_ui", "refused")
    sentence = screen.page.get_by_text("Check the API key").last
    expect(sentence).to_be_in_viewport()
    # Folded: the frames have the paths of this machine.
    sentence.click(position={"x": 20, "y": 5})
    screen.picture("failed-task-log")
    screen.click("Details")
    expect(screen.row("Operator")).to_contain_text("KieGenerateOperator")
    expect(screen.page.get_by_role("link", name=LINK)).to_have_count(0)
    screen.keeps_secrets()
