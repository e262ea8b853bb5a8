"""Weak references without callbacks."""

from __future__ import annotations

import weakref
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")


class WeakList(Generic[T]):
    """
    Objects for as long as others hold them; safe to share between threads, without a lock.

    A ``WeakSet`` would run code of its own when one of them dies, and what a signal handler raises there is
    lost: Airflow's timeout of a task would never come if it struck while garbage is collected.
    """

    def __init__(self) -> None:
        self._references: dict[int, weakref.ref[T]] = {}
        # Not their ids, which are given to others again.
        self._numbers = count()

    def add(self, one: T) -> None:
        """
        Note one.

        :param one: The object.
        """
        self._references[next(self._numbers)] = weakref.ref(one)
        # Keys first, one after the other: other threads add and remove meanwhile.
        for number in list(self._references):
            reference = self._references.get(number)
            if reference is not None and reference() is None:
                self._references.pop(number, None)

    def alive(self) -> list[T]:
        """
        Return those that are still held.

        :return: In the order in which they came.
        """
        held = [reference() for reference in list(self._references.values())]
        return [one for one in held if one is not None]
