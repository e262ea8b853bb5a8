"""A throw-away Airflow for the whole session, set up before anything imports Airflow."""

from __future__ import annotations

import asyncio
import atexit
import ipaddress
import json
import os
import signal
import ssl
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .faults.ledger import LEDGER, Ledger

if TYPE_CHECKING:
    from airflow_provider_kie.simulator import KieSimulator

# One for each worker of pytest-xdist, too.
_home = tempfile.TemporaryDirectory(prefix="kie-tests-")
atexit.register(_home.cleanup)
for _name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[_name]
os.environ |= {
    "AIRFLOW_HOME": _home.name,
    "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent.parent / "example_dags"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_home.name}/airflow.db",
}
# The proxies of whoever runs this have no business with loopback.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "localhost,127.0.0.1"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEDGER] = Ledger()
    # Where none was ever set, pytest-asyncio 1.2 has asyncio make one, and nobody closes it.
    asyncio.set_event_loop(None)


def pytest_sessionfinish(session: pytest.Session) -> None:
    # Side by side, each worker of pytest-xdist has a ledger of its own.
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["ledger"] = json.dumps(vars(session.config.stash[LEDGER]))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    if "ledger" in getattr(node, "workeroutput", {}):
        node.config.stash[LEDGER].add(**json.loads(node.workeroutput["ledger"]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[LEDGER].lost:
        terminalreporter.section("faults")
        for line in config.stash[LEDGER].report():
            terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def _no_waiting_between_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    from tenacity import wait_none

    from airflow_provider_kie.client import retries

    monkeypatch.setattr(retries, "_backoff", wait_none())
    monkeypatch.setattr(retries, "_creation_backoff", wait_none())
    monkeypatch.setattr(retries, "_maintenance_backoff", wait_none())


@pytest.fixture(autouse=True)
def _short_intervals_in_the_triggerer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_kie.triggers._polling.SHORTEST_INTERVAL", 0.01)
    monkeypatch.setattr("airflow_provider_kie.decisions.jobs.SHORTEST_INTERVAL", 0.01)


@pytest.fixture(autouse=True)
def _airflows_signal_handler_ends_with_its_task() -> Iterator[None]:
    """Its task runner leaves its own behind, by which a child process ignores that it is to end."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if signal.getsignal(signal.SIGTERM) is not before:
        signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def _simulator() -> Iterator[KieSimulator]:
    from airflow_provider_kie.simulator import KieSimulator

    with KieSimulator() as kie:
        yield kie


@pytest.fixture
def kie(_simulator: KieSimulator) -> KieSimulator:
    """Give the session's simulator, as good as new: stopping one takes longer than most tests."""
    _simulator.reset()
    _simulator.expire_uploads()
    _simulator.credits = 100
    _simulator.link_ttl = 1200
    _simulator.upload_shape = "recorded"
    return _simulator


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of this machine and of kie.example, and its key, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.DNSName("kie.example")]
    names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture(scope="session")
def server_tls(certificate: Path) -> ssl.SSLContext:
    """What a host serves https with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusted_tls(
    server_tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> ssl.SSLContext:
    """What a host serves https with that clients trust."""
    from airflow_provider_kie.client.http import session

    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(session, "ssl_context", lambda: trusting)
    return server_tls


@pytest.fixture(params=["http", "https"])
def tls(request: pytest.FixtureRequest) -> ssl.SSLContext | None:
    """What a host serves https with that clients trust; None for http."""
    context: ssl.SSLContext | None = None
    if request.param == "https":
        context = request.getfixturevalue("trusted_tls")
    return context


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    """An S3 on this machine, for the tests of one module."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
