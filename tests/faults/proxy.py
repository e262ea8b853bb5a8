"""A proxy that tunnels to one host whatever it is asked for, or refuses as told."""

from __future__ import annotations

import select
import socket

from .server import Reply, Request, Server

TUNNEL = Reply()
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Proxy(Server):
    """
    A server between a client and a host.

    :param host: Where all tunnels lead.
    :param script: What it does with one connection after the other.
    """

    def __init__(self, host: Server, *script: Reply) -> None:
        self._host = host
        super().__init__(script)

    def _answer(self, connection: socket.socket, request: Request, reply: Reply) -> None:
        if reply is not TUNNEL:
            super()._answer(connection, request, reply)
            return
        with socket.create_connection(("127.0.0.1", self._host.port)) as onward:
            connection.sendall(_ESTABLISHED)
            other = {connection: onward, onward: connection}
            while not self._over.is_set():
                for side in select.select([connection, onward], [], [], 0.1)[0]:
                    piece = side.recv(65536)
                    if not piece:
                        return
                    other[side].sendall(piece)
