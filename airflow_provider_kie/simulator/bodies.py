"""Request bodies: undoing compression, and refusing unusable JSON."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_kie.simulator.answers import Refused

MAX_JSON = 14_000_000
"""Room for 10 MB in base64 and the rest of the body."""


class UnreadableBody(Exception):
    """A body is not encoded as its ``Content-Encoding`` says."""


class Decoder:
    """
    Undoes the ``Content-Encoding`` of one request while it arrives.

    :param encoding: the header's value; empty when there is none.
    """

    def __init__(self, encoding: str) -> None:
        # invented: which encodings are accepted; recorded requests were sent without one.
        self._known = encoding.lower() in ("", "identity", "gzip")
        self._gzip = zlib.decompressobj(wbits=31) if encoding.lower() == "gzip" else None

    def decode(self, piece: bytes, *, last: bool) -> bytes:
        """
        Decode the next piece.

        :param piece: as it was sent.
        :param last: whether it is the last one.
        :return: the decoded bytes.
        :raises UnreadableBody: for an unknown encoding, and for bytes that are not gzip or end too early.
        """
        if not self._known:
            raise UnreadableBody
        if self._gzip is None:
            return piece
        try:
            data = self._gzip.decompress(piece)
        except zlib.error as error:
            raise UnreadableBody from error
        if last and not self._gzip.eof:
            raise UnreadableBody
        return data


def parsed(body: bytes) -> Any:
    """
    Parse JSON, strictly enough that it can be written out again.

    :param body: any bytes.
    :return: the value.
    :raises ValueError: when it is not JSON, nested too deep, or holds half a surrogate pair, NaN or infinity.
    """
    try:
        value = json.loads(body)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError as error:
        raise ValueError("The JSON is nested too deep.") from error
    return value


def has_type(value: Any, kind: type) -> bool:
    """
    Return whether a value has a JSON type; kie.ai takes no other for it.

    :param value: the value.
    :param kind: the type.
    :return: True for the type itself, and for an integer where a float is wanted.
    """
    return type(value) is kind or (kind is float and type(value) is int)


async def read_json(request: Request, error: Callable[[int], Response], *, unreadable: int) -> dict[str, Any]:
    """
    Read a JSON body, whatever its ``Content-Type`` says.

    :param request: the request, its body unread.
    :param error: builds this host's answer to a code.
    :param unreadable: this host's code for a body that is not JSON.
    :return: the object; an empty one for any other value.
    :raises Refused: when the body cannot be read, and with code 413 when it is over 14 MB.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_JSON:
            raise Refused(error(413))
    try:
        value = parsed(bytes(body))
    except ValueError:
        raise Refused(error(unreadable)) from None
    return value if isinstance(value, dict) else {}
