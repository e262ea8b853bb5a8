"""Bytes straight off a socket, many TLS records at once."""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpcore

PIECE = 256 * 1024
# From here on a body is read past the HTTP parser, whose time per piece would matter; below, its kept-alive
# connection matters more.
PAST_PARSER_FROM = 8 * 1024 * 1024
# A piece that is not full by then is passed on as it is, so that slow transfers show progress too.
PIECE_SECONDS = 1.0


def plain_socket(stream: httpcore.NetworkStream) -> socket.socket | None:
    """
    Return the socket that gives the same bytes as a stream does.

    :param stream: httpcore's connection.
    :return: The socket; None if there is none, as for TLS inside TLS, through an https proxy.
    """
    connection = stream.get_extra_info("socket")
    # Above such a connection is an SSLObject, and the socket carries bytes that are still encrypted.
    inside = isinstance(stream.get_extra_info("ssl_object"), ssl.SSLObject)
    return connection if isinstance(connection, socket.socket) and not inside else None


def fill(
    connection: socket.socket, buffer: memoryview, least: int, timeout: float | None
) -> tuple[int, OSError | None]:
    """
    Read a piece of a body.

    :param connection: Where it comes from.
    :param buffer: Where it goes.
    :param least: Bytes that make a whole piece; fewer come if that takes more than a second.
    :param timeout: Seconds that silence may last.
    :return: How many bytes came, and what went wrong then; too few and nothing if the peer has closed it.
    """
    filled, due = 0, time.monotonic() + PIECE_SECONDS
    try:
        # Telling the system again would hand Python's lock to another thread, at every piece.
        if connection.gettimeout() != timeout:
            connection.settimeout(timeout)
        while filled < least and (not filled or time.monotonic() < due):
            count = connection.recv_into(buffer[filled:])
            if not count:
                break
            filled += count
    except OSError as error:
        return filled, error
    return filled, None
