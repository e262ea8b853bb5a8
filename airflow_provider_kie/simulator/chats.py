"""The simulated kie.ai's chats: what a model answers, and what was answered and billed. No HTTP."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal, get_args

AnswerPart = Literal["content", "finish_reason", "usage", "done"]


@dataclass(frozen=True)
class SimulatedChat:
    """A chat that was answered and billed, even if its answer was lost on the way."""

    model: str
    messages: list[dict[str, Any]]
    """As they were sent."""
    body: dict[str, Any]
    """All that was sent, the messages too."""
    stream: bool
    charged: float
    """What it cost, in credits."""
    at: float
    """Seconds since the epoch."""


@dataclass(frozen=True)
class ChatModel:
    """What a model answers; the fields are those of ``KieSimulator.add_chat_model``."""

    text: str | None = None
    tool_calls: tuple[tuple[str, str], ...] = ()
    """Names and arguments, the latter as JSON text."""
    finish_reason: str | None = None
    credits: float = 0.01
    usage: Mapping[str, Any] | None = None
    seconds: float = 0.0
    fail: tuple[int, str | None] | None = None
    fail_after: int | None = None
    without: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not all(math.isfinite(number) and number >= 0 for number in (self.credits, self.seconds)):
            raise ValueError("credits and seconds must be finite and 0 or more.")
        if self.fail_after is not None and (self.fail is None or self.fail_after < 0):
            raise ValueError("fail_after counts the chunks before fail; it goes with fail and is 0 or more.")
        if unknown := sorted(self.without.difference(get_args(AnswerPart))):
            raise ValueError(f"An answer's parts are {', '.join(get_args(AnswerPart))}, not {unknown}.")
        told = (self.text, self.tool_calls, self.finish_reason, self.usage, self.fail)
        json.dumps(told, ensure_ascii=False, allow_nan=False).encode()


class Chats:
    """What the models answer, and every chat that was billed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.reset()

    def reset(self) -> None:
        """Forget chats and models."""
        with self._lock:
            self.models: dict[str, ChatModel] = {}
            self._billed: list[SimulatedChat] = []

    def model(self, name: str) -> ChatModel:
        """
        Look up what a model answers.

        :param name: its name.
        :return: the model; the default one if nobody has added it.
        """
        # invented: that any model answers, so that a demo needs none of kie.ai's names.
        return self.models.get(name, ChatModel())

    def note(self, chat: SimulatedChat) -> None:
        """
        Note a chat.

        :param chat: one that has been paid for.
        """
        with self._lock:
            self._billed.append(chat)

    def billed(self) -> list[SimulatedChat]:
        """
        List the chats so far.

        :return: a snapshot, in the order in which they were billed.
        """
        with self._lock:
            return list(self._billed)
