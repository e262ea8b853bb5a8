"""Checks of what callers pass, before anything is sent; messages say what is allowed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

from airflow_provider_kie.client.errors import quote
from airflow_provider_kie.client.urls import NAME_LIMIT, is_http_url, presentable

WORD = TypeVar("WORD", bound=str)

# No model's input is nested like this; what contains itself is.
JSON_DEPTH = 50

# Whoever waits that long means for ever, and dates that lie further ahead do not exist.
_LONGEST_SECONDS = timedelta(days=3650).total_seconds()
# Beyond this no other program reads a number, nor does Python write it.
_NUMBERS_END = 2**1024
_HALF_A_PAIR = re.compile("[\ud800-\udfff]")
# A name in a path, where one of dots alone would lead elsewhere.
_MODEL = re.compile(r"(?!(.*/)?\.+(/|$))[A-Za-z0-9._:-]+(/[A-Za-z0-9._:-]+)*")
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


def check_job_id(job_id: Any) -> str:
    """
    Check the id of a job.

    :param job_id: kie.ai's ``taskId``.
    :return: The id, unchanged.
    :raises ValueError: It is empty, or has characters that no id has.
    """
    if isinstance(job_id, str) and re.fullmatch(r"[A-Za-z0-9._:-]{1,200}", job_id):
        return job_id
    raise ValueError(f"job_id must be the id that kie.ai gave the job, and cannot be {quote(repr(job_id))}")


def check_callback_url(callback_url: Any) -> str:
    """
    Check the URL that kie.ai is to tell of a job's end.

    :param callback_url: URL.
    :return: The URL, unchanged.
    :raises ValueError: It is no https URL.
    """
    if isinstance(callback_url, str) and callback_url.lower().startswith("https://"):
        return check_public_url("callback_url", callback_url)
    shown = presentable(callback_url) if isinstance(callback_url, str) else callback_url
    raise ValueError(f"callback_url must be an https URL that kie.ai can reach, not {shown!r}")


def check_text(name: str, value: str) -> str:
    """
    Check a text that goes into a body.

    :param name: What it is, for the message.
    :param value: The text.
    :return: The text, unchanged.
    :raises ValueError: It cannot be written as UTF-8.
    """
    if _HALF_A_PAIR.search(value):
        raise ValueError(f"{quote(name)} cannot be sent: it has half a surrogate pair in it")
    return value


def positive_seconds(name: str, value: Any) -> float:
    """
    Read a span of time.

    :param name: The argument's name, for the message.
    :param value: Seconds, as a number or as text, or a ``timedelta``.
    :return: Seconds.
    :raises ValueError: It is no number above 0, or more than ten years.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    try:
        number = math.nan if isinstance(seconds, bool) else float(seconds)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if 0 < number <= _LONGEST_SECONDS:
        return number
    raise ValueError(
        f"{name} must be a number of seconds above 0 or a timedelta, of at most ten years; "
        f"not {quote(repr(value))}"
    )


def optional_seconds(name: str, value: Any) -> float | None:
    """
    Read a span of time that may be left out.

    :param name: The argument's name, for the message.
    :param value: As for :func:`positive_seconds`, or None.
    :return: Seconds, or None.
    :raises ValueError: It is neither None nor a number above 0.
    """
    return None if value is None else positive_seconds(name, value)


def check_model(model: Any) -> str:
    """
    Check the name of a model that goes into a path.

    :param model: Its name at kie.ai.
    :return: The name, unchanged.
    :raises ValueError: It is empty, or has characters that would lead elsewhere.
    """
    if isinstance(model, str) and len(model) <= 200 and _MODEL.fullmatch(model):
        return model
    raise ValueError(
        f"model must be a model's name as its page on kie.ai shows it, such as gemini-2.5-flash; "
        f"not {quote(repr(model))}"
    )


def json_object(name: str, value: Any) -> dict[str, Any]:
    """
    Copy an argument into what JSON can carry, without changing the type of any value.

    :param name: The argument's name, for the message.
    :param value: A mapping of text to values; sequences of any sort become lists.
    :return: A new dict.
    :raises ValueError: It is no mapping, or a value is not for JSON; the message names its key.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} must be a dict, not {type(value).__name__}")
    return _json_dict(name, value, JSON_DEPTH)


def json_list(name: str, value: Any) -> list[Any]:
    """
    Copy an argument into what JSON can carry, as :func:`json_object` does.

    :param name: The argument's name, for the message.
    :param value: A sequence, but no text.
    :return: A new list.
    :raises ValueError: It is none, or a value in it is not for JSON; the message says where.
    """
    if not isinstance(value, Sequence) or isinstance(value, str | bytes | bytearray | memoryview):
        raise ValueError(f"{name} must be a list, not {type(value).__name__}")
    return [_json_value(f"{name}[{number}]", one, JSON_DEPTH) for number, one in enumerate(value)]


def _json_dict(name: str, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    for key in value:
        if not isinstance(key, str):
            kind = type(key).__name__
            raise ValueError(f"{quote(name)} has the key {quote(repr(key))}, a {kind}: JSON's keys are text")
        check_text(f"the key {name}[{key!r}]", key)
    return {key: _json_value(f"{name}[{key!r}]", one, depth - 1) for key, one in value.items()}


def _json_value(name: str, value: Any, depth: int) -> Any:
    if depth < 0:
        raise ValueError(f"{quote(name)} is nested too deeply, or contains itself")
    if isinstance(value, str):
        return check_text(name, value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        if not abs(value) < _NUMBERS_END:
            raise ValueError(f"{quote(name)} is a number that JSON cannot carry: not finite, or too large")
        return value
    if isinstance(value, Mapping):
        return _json_dict(name, value, depth)
    # What earlier mapped tasks returned is a sequence, too, but no list.
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [_json_value(f"{name}[{number}]", one, depth - 1) for number, one in enumerate(value)]
    raise ValueError(f"{quote(name)} is a {type(value).__name__}, which JSON cannot carry")
