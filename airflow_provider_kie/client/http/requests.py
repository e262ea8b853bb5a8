"""How httpx is used: the options of its clients, the request for a call, and how long it may take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urlsplit

import httpx

from airflow_provider_kie import __version__
from airflow_provider_kie.client.call import Call
from airflow_provider_kie.client.http.deadlines import Deadline
from airflow_provider_kie.client.http.multipart import MultipartForm
from airflow_provider_kie.client.settings import KieSettings
from airflow_provider_kie.client.urls import is_loopback

USER_AGENT = f"airflow-provider-kie/{__version__}"
# Bytes per second; the timeout is extended by the time that a request's body takes at this speed.
SLOW_LINE = 50_000
# Seconds beyond the timeout, so that silence and an unreachable host are still reported as such.
GRACE = 1.0


class _NoCookies(CookieJar):
    """Keeps none: a cookie from one answer would go to every host of its domain."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Look for none, which would take its time for each answer."""


def client_options(settings: KieSettings, connections: int) -> dict[str, Any]:
    """
    Return the options that every httpx client is made with.

    :param settings: Which hosts, how patient.
    :param connections: How many connections are kept open.
    :return: Keyword arguments.
    """
    return {
        "limits": httpx.Limits(max_connections=None, max_keepalive_connections=connections),
        "headers": {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
        "timeout": settings.timeout,
        # A redirected call would carry the key to a host nobody configured.
        "follow_redirects": False,
        "cookies": _NoCookies(),
    }


@contextmanager
def request_for(
    call: Call[Any], settings: KieSettings, http: httpx.Client | httpx.AsyncClient
) -> Iterator[httpx.Request]:
    """
    Build the request for a call; the key is added here, where only configured hosts are addressed.

    :param call: What to send.
    :param settings: Which hosts and which key.
    :param http: The client that will send it.
    :return: A context manager that yields the request, with its file open.
    """
    base_url = settings.base_url if call.host == "api" else settings.upload_base_url
    headers = {"Authorization": f"Bearer {settings.api_key}"}
    body: dict[str, Any] = {} if call.json is None else {"json": call.json}
    with ExitStack() as stack:
        if call.file is not None:
            form = MultipartForm.around(call.file, call.fields or {})
            headers |= form.headers
            body = {"content": form.pieces(stack.enter_context(call.file.open()))}
        yield http.build_request(
            call.method,
            base_url.rstrip("/") + call.path,
            params=call.params,
            headers=headers,
            # An answer that takes its time begins late, too.
            timeout=httpx.Timeout(settings.timeout, read=call.seconds or settings.timeout),
            **body,
        )


def deadline_for(call: Call[Any], settings: KieSettings, request: httpx.Request) -> Deadline:
    """
    Return the deadline for a whole call.

    :param call: What is sent.
    :param settings: How patient.
    :param request: The request for it.
    :return: The call's or the settings' timeout, plus a second, plus what its body takes on a slow line. A
        file takes as long as it takes: with one, the clock starts once it has been sent.
    """
    if call.file is not None:
        return deadline_for_head(settings)
    size = int(request.headers.get("content-length", 0))
    return Deadline((call.seconds or settings.timeout) + GRACE + size / SLOW_LINE)


def deadline_for_head(settings: KieSettings) -> Deadline:
    """
    Return the deadline for what comes before or after the bytes of a file.

    :param settings: How patient.
    :return: The timeout plus a second, once the request has been sent.
    """
    return Deadline(settings.timeout + GRACE, after_sending=True)


def direct_mounts(settings: KieSettings) -> dict[str, None]:
    """
    Return the mounts of what goes past any proxy: a proxy has no business with loopback, where the key
    travels in clear.

    :param settings: Which hosts.
    :return: httpx's ``mounts``.
    """
    hosts = {urlsplit(url).hostname or "" for url in (settings.base_url, settings.upload_base_url)}
    hosts |= {"localhost", "127.0.0.1", "::1"}
    local = {host for host in hosts if is_loopback(host)}
    return {f"all://[{host}]" if ":" in host else f"all://{host}": None for host in local}
