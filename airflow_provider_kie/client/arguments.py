"""Checks of what callers pass, before anything is sent; messages say what is allowed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import urlsplit

from airflow_provider_kie.client.urls import NAME_LIMIT, is_http_url, presentable

WORD = TypeVar("WORD", bound=str)

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def check_choice(name: str, value: str, allowed: Sequence[WORD]) -> WORD:
    """
    Check an argument that must be one of a few words.

    :param name: The argument's name, for the message.
    :param value: What was passed.
    :param allowed: The words.
    :return: The value.
    :raises ValueError: It is none of them.
    """
    for word in allowed:
        if word == value:
            return word
    raise ValueError(f"{name} must be one of {', '.join(allowed)}; not {value!r}")


def check_public_url(name: str, url: str) -> str:
    """
    Check a URL that will be shown in rendered fields and XCom.

    :param name: The argument's name, for the message.
    :param url: URL.
    :return: The URL, unchanged.
    :raises ValueError: It is not an http(s) URL, or contains a user name or password. The message shows it
        without these and without its query.
    """
    if not is_http_url(url):
        raise ValueError(f"{name} must be an absolute http(s) URL, not {presentable(url)!r}")
    if "@" in urlsplit(url).netloc:
        raise ValueError(
            f"{name} must not hold credentials, as {presentable(url)!r} does: "
            "they would show up in logs and XCom"
        )
    return url


def clean_upload_path(upload_path: str) -> str:
    """
    Check the upload folder.

    :param upload_path: Folder; slashes at its ends are stripped, because kie.ai refuses them.
    :return: The stripped folder.
    :raises ValueError: It is empty, or not a plain path.
    """
    stripped = upload_path.strip("/")
    if not stripped.strip("/ "):
        raise ValueError("upload_path is empty: name a folder, such as 'images/nightly'")
    if "\\" in stripped or _CONTROL.search(stripped):
        raise ValueError("upload_path must have no backslash and no control character")
    if any(part in ("", ".", "..") for part in stripped.split("/")):
        raise ValueError("upload_path must have no empty part, '.' or '..' in it")
    return stripped


def clean_file_name(file_name: str) -> str:
    """
    Check a file name that the caller chose.

    :param file_name: Name with its extension, from which kie.ai takes the media type.
    :return: The name, unchanged.
    :raises ValueError: It is empty, or not a plain name.
    """
    if file_name in ("", ".", "..") or re.search(r"[/\\]", file_name) or _CONTROL.search(file_name):
        raise ValueError(
            "file_name must be a plain name without slashes and control characters; "
            "folders go into upload_path"
        )
    if len(file_name.encode()) > NAME_LIMIT:
        raise ValueError(f"file_name must be at most {NAME_LIMIT} bytes long")
    return file_name
