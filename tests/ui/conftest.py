"""A browser, and what it looks at: a real Airflow beside a simulated kie.ai, and the documentation."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

from airflow_provider_kie.simulator import KieSimulator
from scripts.running import end_on_signals, every_second, standalone, wait_for_dag

from .screen import PATIENCE_SECONDS, Screen

ROOT = Path(__file__).parents[2]
WRONG_KEY = "this-key-is-not-one-of-kie-ai"
CREDITS, THRESHOLD = 20, 50
# A usual window, in pictures that are 1200 pixels wide.
SIZE: ViewportSize = {"width": 1500, "height": 900}
SCALE = 0.8


@pytest.fixture(scope="session")
def kie() -> Iterator[KieSimulator]:
    """A kie.ai with too few credits for the demo, and a slow host of generated files."""
    with KieSimulator(credits=CREDITS) as simulator:
        simulator.add_model("ui/picture", seconds=1, credits=1)
        simulator.add_model("ui/video", seconds=2, credits=1, files={"generated.mp4": os.urandom(2_500_000)})
        simulator.add_model("demo/video", seconds=2, credits=12, files={"generated.mp4": os.urandom(100_000)})
        # Eight seconds for the one file that is fetched first: its progress is told after five.
        simulator.fail_next("file", chunk_delay=0.05)
        yield simulator


@pytest.fixture(scope="session")
def airflow(kie: KieSimulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The REST API of an Airflow in which both DAGs have begun to run."""
    end_on_signals()
    home = tmp_path_factory.mktemp("ui")
    dags, files = home / "dags", home / "files"
    for folder in (dags, files):
        folder.mkdir()
    for source in (ROOT / "example_dags/kie_demo.py", Path(__file__).parent / "dags/kie_ui.py"):
        shutil.copy(source, dags)
    for name in ("fox.png", "hen.png"):
        (files / name).write_bytes(os.urandom(1000))
    settings = {
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW_CONN_KIE_WRONG_KEY": kie.connection().replace(kie.api_key, WRONG_KEY),
    }
    params = {"threshold": THRESHOLD, "model": "demo/video", "work_dir": str(files)}
    with standalone(home, kie.connection(), dags=dags, settings=settings) as api:
        for dag_id, conf in (("kie_ui", {"work_dir": str(files)}), ("kie_demo", params)):
            wait_for_dag(api, dag_id)
            body = {"dag_run_id": "run", "conf": conf, "logical_date": None}
            api.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body).raise_for_status()
        yield api


@pytest.fixture(scope="session")
def connections(airflow: httpx.Client, kie: KieSimulator) -> None:
    """Connections in Airflow's database, beside those of its environment, which its pages do not list."""
    for name, key in (("kie_right", kie.api_key), ("kie_wrong", WRONG_KEY)):
        connection = {
            "connection_id": name,
            "conn_type": "kie",
            "host": kie.api_url,
            "password": key,
            "port": 0,
        }
        airflow.post("/api/v2/connections", json=connection).raise_for_status()


@pytest.fixture(scope="session")
def ended(airflow: httpx.Client) -> None:
    """Wait until the run of this folder's own DAG is over."""
    wait_for_end(airflow, "kie_ui")


@pytest.fixture(scope="session")
def demo_ended(airflow: httpx.Client, kie: KieSimulator, ended: None) -> None:
    """Top the account up, and wait until the run of the demo is over; the other DAG fetches the slow file."""
    kie.credits = 2 * THRESHOLD
    wait_for_end(airflow, "kie_demo")


def wait_for_end(airflow: httpx.Client, dag_id: str) -> None:
    """Wait until the run of a DAG is over."""
    for _ in every_second(120):
        if airflow.get(f"/api/v2/dags/{dag_id}/dagRuns/run").json()["state"] in ("success", "failed"):
            return
    pytest.fail(f"The DAG {dag_id} did not end in time.")


@pytest.fixture(scope="session")
def documentation() -> Iterator[str]:
    """The address of the documentation, as ``make docs`` has built it."""
    pages = ROOT / "docs/_build/html"
    assert (pages / "index.html").exists(), "There is no documentation: run make docs."
    handler = partial(_Quiet, directory=str(pages))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; Playwright's own would have to be downloaded."""
    chromium = shutil.which("chromium")
    assert chromium, "There is no Chromium: apt-get install chromium."
    with sync_playwright() as playwright:
        # Chromium's sandbox does not run as root.
        yield playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])


@pytest.fixture(scope="session")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser's window, whose tabs share one cache, and that reaches this machine alone."""
    expect.set_options(timeout=1000 * PATIENCE_SECONDS)
    with browser.new_context(
        viewport=SIZE, device_scale_factor=SCALE, locale="en-US", timezone_id="UTC"
    ) as context:
        context.set_default_timeout(1000 * PATIENCE_SECONDS)
        # Airflow remembers which view of a DAG was the last.
        context.add_init_script("localStorage.clear()")
        context.route(lambda url: not url.startswith("http://127.0.0.1:"), lambda route: route.abort())
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab of the browser."""
    with context.new_page() as page:
        yield page


@pytest.fixture
def screen(page: Page, airflow: httpx.Client, kie: KieSimulator) -> Iterator[Screen]:
    """Airflow as a person sees it, who is led to no host by us before clicking on a link."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).hostname or ""))
    yield Screen(page, str(airflow.base_url), kie, (kie.api_key, WRONG_KEY))
    assert not [host for host in asked if "kie" in host or "redpanda" in host]
