"""Reading URLs, and making them safe to show."""

from __future__ import annotations

import ipaddress
import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

NAME_LIMIT = 255  # bytes, on every file system in use
_SHOWN_LIMIT = 200
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:)?//")


def is_http_url(text: str) -> bool:
    """
    Return whether a text is an absolute http or https URL.

    :param text: Anything.
    :return: True if so.
    """
    # urlsplit drops unprintable characters, so it would approve a different URL from the one sent later.
    if not text.isprintable() or text != text.strip():
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and parts.port != 0 and _is_host(parts.hostname or "")
    except ValueError:
        return False


def is_loopback(host: str | None) -> bool:
    """
    Return whether a host is this machine.

    :param host: Host name or address.
    :return: True for ``localhost`` and loopback addresses.
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _is_host(host: str) -> bool:
    # DNS labels have 1 to 63 characters; asked to resolve any other, Python raises a UnicodeError.
    return ":" in host or all(
        0 < len(label) <= 63 and " " not in label for label in host.removesuffix(".").split(".")
    )


def without_query(url: str) -> str:
    """
    Strip from a URL what may be a signature.

    :param url: URL.
    :return: The URL without query and fragment.
    """
    return urlsplit(url)._replace(query="", fragment="").geturl()


def presentable(text: str) -> str:
    """
    Strip what may be secret from a text that should be a URL, and may not even be one.

    :param text: Anything.
    :return: The text without credentials, query and fragment, cut to 200 characters.
    """
    scheme = match[0] if (match := _SCHEME.match(text)) else ""
    head, *tail = re.split(r"[?#]", text.removeprefix(scheme), maxsplit=1)
    if "@" in "".join(tail):
        # An unescaped password may hold any character.
        head = "***"
    elif "@" in head:
        head = "***@" + head.rpartition("@")[2]
    shown = f"{scheme}{head}?..." if tail else f"{scheme}{head}"
    return shown if len(shown) <= _SHOWN_LIMIT else shown[: _SHOWN_LIMIT - 3] + "..."


def authority(url: str) -> str:
    """
    Return the host of a URL, with the port unless it is the scheme's default.

    :param url: URL.
    :return: Such as ``kieai.redpandaai.co``, ``127.0.0.1:8765`` or ``[::1]:8765``.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    default = {"https": 443, "http": 80}.get(parts.scheme)
    return host if parts.port in (None, default) else f"{host}:{parts.port}"


def file_name_of(url: str) -> str:
    """
    Take a file name from a URL, made safe to write.

    :param url: URL of a file.
    :return: The last part of its path without separators, control characters or leading dots, at most 255
        bytes with the extension kept; ``file`` if nothing is left.
    """
    last = unquote(urlsplit(url).path.rpartition("/")[2])
    safe = re.sub(r"[\x00-\x1f\x7f-\x9f/\\]+", "_", last).lstrip(". ").rstrip()
    return _shortened(safe).rstrip() or "file"


def numbered_name(name: str, number: int) -> str:
    """
    Put a number into a file name.

    :param name: File name.
    :param number: The number.
    :return: Such as ``a-2.png``, at most 255 bytes with the extension kept.
    """
    return _shortened(name, f"-{number}")


def _shortened(name: str, mark: str = "") -> str:
    """Put a mark before the extension, and shorten the stem so that file systems accept the name."""
    suffix = PurePosixPath(name).suffix
    suffix = suffix if len(suffix.encode()) < NAME_LIMIT // 2 else ""
    room = NAME_LIMIT - len((mark + suffix).encode())
    return name.removesuffix(suffix).encode()[:room].decode(errors="ignore") + mark + suffix
