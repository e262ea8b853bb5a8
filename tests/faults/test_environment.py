"""What the process's environment says of certificates and proxies, and what proxies and certificates say."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kie.client.errors import KieConfigError, KieConnectionError, KieError
from airflow_provider_kie.client.http import environment
from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.sensors.credits import KieCreditsSensor
from airflow_provider_kie.triggers.credits import KieCreditsTrigger
from tests.fake_host import tunnel_to

from .server import FILE, Reply, envelope
from .trial import Trial

GOOD = Reply(body=envelope(5916.25))
PASSWORD = "never-to-be-shown"
Ask = Callable[[KieHook], Any]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("SSL_CERT", "SSLKEYLOG")):
            monkeypatch.delenv(name)
    environment.ssl_context.cache_clear()
    yield
    environment.ssl_context.cache_clear()


@pytest.fixture
def folder(tmp_path: Path, certificate: Path) -> Path:
    """A folder with what variables can name."""
    (tmp_path / "empty.pem").touch()
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")
    (tmp_path / "bare").mkdir()
    (tmp_path / "unhashed").mkdir()
    (tmp_path / "unhashed" / "ca.pem").write_bytes(certificate.read_bytes())
    (tmp_path / "hashed-but-broken").mkdir()
    (tmp_path / "hashed-but-broken" / "01234567.0").write_text("no certificate")
    return tmp_path


async def _next_balance() -> Any:
    arguments = {"kie_conn_id": "kie_default", "poke_interval": 60}
    async with aclosing(KieCreditsTrigger.open_shared_stream(arguments)) as stream:
        result = await anext(stream)
    if isinstance(result, KieError):
        raise result
    return result


def _test_connection(hook: KieHook) -> Any:
    works, message = hook.test_connection()
    if not works:
        raise KieConfigError(message)
    return float(message.split()[-2])


def _poke(hook: KieHook) -> Any:
    # What does not pass ends the waiting the third time.
    sensor = KieCreditsSensor(task_id="wait", threshold=1)
    return next(result for _ in range(3) if (result := sensor.poke({})).is_done)


WAYS: dict[str, Ask] = {
    "plain": lambda hook: hook.get_credits(),
    "async": lambda hook: asyncio.run(hook.aget_credits()),
    "test connection": _test_connection,
    "sensor": _poke,
    "trigger": lambda hook: asyncio.run(_next_balance()),
}

BROKEN = {
    "a missing file of certificates": ("SSL_CERT_FILE", "{folder}/missing.pem"),
    "an empty file of certificates": ("SSL_CERT_FILE", "{folder}/empty.pem"),
    "a broken file of certificates": ("SSL_CERT_FILE", "{folder}/broken.pem"),
    "a folder in place of the file of certificates": ("SSL_CERT_FILE", "{folder}/bare"),
    "a missing folder of certificates": ("SSL_CERT_DIR", "{folder}/missing"),
    "an empty folder of certificates": ("SSL_CERT_DIR", "{folder}/bare"),
    "a file in place of the folder of certificates": ("SSL_CERT_DIR", "{folder}/empty.pem"),
    "a folder of certificates under other names": ("SSL_CERT_DIR", "{folder}/unhashed"),
    "a folder of broken certificates": ("SSL_CERT_DIR", "{folder}/hashed-but-broken"),
    "two folders without certificates": ("SSL_CERT_DIR", "{folder}/missing:{folder}/bare"),
    "a key log that cannot be written": ("SSLKEYLOGFILE", "{folder}/missing/keys"),
    "a SOCKS proxy for https": ("HTTPS_PROXY", "socks5://user:{password}@127.0.0.1:1080"),
    "a SOCKS proxy for all": ("ALL_PROXY", "socks5h://user:{password}@127.0.0.1:1080"),
    "a SOCKS proxy, small": ("https_proxy", "socks5://user:{password}@127.0.0.1:1080"),
    "a proxy of another scheme": ("HTTPS_PROXY", "ftp://user:{password}@127.0.0.1:1080"),
    "a proxy's port that is no number": ("HTTP_PROXY", "http://user:{password}@127.0.0.1:none"),
    "a proxy's port that is too large": ("HTTPS_PROXY", "http://user:{password}@127.0.0.1:99999"),
    "a proxy's password with a slash": ("HTTPS_PROXY", "http://user:a/{password}@127.0.0.1:1080"),
    "a proxy without a host": ("HTTPS_PROXY", "http://"),
    "a proxy with half an address": ("all_proxy", "http://[::1"),
    "IPv6 in brackets for no proxy": ("NO_PROXY", "localhost,[::1]"),
    "an IPv6 network for no proxy": ("no_proxy", "fd00::/8"),
}


@pytest.mark.parametrize("case", BROKEN, ids=[name.replace(" ", "-") for name in BROKEN])
def test_a_variable_that_is_unusable_is_named(
    case: str, trial: Trial, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, value = BROKEN[case]
    trial.secrets.append(PASSWORD)
    monkeypatch.setenv(name, value.format(folder=folder, password=PASSWORD))
    api = trial.host([GOOD] * 9, trusted=True)
    trial.connect(api.url, api.url)
    for way, ask in WAYS.items():
        _, error = trial.play(ask)
        trial.judge_ending(error, KieConfigError)
        if not str(error).startswith(name):
            trial.lose("other ending than promised", f"{way}: {error}")
        path = value.format(folder=folder, password="") if "SSL" in name else ""
        if path not in str(error):
            trial.lose("other ending than promised", f"{way}: the path is not named: {error}")
    trial.judge_requests(api, 0)
    trial.judge_secrets()
    trial.close()


FINE = {
    "certificates of one's own": {"SSL_CERT_FILE": "{certificate}"},
    "a proxy that all are exempt from": {"NO_PROXY": "*", "HTTPS_PROXY": "socks5://127.0.0.1:9"},
    "a proxy for all but loopback": {"ALL_PROXY": "http://127.0.0.1:9"},
    "a proxy without a scheme": {"HTTP_PROXY": "127.0.0.1:9"},
    "networks without a proxy": {"NO_PROXY": "10.0.0.0/8,::1,.example", "HTTPS_PROXY": "http://127.0.0.1:9"},
    "empty variables": {"SSL_CERT_FILE": "", "SSL_CERT_DIR": "", "HTTPS_PROXY": "", "NO_PROXY": ""},
}


@pytest.mark.parametrize("case", FINE, ids=[name.replace(" ", "-") for name in FINE])
def test_a_variable_that_is_usable_does_no_harm(
    case: str, trial: Trial, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in FINE[case].items():
        monkeypatch.setenv(name, value.format(certificate=certificate))
    api = trial.host([GOOD] * len(WAYS), trusted=True)
    trial.connect(api.url, api.url)
    for ask in WAYS.values():
        result, error = trial.play(ask)
        trial.judge_ending(error, None)
        if error is None and result not in (5916.25, True) and not hasattr(result, "xcom_value"):
            trial.lose("wrong byte", f"the balance is {result!r}")
    trial.judge_requests(api, len(WAYS))
    trial.close()


def _refused(trial: Trial, error: Exception | None, *words: str, transient: bool) -> None:
    trial.judge_ending(error, KieConnectionError)
    if isinstance(error, KieConnectionError):
        if error.transient != transient or not error.never_sent:
            trial.lose("other ending than promised", f"{error.transient=}, {error.never_sent=}: {error}")
        for word in words:
            if word not in str(error):
                trial.lose("other ending than promised", f"{word!r} is not in: {error}")


@dataclass(frozen=True)
class Refusal:
    """
    What a proxy says to CONNECT.

    :param status: HTTP status.
    :param transient: Whether asking again may help.
    """

    status: int
    transient: bool


REFUSALS = [
    Refusal(407, False),
    Refusal(403, False),
    Refusal(429, True),
    Refusal(502, True),
]


@pytest.mark.parametrize("in_loop", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize("case", REFUSALS, ids=[str(case.status) for case in REFUSALS])
def test_a_proxys_refusal_is_the_proxys(
    case: Refusal, in_loop: bool, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.secrets.append(PASSWORD)
    api = trial.host(trusted=True)
    proxy = trial.host([Reply(status=case.status, body=b"<html>no</html>")] * 9)
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}")
    trial.connect("https://kie.example", "https://kie.example")
    _, error = trial.play(WAYS["async" if in_loop else "plain"])
    _refused(trial, error, "the proxy refused", str(case.status), "HTTPS_PROXY", transient=case.transient)
    trial.judge_requests(proxy, 3 if case.transient else 1)
    trial.judge_requests(api, 0)
    trial.judge_secrets()
    trial.close()


def test_a_proxy_that_wants_a_password_says_so_to_plain_requests_too(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.secrets.append(PASSWORD)
    api = trial.host(trusted=True)
    proxy = trial.host([Reply(status=407, body=b"<html>no</html>")] * 9)
    monkeypatch.setenv("HTTP_PROXY", f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}")
    trial.connect(api.url, api.url)
    result, error = trial.play(
        lambda hook: hook.download_file("http://files.example/a.bin", trial.target, sign="never")
    )
    _refused(trial, error, "the proxy refused", "407", "user and password", transient=False)
    trial.judge_file(result, FILE)
    trial.judge_requests(proxy, 1)
    trial.judge_secrets()
    trial.close()


@pytest.mark.parametrize("in_loop", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_tunnels_sees_neither_key_nor_answer(
    scheme: str,
    in_loop: bool,
    trial: Trial,
    server_tls: ssl.SSLContext,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = trial.host([GOOD], trusted=True, tls=server_tls)
    proxy = trial.host([tunnel_to(api.port)], tls=server_tls if scheme == "https" else None)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    trial.connect("https://kie.example", "https://kie.example")
    result, error = trial.play(WAYS["async" if in_loop else "plain"])
    trial.judge_ending(error, None)
    if error is None and result != 5916.25:
        trial.lose("wrong byte", f"the balance is {result!r}")
    trial.judge_requests(proxy, 1)
    trial.judge_requests(api, 1)
    trial.judge_secrets()
    trial.close()


@pytest.mark.parametrize("in_loop", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize("through_proxy", [False, True], ids=["directly", "through-a-proxy"])
def test_a_certificate_that_does_not_verify_says_what_to_do(
    through_proxy: bool,
    in_loop: bool,
    trial: Trial,
    server_tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = trial.host([GOOD] * 9, trusted=True, tls=server_tls)
    proxy = trial.host([tunnel_to(api.port)] * 9)
    if through_proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    url = "https://kie.example" if through_proxy else api.url
    trial.connect(url, url)
    _, error = trial.play(WAYS["async" if in_loop else "plain"])
    _refused(trial, error, "not trusted", "self-signed", "SSL_CERT_FILE", transient=False)
    trial.judge_requests(api, 0)
    trial.judge_requests(proxy, int(through_proxy))
    trial.close()


def test_a_certificate_for_another_host_does_not_verify_either(
    trial: Trial, server_tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = trial.host([GOOD], trusted=True, tls=server_tls)
    proxy = trial.host([tunnel_to(api.port)] * 9)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    trial.connect("https://other.example", "https://other.example")
    _, error = trial.play(WAYS["plain"])
    _refused(trial, error, "not trusted", "other.example", transient=False)
    trial.judge_requests(proxy, 1)
    trial.close()


@pytest.mark.parametrize("in_loop", [False, True], ids=["plain", "async"])
def test_other_failures_of_tls_may_pass(in_loop: bool, trial: Trial) -> None:
    api = trial.host([Reply(head=0)] * 9, trusted=True)
    url = api.url.replace("http:", "https:")
    trial.connect(url, url, timeout=0.3)
    _, error = trial.play(WAYS["async" if in_loop else "plain"])
    _refused(trial, error, "cannot connect", transient=True)
    trial.close()


def test_what_test_connection_never_heard_of_is_an_answer_too(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_credits(self: KieHook, **_: Any) -> float:
        raise RuntimeError("nobody knows")

    monkeypatch.setattr(KieHook, "get_credits", get_credits)
    result, error = trial.play(lambda hook: hook.test_connection())
    trial.judge_ending(error, None)
    if result != (False, "RuntimeError: nobody knows"):
        trial.lose("other ending than promised", repr(result))
    trial.close()


def test_a_netrc_is_not_read_and_cookies_are_not_kept(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"default login user password {PASSWORD}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    cookie = {"Set-Cookie": "session=mine; Path=/"}
    api = trial.host([Reply(body=envelope(1.0), headers=cookie)] * 2, trusted=True)
    files = trial.host([Reply(headers=cookie)] * 2)
    trial.connect(api.url, api.url)

    def ask_twice(hook: KieHook) -> None:
        from airflow_provider_kie.client.api import credits

        with hook.get_conn() as client:
            for _ in range(2):
                client.send(credits.get_credits())
                with client.open_file(f"{files.url}/a") as response:
                    list(response.pieces(None))

    _, error = trial.play(ask_twice)
    trial.judge_ending(error, None)
    for request in api.requests + files.requests:
        if "cookie" in request.headers or (request in files.requests and "authorization" in request.headers):
            trial.lose("key at a wrong host", "a cookie or a password of the netrc")
    trial.close()
