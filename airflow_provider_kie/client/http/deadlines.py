"""Deadlines for complete answers, however many bytes trickle in meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import httpx

from airflow_provider_kie.client.errors import KieConnectionError


class Deadline:
    """
    The time by which an answer has to be complete.

    It is kept to within one step on the connection. A step drags on only through an https proxy that drips:
    httpcore's TLS within TLS waits anew for each piece of a record.

    :param seconds: How long it may take.
    :param after_sending: Whether the clock starts once the request has been sent, rather than now.
    """

    def __init__(self, seconds: float, *, after_sending: bool = False) -> None:
        self.seconds = seconds
        self.after_sending = after_sending
        self.is_nearer = False
        self._end = None if after_sending else time.monotonic() + seconds

    def limit(self, timeout: float | None, *, sending: bool = False) -> float | None:
        """
        Bound the next step on the connection.

        :param timeout: The step's own limit in seconds, if any.
        :param sending: Whether it sends a part of the request.
        :return: Seconds that the step may take.
        :raises httpx.ReadTimeout: No time is left.
        """
        if sending and self.after_sending:
            self._end, self.is_nearer = None, False
            return timeout
        if self._end is None:
            self._end = time.monotonic() + self.seconds
        left = self._end - time.monotonic()
        self.is_nearer = timeout is None or left < timeout
        if left <= 0:
            raise httpx.ReadTimeout("there is no time left")
        return left if timeout is None else min(left, timeout)


_current: ContextVar[Deadline | None] = ContextVar("_current", default=None)


def current_deadline() -> Deadline | None:
    """
    Get the deadline of what this thread is doing.

    :return: That of the innermost :func:`within`; None outside of any.
    """
    return _current.get()


@contextmanager
def within(deadline: Deadline, name: str) -> Iterator[None]:
    """
    Bound what this thread does on connections inside the block.

    :param deadline: The bound.
    :param name: Name of the work, for the message.
    :raises KieConnectionError: The time ran out.
    """
    token = _current.set(deadline)
    try:
        yield
    except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
        if deadline.is_nearer:
            raise out_of_time(name, deadline.seconds) from error
        raise
    finally:
        _current.reset(token)


def out_of_time(name: str, seconds: float) -> KieConnectionError:
    """
    Build the error for a call whose answer was not complete in time.

    :param name: The call's name.
    :param seconds: How long it had.
    :return: The error.
    """
    return KieConnectionError(f"{name}: no complete answer came within {seconds:.3g} s")
