"""From httpx's errors to ours: what broke on the way, and what to do about it."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from airflow_provider_kie.client.errors import KieConnectionError, KieTransferError, quote


@contextmanager
def connection_errors(name: str) -> Iterator[None]:
    """
    Turn httpx's errors into ours; their messages name no URL.

    :param name: Name of the work, for the messages.
    :raises KieConnectionError: No answer came, or only part of one.
    :raises KieTransferError: The target is not an http(s) URL.
    """
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError):
        raise KieTransferError(f"{name}: sent to something that is no http(s) URL", transient=False) from None
    except httpx.ProxyError as error:
        raise proxy_refusal(name, str(error)) from error
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        if distrust := _distrust(error):
            raise KieConnectionError(f"{name}: {distrust}", never_sent=True, transient=False) from error
        raise KieConnectionError(f"{name}: cannot connect: {_reason(error)}", never_sent=True) from error
    except httpx.TimeoutException as error:
        raise KieConnectionError(f"{name}: no byte came or went in time: {_reason(error)}") from error
    except (httpx.RequestError, httpx.StreamError) as error:
        # httpx quotes a redirect that it cannot parse, and its target may be a signed link.
        if "location header" in str(error):
            said = f"{type(error).__name__} a redirect that cannot be read"
            raise KieConnectionError(f"{name}: the connection broke: {said}") from None
        raise KieConnectionError(f"{name}: the connection broke: {_reason(error)}") from error


def proxy_refusal(name: str, said: str) -> KieConnectionError:
    """
    Build the error for a request that a proxy did not let through.

    :param name: What was refused.
    :param said: The proxy's answer, which begins with its status if it is an http proxy.
    :return: The error; transient for 408, 429, a 5xx or no status at all.
    """
    status = int(said[:3]) if re.match(r"\d{3}\b", said) else None
    password = " It wants a user and password, which go into that URL." if status == 407 else ""
    return KieConnectionError(
        f"{name}: the proxy refused, not kie.ai: {quote(said)}. It is the proxy whose URL is in HTTPS_PROXY, "
        f"HTTP_PROXY or ALL_PROXY.{password}",
        never_sent=True,
        transient=status is None or status >= 500 or status in (408, 429),
    )


def _distrust(error: BaseException) -> str | None:
    """Return what to do about a certificate that does not verify, if that is the reason."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    return (
        "the certificate of the host, or of a proxy, is not trusted: "
        f"{quote(cause.verify_message).rstrip('.')}. If a CA of your own has signed it, name a file of "
        "certificates in SSL_CERT_FILE, which then replaces the built-in list."
    )


def _reason(error: Exception) -> str:
    # It may repeat what a host has sent.
    return f"{type(error).__name__} {quote(str(error))}".strip()
