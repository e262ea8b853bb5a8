"""The simulator's paid jobs and chats as their users see them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_kie.simulator.callbacks import Callback
from airflow_provider_kie.simulator.chats import AnswerPart, ChatModel, SimulatedChat
from airflow_provider_kie.simulator.jobs import FAIL_MSG, Model, SimulatedJob
from airflow_provider_kie.simulator.state import State


class PaidJobs:
    """The part of ``KieSimulator`` that is about jobs and what they cost."""

    _state: State

    @property
    def jobs(self) -> list[SimulatedJob]:
        """The creations that were accepted, in order, and what each cost; a snapshot."""
        return self._state.ledger.jobs()

    def finish_jobs(self) -> None:
        """End every running job now, as its model says."""
        self._state.ledger.finish()

    @property
    def creation_limit(self) -> int | None:
        """How many creations kie.ai takes in 10 s, 20 by default; None for any number; settable."""
        return self._state.ledger.creation_limit

    @creation_limit.setter
    def creation_limit(self, limit: int | None) -> None:
        if limit is not None and limit < 1:
            raise ValueError(f"creation_limit must be 1 or more, or None, not {limit}.")
        self._state.ledger.creation_limit = limit

    @property
    def webhook_key(self) -> str | None:
        """The key that callbacks are signed with; None, as by default, for no signature; settable."""
        return self._state.webhook_key

    @webhook_key.setter
    def webhook_key(self, key: str | None) -> None:
        self._state.webhook_key = key

    @property
    def callbacks(self) -> list[Callback]:
        """
        The callbacks posted so far, each try of them; a snapshot.

        They go to this machine only. One to another machine is in the list at once, without a body.
        """
        return self._state.callbacks()

    def add_model(
        self,
        name: str,
        *,
        seconds: float = 2.0,
        credits: float = 5.0,
        hold: float | None = None,
        fail: int | tuple[int, str] | None = None,
        files: Mapping[str, bytes] | Iterable[tuple[str, bytes]] | None = None,
        output: Mapping[str, Any] | None = None,
        required: Mapping[str, type] | None = None,
        word: str | int | None = None,
        unknown_seconds: float = 0.0,
    ) -> None:
        """
        Say what happens to the jobs of a model from now on; of a model that nobody added, the defaults.

        :param name: Market's model, or the api that stands for a family, such as ``veo`` or ``suno-lyrics``.
        :param seconds: how long a job takes.
        :param credits: what it costs.
        :param hold: credits held while it runs, at least the price; by default the price.
        :param fail: the code, or code and message, that a job fails with; the credits are given back then.
        :param files: the names and bytes that it generates; by default a small one, as fits the family.
        :param output: more keys of the result, such as ``resultObject``.
        :param required: fields of the input that must be there, with their JSON types: ``{"prompt": str}``.
        :param word: the record's state once a job has ended, in place of the family's own, such as
            ``CALLBACK_EXCEPTION``.
        :param unknown_seconds: how long after its creation a job's record says that there is no such job.
        :raises ValueError: for numbers below 0 or not finite, and a hold below the price.
        """
        pairs = files.items() if isinstance(files, Mapping) else files
        self._state.ledger.models[name] = Model(
            seconds=float(seconds),
            credits=float(credits),
            hold=None if hold is None else float(hold),
            fail=(fail, FAIL_MSG) if isinstance(fail, int) else fail,
            files=None if pairs is None else tuple(pairs),
            output=dict(output or {}),
            required=dict(required or {}),
            word=word,
            unknown_seconds=float(unknown_seconds),
        )


class PaidChats:
    """The part of ``KieSimulator`` that is about chats and what they cost."""

    _state: State

    @property
    def chats(self) -> list[SimulatedChat]:
        """The chats that were answered and billed, in order, those whose answer was lost too; a snapshot."""
        return self._state.chats.billed()

    def add_chat_model(
        self,
        name: str,
        *,
        text: str | None = None,
        tool_calls: Iterable[tuple[str, Mapping[str, Any] | str]] | None = None,
        finish_reason: str | None = None,
        credits: float = 0.01,
        usage: Mapping[str, Any] | None = None,
        seconds: float = 0.0,
        fail: int | tuple[int, str] | None = None,
        fail_after: int | None = None,
        without: Iterable[AnswerPart] = (),
    ) -> None:
        """
        Say what a model answers from now on; a model that nobody added answers with the defaults.

        :param name: the model, as in the path or, on the legacy path, in the body.
        :param text: what it says; by default it repeats the user's last message, in a JSON object if
            ``response_format`` asks for one.
        :param tool_calls: names and arguments of the tools that it calls, until a tool's result is the last
            message; arguments that are text are sent as they are.
        :param finish_reason: why it ends; by default ``stop``, or ``tool_calls``.
        :param credits: what an answer costs.
        :param usage: its tokens, instead of an estimate.
        :param seconds: how long it thinks before the answer begins.
        :param fail: the code, or code and message, that it gives instead of an answer, which costs nothing.
        :param fail_after: lets a stream fail after so many chunks, of which the first says only the role; it
            costs all the same.
        :param without: parts that its answers lack: ``content``, ``finish_reason``, ``usage`` (and the
            credits), ``done`` (the mark at the end of a stream). Without all four a stream is empty.
        :raises ValueError: for numbers below 0 or not finite, unknown parts, ``fail_after`` without ``fail``,
            and text and numbers that JSON cannot express.
        """
        self._state.chats.models[name] = ChatModel(
            text=text,
            tool_calls=tuple(
                (tool, given if isinstance(given, str) else json.dumps(given, ensure_ascii=False))
                for tool, given in tool_calls or ()
            ),
            finish_reason=finish_reason,
            credits=float(credits),
            usage=None if usage is None else dict(usage),
            seconds=float(seconds),
            fail=(fail, None) if isinstance(fail, int) else fail,
            fail_after=fail_after,
            without=frozenset(without),
        )
