"""From (status, headers, body) to a value or a typed error; the only place that judges an answer."""

from __future__ import annotations

import json
import re
import time
import zlib
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from airflow_provider_kie.client.call import Call
from airflow_provider_kie.client.codes import error_class
from airflow_provider_kie.client.errors import (
    KieError,
    KieGatewayError,
    KieNoDataError,
    KieResponseError,
    quote,
)

T = TypeVar("T")


def read_answer(call: Call[T], status: int, headers: Mapping[str, str], body: bytes) -> T:
    """
    Turn an answer into the call's result: by the body's code first, the HTTP status second.

    :param call: The call that was sent.
    :param status: HTTP status; 200 is never taken for success.
    :param headers: Response headers, case-insensitive as httpx's are.
    :param body: The whole body.
    :return: What ``call.parse`` makes of the answer's ``data``.
    :raises KieError: The error that the code stands for.
    :raises KieResponseError: It is not an answer of kie.ai's, or success without the promised data.
    """
    answer = _load(call, status, headers, body)
    code, message = _verdict(call, status, answer)
    if code != 200:
        if code is None and status < 400:
            raise KieResponseError(f"{call.name}: the answer has no code: {quote(_text(body))}")
        if not call.repeatable and answer.get("data"):
            # What was refused has no data; this may have been done, and then must not be asked for again.
            raise KieResponseError(f"{call.name}: {quote(message)} (code {code}), and yet data", code=code)
        said_by_kie = code is not None and _code(answer) == code
        raise _error(call, status if code is None else code, message, headers, said_by_kie=said_by_kie)
    if status >= 300:
        # Whatever was asked for may have been done, and then must not be asked for again.
        kind = error_class(status, message) if call.repeatable else KieResponseError
        raise kind(
            f"{call.name}: kie.ai's answer says code 200, but the HTTP status is {status}, so something "
            "before it refused it.",
            code=status,
            retry_after=retry_after(headers),
        )
    if answer.get("success") is False:
        raise KieResponseError(f"{call.name}: code 200, but not successful: {quote(message)}", code=200)
    data = answer.get("data")
    if data is None and not call.bare:
        raise KieNoDataError(f"{call.name}: code 200 without the promised data: {quote(message)}", code=200)
    try:
        return call.parse(answer if data is None else data)
    except KieResponseError as error:
        raise KieResponseError(f"{call.name}: {error}", code=200) from None


def is_refusal(call: Call[Any], status: int, answer: Mapping[str, Any]) -> bool:
    """
    Tell whether an answer, or an event of a stream, is an error; :func:`read_answer` then says which.

    :param call: The call that was sent.
    :param status: HTTP status.
    :param answer: The JSON object.
    :return: True if it is.
    """
    return _verdict(call, status, answer)[0] != 200


def is_packed(call: Call[Any], headers: Mapping[str, str]) -> bool:
    """
    Return whether an answer is compressed: never asked for, but some proxies do it anyway.

    :param call: The call that was sent.
    :param headers: Response headers.
    :return: True if :func:`unpack` has to unpack it.
    :raises KieResponseError: The encoding is not supported.
    """
    named = [name.strip().lower() for name in headers.get("content-encoding", "").split(",")]
    ways = [name for name in named if name not in ("", "identity")]
    if ways and (len(ways) > 1 or ways[0] not in ("gzip", "x-gzip", "deflate")):
        raise KieResponseError(
            f"{call.name}: the answer comes encoded as {quote(', '.join(ways))}, which was not asked for",
            transient=True,
        )
    return bool(ways)


def unpack(call: Call[Any], headers: Mapping[str, str], body: bytes) -> bytes:
    """
    Unpack a compressed answer, never beyond the size that an answer may have.

    :param call: The call that was sent.
    :param headers: Response headers.
    :param body: The whole body as received.
    :return: The plain body.
    :raises KieResponseError: It is corrupt, or larger than the call allows when unpacked.
    """
    if not is_packed(call, headers):
        return body
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        plain = unpacking.decompress(body, call.limit + 1)
    except zlib.error:
        raise KieResponseError(f"{call.name}: the answer's packed bytes are broken", transient=True) from None
    check_length(call, len(plain))
    if not unpacking.eof:
        raise KieResponseError(f"{call.name}: the answer's packed bytes end too early", transient=True)
    return plain


def check_length(call: Call[Any], size: int) -> None:
    """
    Check that an answer is not larger than its call allows.

    :param call: The call that was sent.
    :param size: Bytes that have come so far.
    :raises KieResponseError: It is.
    """
    if size > call.limit:
        raise KieResponseError(f"{call.name}: the answer is larger than {call.limit} bytes")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """
    Read the ``Retry-After`` header.

    :param headers: Response headers.
    :return: Seconds from now, 0 or more; None if it is missing or unreadable.
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
        return max(0.0, moment.timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _load(call: Call[Any], status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Read the body as JSON whatever the Content-Type says: one recorded success had none."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict):
        return answer
    found = quote(_text(body)) or "nothing"
    if status >= 500:
        raise KieGatewayError(
            f"{call.name}: HTTP {status} from a proxy before kie.ai: {found}",
            code=status,
            retry_after=retry_after(headers),
        )
    if status in (401, 404, 429):
        raise _error(call, status, found, headers)
    # A truncated or foreign body is usually temporary under a 200, but not under a 3xx or 4xx.
    raise KieResponseError(
        f"{call.name}: HTTP {status} with an answer that is no JSON object: {found}",
        code=status,
        transient=status < 300,
    )


def _verdict(call: Call[Any], status: int, answer: Mapping[str, Any]) -> tuple[int | None, str]:
    """Read code and message, or what stands in their place where an answer has no envelope."""
    code = _code(answer)
    if call.bare and code in (None, 200):
        # The error of a model's own vendor, in the form that OpenAI's clients know.
        if error := answer.get("error"):
            said = error if isinstance(error, Mapping) else {"message": error}
            return _code(said), str(said.get("message") or "")
        if status < 300:
            code = 200
    return code, str(answer.get("msg") or "")


def _code(answer: Mapping[str, Any]) -> int | None:
    code = answer.get("code")
    if isinstance(code, str) and re.fullmatch(r"[0-9]{1,4}", code):
        code = int(code)
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _error(
    call: Call[Any], code: int, message: str, headers: Mapping[str, str], *, said_by_kie: bool = False
) -> KieError:
    kind = error_class(code, message)
    said = quote(message) or "no message"
    wait = retry_after(headers)
    return kind(f"{call.name}: {said} (code {code}).", code=code, retry_after=wait, said_by_kie=said_by_kie)


def _text(body: bytes) -> str:
    return body.decode("utf-8", errors="replace")
