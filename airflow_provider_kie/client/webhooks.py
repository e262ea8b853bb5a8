"""Callbacks, which kie.ai posts when a job ends: did kie.ai send this one, and about which job?"""

from __future__ import annotations

import base64
import hmac
import json
import re
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from airflow_provider_kie.client.arguments import check_job_id, check_text, positive_seconds
from airflow_provider_kie.client.errors import KieSignatureError

# Without a dot, so that no part of the time can pass for the end of an id.
_TIMESTAMP = re.compile(r"[0-9]{1,15}")
_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{43}=")


def verify_callback(
    headers: Mapping[str, str], body: bytes, key: str, *, tolerance: float | timedelta = 300
) -> str:
    """
    Check that a callback comes from kie.ai, and find out which job it is about.

    kie.ai signs the job's id and the time, and nothing else: whoever has seen one callback can send any body
    with its id while the time is within the tolerance. So read the job's record before believing anything.

    :param headers: The request's headers, with names in any case.
    :param body: The request's body, the bytes as they came.
    :param key: The account's webhook key, as kie.ai's settings show it; not the API key.
    :param tolerance: Seconds, or a ``timedelta``, by which the callback's time may differ from this
        machine's, in either direction; 300 by default.
    :return: The job's id.
    :raises KieSignatureError: It is not from kie.ai, or too old, or the key is unusable; the message says
        why, without the key, the signature or the body.
    :raises TypeError: ``headers``, ``body`` or ``key`` is of another type.
    :raises ValueError: ``tolerance`` is no number of seconds above 0, or ``key`` is no text that UTF-8 has.

    kie.ai page: https://docs.kie.ai/common-api/webhook-verification
    """
    seconds = positive_seconds("tolerance", tolerance)
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers must be a mapping of names to values, not {type(headers).__name__}")
    if not isinstance(body, bytes):
        raise TypeError(f"body must be the bytes as they came, not {type(body).__name__}")
    secret = _checked_key(key)
    timestamp = _header(headers, "X-Webhook-Timestamp", _TIMESTAMP, "whole seconds since 1970")
    signature = _header(headers, "X-Webhook-Signature", _SIGNATURE, "32 bytes in base64")
    _check_time(int(timestamp), seconds)
    job_id = _job_id_in(body)
    digest = hmac.digest(secret, f"{job_id}.{timestamp}".encode(), "sha256")
    if not hmac.compare_digest(base64.b64encode(digest), signature.encode()):
        raise KieSignatureError(
            "The signature is wrong: it was not made by kie.ai, or with another key. "
            "The account's webhook key is needed here, not an API key."
        )
    return job_id


def _checked_key(key: Any) -> bytes:
    if not isinstance(key, str):
        raise TypeError(f"key must be text, as kie.ai's settings show it, not {type(key).__name__}")
    if not key:
        raise KieSignatureError("The webhook key is empty.")
    if key != key.strip():
        raise KieSignatureError("The webhook key has white space around it, which would be a part of it.")
    return check_text("key", key).encode()


def _header(headers: Mapping[str, str], name: str, form: re.Pattern[str], meaning: str) -> str:
    # A mapping may have a name several times: in several cases, or as Starlette's has.
    found = [value for one, value in headers.items() if isinstance(one, str) and one.lower() == name.lower()]
    if not found:
        raise KieSignatureError(f"The header {name} is missing.")
    if len(found) > 1:
        raise KieSignatureError(f"The header {name} is there {len(found)} times.")
    if not isinstance(found[0], str) or not form.fullmatch(found[0]):
        raise KieSignatureError(f"The header {name} is malformed: it is not {meaning}.")
    return found[0]


def _check_time(timestamp: int, tolerance: float) -> None:
    age = time.time() - timestamp
    if abs(age) > tolerance:
        when = f"{age:.0f} s ago" if age > 0 else f"{-age:.0f} s ahead of this machine's clock"
        raise KieSignatureError(f"The callback was signed {when}; the tolerance is {tolerance:g} s.")


def _job_id_in(body: bytes) -> str:
    found = list(_ids_in(_loaded(body)))
    if not found:
        raise KieSignatureError("The body names no job: it is no JSON object with a taskId.")
    if not all(isinstance(one, str) and _is_id(one) for one in found):
        raise KieSignatureError("The body names a job by something that is no id.")
    if len(set(found)) > 1:
        raise KieSignatureError("The body names several jobs.")
    return str(found[0])


def _is_id(text: str) -> bool:
    # The error of an id that is none quotes it, so it must not become the context of ours.
    try:
        return check_job_id(text) == text
    except ValueError:
        return False


def _loaded(body: bytes) -> Any:
    try:
        return json.loads(body.decode())
    except (ValueError, RecursionError):
        return None


def _ids_in(data: Any) -> Iterator[Any]:
    """Give the ids at all places where a family has its own."""
    root = data if isinstance(data, Mapping) else {}
    for part in (root, root.get("data")):
        if isinstance(part, Mapping):
            found = (part.get(name) for name in ("taskId", "task_id"))
            yield from (one for one in found if one is not None and one != "")
