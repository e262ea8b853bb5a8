"""Three sockets, one uvicorn, one thread."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Scope

from airflow_provider_kie.simulator.faults import HangUp

ADDRESS = "127.0.0.1"
START_SECONDS = 10.0
GRACE_SECONDS = 0.5


class _Server(uvicorn.Server):
    """uvicorn, with events for when it serves and when it is to end; its own loops poll every 100 ms."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = threading.Event()
        self._ending = asyncio.Event()

    def end(self) -> None:
        self.should_exit = True
        self._ending.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.serving.set()

    async def main_loop(self) -> None:
        # The first of uvicorn's ticks in a second renews the Date header.
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), 1.0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in sockets or []:
            asyncio.get_running_loop().remove_reader(listener)
        # What was just accepted is a connection within three turns of the loop, or leaks if closed first.
        for _ in range(3):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        for connection in self.connections():
            connection.shutdown()
        if not await self._is_idle(GRACE_SECONDS):
            # Connections first: a task that ends on an open one would be taken for a broken application.
            for connection in self.connections():
                connection.transport.abort()
            for task in list(self.server_state.tasks):
                task.cancel()
            await self._is_idle(GRACE_SECONDS)

    async def _is_idle(self, seconds: float) -> bool:
        """Wait at most that long for the last connection and the last request to end."""
        deadline = time.monotonic() + seconds
        while busy := bool(self.server_state.connections or self.server_state.tasks):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.002)
        return not busy

    def connections(self) -> list[Any]:
        return list(self.server_state.connections)


def listen(port: int) -> socket.socket:
    """
    Take a port on loopback.

    :param port: the port, or 0 for a free one.
    :return: a listening socket.
    :raises OSError: when the port is taken; the message names it.
    """
    # asyncio turns off Nagle's algorithm, worth 40 ms a request, only for sockets that name their protocol.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ADDRESS, port))
        # Here and not only in uvicorn: two sockets may bind one port, but only one may listen on it.
        listener.listen(128)
    except OSError as error:
        listener.close()
        reason = f"The simulator cannot listen on {ADDRESS} port {port}: {error.strerror}"
        raise OSError(error.errno, reason) from error
    return listener


class Serving:
    """
    An application being served until ``stop()``.

    :param make_app: makes the ASGI application, given a function that closes a request's connection.
    :param listeners: listening sockets, closed when serving ends.
    """

    def __init__(self, make_app: Callable[[HangUp], ASGIApp], listeners: list[socket.socket]) -> None:
        app = make_app(self.hang_up)
        # h11 comes with every uvicorn: the same behaviour whatever else is installed.
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            # They would replace the address that hang_up looks for.
            proxy_headers=False,
            log_config=None,
            log_level="error",
            # uvicorn's own 5 would cut off whoever asks every 5 seconds, at times in the middle of a request.
            timeout_keep_alive=75,
        )
        self._server = _Server(config)
        self._listeners = listeners
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="kie-simulator", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._server.serve(sockets=self._listeners))
        finally:
            # uvicorn leaves them open when it is stopped before it has come up.
            for listener in self._listeners:
                listener.close()

    def wait(self) -> bool:
        """
        Wait until requests are answered.

        :return: False when that takes over 10 s.
        """
        return self._server.serving.wait(START_SECONDS)

    def stop(self) -> None:
        """Stop serving: gently for half a second, then by cutting off what is still under way."""
        with contextlib.suppress(RuntimeError):  # the loop has already ended
            self._loop.call_soon_threadsafe(self._server.end)
        self._thread.join()

    def hang_up(self, scope: Scope, at_once: bool) -> None:
        """
        Close the connection of a request.

        :param scope: the request's ASGI scope.
        :param at_once: whether to drop what is written but not sent.
        """
        for connection in self._server.connections():
            if (connection.client, connection.server) == (scope["client"], scope["server"]):
                transport = connection.transport
                (transport.abort if at_once else transport.close)()
