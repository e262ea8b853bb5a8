"""Bodies read as they come: an answer's, or a file's, straight off the socket where that is safe."""

from __future__ import annotations

import socket
import ssl
import time
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from airflow_provider_kie.client.answers import check_length, is_packed
from airflow_provider_kie.client.call import Call
from airflow_provider_kie.client.errors import KieConnectionError, KieTransferError, quote
from airflow_provider_kie.client.http import sockets
from airflow_provider_kie.client.http.deadlines import Deadline, within
from airflow_provider_kie.client.http.failures import connection_errors
from airflow_provider_kie.client.http.sockets import PAST_PARSER_FROM, PIECE, fill, plain_socket

Piece = bytes | memoryview


class OpenResponse:
    """
    An open answer to a call, read as it comes; its body can be read once.

    :param call: The call.
    :param response: httpx's, with its body unread.
    :param deadline: By when it has to be complete.
    """

    def __init__(self, call: Call[Any], response: httpx.Response, deadline: Deadline) -> None:
        self._call = call
        self._response = response
        self._deadline = deadline
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    def pieces(self) -> Iterator[bytes]:
        """
        Read the body piece by piece, unpacked.

        :return: Pieces, as they come.
        :raises KieConnectionError: The connection broke, or the answer is not complete in time.
        :raises KieResponseError: The body is larger than the call allows, or packed in an unknown way.
        :raises KieTransferError: A packed body ends too early or is corrupt.
        """
        packed = is_packed(self._call, self.headers)
        unread = _unpacked(self._response, self._call.name) if packed else self._response.iter_bytes()
        size = 0
        # Whoever reads goes on with other things between two pieces, so each has the deadline anew.
        while True:
            with connection_errors(self._call.name), within(self._deadline, self._call.name):
                piece = next(unread, None)
            if piece is None:
                return
            size += len(piece)
            check_length(self._call, size)
            yield piece


class FileResponse:
    """
    An open response of a file host; its status is unchecked, and its body can be read once.

    :param response: httpx's, with its body unread.
    :param name: Its name in errors.
    """

    def __init__(self, response: httpx.Response, name: str) -> None:
        self._response = response
        self._name = name
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    @property
    def is_framed(self) -> bool:
        """Whether the body marks its own end, as chunks do; an announced length does not count then."""
        return "transfer-encoding" in self.headers

    @property
    def encoding(self) -> str | None:
        """
        How the body is compressed, although plain bytes were asked for.

        ``gzip`` or None; values that name no compression, which some stores keep as metadata, do not count.

        :raises KieTransferError: The compression is not supported.
        """
        encoding = self.headers.get("content-encoding", "").strip().lower()
        if encoding in ("gzip", "x-gzip", "deflate"):
            return "gzip"
        if encoding in ("br", "zstd", "compress", "x-compress") or "," in encoding:
            raise KieTransferError(
                f"{self._name}: the bytes come packed as {quote(encoding)}, which was not asked for",
                transient=False,
            )
        return None

    def pieces(self, length: int | None) -> Iterator[Piece]:
        """
        Read the body piece by piece.

        :param length: Bytes that the body must have, if known.
        :return: Pieces; each stays unchanged until the next is asked for.
        :raises KieConnectionError: The connection broke, or no byte came in time.
        :raises KieTransferError: A compressed body ends too early or is corrupt.
        """
        with connection_errors(self._name):
            if self.encoding:
                yield from _unpacked(self._response, self._name)
            elif (
                length is not None
                and length >= PAST_PARSER_FROM
                and (connection := _socket_of(self._response))
            ):
                yield from _from_socket(self._response, self._name, connection, length)
            else:
                yield from _gathered(self._response)


def _gathered(response: httpx.Response) -> Iterator[bytes]:
    """Yield a body in large pieces: threads that move many files at once wait for each other at each one."""
    pieces, size, due = list[bytes](), 0, time.monotonic() + sockets.PIECE_SECONDS
    try:
        for piece in response.iter_bytes():
            pieces.append(piece)
            size += len(piece)
            if size >= PIECE or time.monotonic() >= due:
                yield b"".join(pieces)
                pieces, size, due = [], 0, time.monotonic() + sockets.PIECE_SECONDS
    except (httpx.RequestError, httpx.StreamError):
        # Bytes from before the cut need not be sent again.
        yield b"".join(pieces)
        raise
    yield b"".join(pieces)


def _unpacked(response: httpx.Response, name: str) -> Iterator[bytes]:
    # httpx would unpack too, but takes a truncated body for a whole one.
    unpacking = None
    try:
        for packed in response.iter_raw():
            while packed:
                # A gzip file may have several members, one after the other.
                unpacking = unpacking or zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
                yield unpacking.decompress(packed, PIECE)
                packed = unpacking.unconsumed_tail
                if unpacking.eof:
                    packed, unpacking = unpacking.unused_data, None
    except zlib.error as error:
        raise KieTransferError(f"{name}: the packed bytes are broken: {error}") from None
    if unpacking is not None:
        raise KieTransferError(f"{name}: the packed bytes end too early")


def _socket_of(response: httpx.Response) -> socket.socket | None:
    """Return the connection's socket if from here on it carries the plain body and nothing else."""
    stream = response.extensions.get("network_stream")
    if stream is None or response.http_version != "HTTP/1.1" or "transfer-encoding" in response.headers:
        return None
    connection = plain_socket(stream)
    fits = isinstance(connection, ssl.SSLSocket) == (response.url.scheme == "https")
    return connection if fits else None


def _from_socket(
    response: httpx.Response, name: str, connection: socket.socket, length: int
) -> Iterator[Piece]:
    """
    Read a body straight into a buffer.

    What the HTTP parser has read beyond the headers comes first, in one piece, and empties the parser. If it
    did not, bytes would be missing at the end, which is noticed. The connection is not used again.
    """
    parsed = response.iter_raw()  # kept to the end: the connection is closed with it
    first = next(parsed, b"")
    yield first
    missing = length - len(first)
    timeout = response.request.extensions["timeout"]["read"]
    buffer = memoryview(bytearray(PIECE))
    while missing > 0:
        whole = min(missing, PIECE)
        filled, error = fill(connection, buffer[:whole], whole, timeout)
        if filled:
            yield buffer[:filled]
        if error or not filled:
            raise _broken(name, error)
        missing -= filled
    parsed.close()  # type: ignore[attr-defined]


def _broken(name: str, error: OSError | None) -> KieConnectionError:
    if error is None:
        return KieConnectionError(f"{name}: the connection was closed before the end")
    if isinstance(error, TimeoutError):
        return KieConnectionError(f"{name}: no byte came in time")
    return KieConnectionError(f"{name}: the connection broke: {type(error).__name__} {error}")
