"""Certificates and proxies from environment variables: read by httpx, checked here."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import getproxies

import httpx

from airflow_provider_kie.client.errors import KieConfigError
from airflow_provider_kie.client.urls import is_http_url

# The names under which OpenSSL looks for certificates in a folder.
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")


@functools.cache
def ssl_context() -> ssl.SSLContext:
    """
    Return the TLS context that all clients of the process share: one costs 14 ms or more, and 0.7 MB.

    :return: A context that checks certificates against ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` if one is set,
        else against a built-in list.
    :raises KieConfigError: One of these variables, or ``SSLKEYLOGFILE``, names something unusable.
    """
    if not os.environ.get("SSL_CERT_FILE"):
        _check_folders(os.environ.get("SSL_CERT_DIR", ""))
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        key_log = os.environ.get("SSLKEYLOGFILE")
        if key_log and error.filename == key_log:
            raise KieConfigError(
                f"SSLKEYLOGFILE names {key_log!r}, which cannot be written ({_kind(error)}): unset it"
            ) from error
        if not os.environ.get("SSL_CERT_FILE"):
            raise KieConfigError(f"the built-in certificates cannot be read ({_kind(error)})") from error
        raise KieConfigError(
            f"SSL_CERT_FILE names {os.environ.get('SSL_CERT_FILE', '')!r}, from which no certificates can be "
            f"read ({_kind(error)}): name a file of certificates in PEM, or unset it for the built-in ones"
        ) from error


def _check_folders(folders: str) -> None:
    # OpenSSL accepts a folder that is missing or has no certificates, and trusts nobody from then on.
    if folders and not any(_has_certificates(Path(folder)) for folder in folders.split(os.pathsep)):
        raise KieConfigError(
            f"SSL_CERT_DIR names {folders!r}, where there are no certificates under the names that "
            "`openssl rehash` gives: run that command, or unset the variable for the built-in ones"
        )


def _has_certificates(folder: Path) -> bool:
    try:
        return any(_is_readable(path) for path in folder.iterdir() if _HASHED.fullmatch(path.name))
    except OSError:
        return False


def _is_readable(certificates: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificates)
    except OSError:
        return False
    return True


@contextmanager
def proxy_errors() -> Iterator[None]:
    """
    Name the variable if httpx cannot use the environment's proxy settings when it makes a client.

    :raises KieConfigError: A proxy variable is unusable. Its value is not shown: it may hold a password.
    """
    _check_proxies()
    try:
        yield
    except (httpx.InvalidURL, ValueError):
        raise KieConfigError(
            f"{_variable('no')} has an entry that cannot be read: IPv6 addresses stand there without "
            "brackets, port and network length"
        ) from None


def _check_proxies() -> None:
    proxies = getproxies()
    if "*" in (host.strip() for host in proxies.get("no", "").split(",")):
        return
    for scheme in ("http", "https", "all"):
        if value := proxies.get(scheme):
            _check_proxy(_variable(scheme), value if "://" in value else f"http://{value}")


def _check_proxy(name: str, value: str) -> None:
    try:
        url = httpx.Proxy(value).url
    except (httpx.InvalidURL, ValueError):
        url = httpx.URL()
    if url.scheme.startswith("socks") and not importlib.util.find_spec("socksio"):
        raise KieConfigError(
            f"{name} names a SOCKS proxy, which needs an extra package: pip install 'httpx[socks]'"
        )
    # Some URLs that httpx accepts fail only at the first request, each in its own way.
    if not is_http_url(str(url.copy_with(scheme="http", userinfo=b""))):
        raise KieConfigError(
            f"{name} is no proxy's URL, such as http://proxy.example:3128; a user and password in it are "
            "percent-encoded"
        )


def _variable(scheme: str) -> str:
    # If both are set, the lower-case one counts.
    small = f"{scheme}_proxy"
    return small if small in os.environ else small.upper()


def _kind(error: OSError) -> str:
    return error.strerror or type(error).__name__
