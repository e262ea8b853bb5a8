"""
TLS for the servers that are Python.

An ``SSLSocket`` asks the kernel twice for every 16 KB: that makes it slower than curl, and clients would be
measured against the server. Here a large piece comes from the kernel at once and is then taken apart.
"""

from __future__ import annotations

import socket
import ssl
from typing import cast

PIECE_BYTES = 256 * 1024


def server_context(certificate: str, key: str) -> ssl.SSLContext:
    """
    Make what all connections share.

    :param certificate: PEM file.
    :param key: PEM file.
    :return: TLS 1.3.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate, key)
    return context


class Stream:
    """
    The server's end of a connection, after the handshake.

    :param connection: Socket.
    :param context: As of ``server_context``.
    :raises OSError: The client is gone, or speaks no TLS.
    """

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        self._connection = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._piece = memoryview(bytearray(PIECE_BYTES))
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            else:
                break
        self._flush()

    def recv_into(self, buffer: memoryview) -> int:
        """
        Read what is there, or wait for it.

        :param buffer: What it is read into.
        :return: Bytes read; 0 if the client has closed the connection.
        """
        while True:
            try:
                return cast(int, self._tls.read(len(buffer), buffer))
            except ssl.SSLWantReadError:
                self._fill()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return 0

    def sendall(self, data: bytes | memoryview) -> None:
        """
        Send.

        :param data: All of it is sent.
        """
        self._tls.write(data)
        self._flush()

    def _fill(self) -> None:
        if count := self._connection.recv_into(self._piece):
            self._incoming.write(self._piece[:count])
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._connection.sendall(self._outgoing.read())
