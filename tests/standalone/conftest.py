"""A real Airflow, a receiver with its own certificate, and a simulated kie.ai that signs its callbacks."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from airflow_provider_kie.simulator import KieSimulator, callbacks
from scripts.running import end_on_signals, environment, every_second, free_ports, started, wait_for_dag

ROOT = Path(__file__).parents[2]
WEBHOOK_KEY = "the webhook key of these tests"
# The receiver's role may make events, and no more than an operator's.
PASSWORDS = {"admin": "of-these-tests", "receiver": "of-the-receiver"}


class Receiver:
    """
    The documentation's receiver, which can be started and killed.

    :param variables: Its environment.
    :param certificate: Certificate and key, in one file.
    :param log: File that gets its output.
    """

    def __init__(self, variables: dict[str, str], certificate: Path, log: Path) -> None:
        (port,) = free_ports(1)
        self.url = f"https://127.0.0.1:{port}"
        self.log = log
        where = ["--app-dir", str(ROOT / "docs/examples"), "--host", "127.0.0.1", "--port", str(port)]
        tls = ["--ssl-certfile", str(certificate), "--ssl-keyfile", str(certificate)]
        self._command = [sys.executable, "-m", "uvicorn", "callback_receiver:app", *where, *tls]
        self._variables = variables
        self._stack = ExitStack()

    def start(self) -> None:
        """Start it; it answers when this returns."""
        process = self._stack.enter_context(started(self._command, self._variables, self.log))
        for _ in every_second(20):
            with suppress(httpx.TransportError):
                httpx.get(self.url, verify=False, trust_env=False)
                return
            assert process.poll() is None, self.log.read_text()
        pytest.fail(self.log.read_text())

    def stop(self) -> None:
        """End it, if it runs."""
        self._stack.close()


@pytest.fixture(scope="module")
def kie() -> Iterator[KieSimulator]:
    """A kie.ai that signs its callbacks, and tries again after four seconds."""
    with KieSimulator() as simulator, pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks, "PAUSE_SECONDS", 4.0)
        simulator.webhook_key = WEBHOOK_KEY
        yield simulator


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for all that is written."""
    return tmp_path_factory.mktemp("standalone")


@pytest.fixture(scope="module")
def outbox(home: Path) -> Path:
    """Where the example's results go."""
    return home / "results"


@pytest.fixture(scope="module")
def airflow(kie: KieSimulator, home: Path, outbox: Path) -> Iterator[httpx.Client]:
    """The REST API of an Airflow with the example and a DAG that submits; its users have to log in."""
    end_on_signals()
    dags = home / "dags"
    dags.mkdir()
    example = (ROOT / "example_dags/kie_callback_results.py").read_text()
    assert example.count('"/tmp/kie/results"') == 1
    (dags / "results.py").write_text(example.replace("/tmp/kie/results", str(outbox)))
    (dags / "submit.py").write_text((Path(__file__).parent / "dags/kie_submit.py").read_text())
    (home / "passwords.json").write_text(json.dumps(PASSWORDS))
    settings = {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,receiver:op",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
    }
    variables = environment(home, kie.connection(), dags=dags, settings=settings)
    with standalone(variables, home / "airflow.log") as api:
        for dag_id in ("kie_callback_results", "kie_submit"):
            wait_for_dag(api, dag_id)
        yield api


@contextmanager
def standalone(variables: dict[str, str], log: Path) -> Iterator[httpx.Client]:
    """Run ``airflow standalone``; give a client that is logged in."""
    with (
        started([sys.executable, "-m", "airflow", "standalone"], variables, log) as process,
        httpx.Client(base_url=variables["AIRFLOW__API__BASE_URL"], timeout=30, trust_env=False) as api,
    ):
        login = {"username": "admin", "password": PASSWORDS["admin"]}
        for _ in every_second(90):
            with suppress(httpx.HTTPError):
                token = api.post("/auth/token", json=login).raise_for_status().json()["access_token"]
                api.headers["Authorization"] = f"Bearer {token}"
                break
            assert process.poll() is None, log.read_text()[-3000:]
        yield api


@pytest.fixture(scope="module")
def receiver(airflow: httpx.Client, kie: KieSimulator, certificate: Path, home: Path) -> Iterator[Receiver]:
    """A receiver that runs."""
    variables = dict(os.environ) | {
        "KIE_API_KEY": kie.api_key,
        "KIE_API_URL": kie.api_url,
        "KIE_WEBHOOK_KEY": WEBHOOK_KEY,
        "AIRFLOW_URL": str(airflow.base_url),
        "AIRFLOW_USER": "receiver",
        "AIRFLOW_PASSWORD": PASSWORDS["receiver"],
    }
    receiver = Receiver(variables, certificate, home / "receiver.log")
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()
