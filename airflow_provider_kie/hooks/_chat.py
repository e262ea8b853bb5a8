"""The hook's verbs for chat."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from airflow_provider_kie.client.api.chat import (
    TIMEOUT_SECONDS,
    ChatAnswer,
    complete_chat,
    placed,
    say_if_billed,
)
from airflow_provider_kie.client.arguments import positive_seconds
from airflow_provider_kie.client.streams import ChatStream
from airflow_provider_kie.hooks import _metrics
from airflow_provider_kie.hooks._base import KieBaseHook, send_in_thread

log = logging.getLogger(__name__)


class KieChatHook(KieBaseHook):
    """Asks models that chat."""

    def chat(
        self,
        messages: str | list[dict[str, Any]],
        *,
        model: str,
        timeout: float | timedelta = TIMEOUT_SECONDS,
        **options: Any,
    ) -> ChatAnswer:
        """
        Ask a model and wait for its answer; costs credits.

        It is sent again only if kie.ai refused it for now (rate limit, maintenance) or it never got there: an
        answer that is lost may have been billed.

        :param messages: A text, or a list of messages in OpenAI's format.
        :param model: Model, such as ``gemini-2.5-flash``.
        :param timeout: Seconds for the whole answer, or a ``timedelta``; ten minutes by default.
        :param options: More fields of the request, passed on as they are: ``temperature``, ``top_p``,
            ``max_tokens``, ``tools``, ``response_format``, ...
        :return: The answer: ``text``, ``message``, ``model``, ``finish_reason``, ``usage``, ``credits`` and
            ``raw``.
        :raises ValueError: An argument is unusable; nothing was sent.
        :raises KieError: kie.ai refused, or there is no whole answer; the message says if it may be billed.

        kie.ai page: https://docs.kie.ai/market/gemini/gemini-2-5-flash
        """
        return self.ask(messages, model=model, timeout=timeout, options=options)

    def ask(
        self,
        messages: Any,
        *,
        model: str,
        timeout: Any,
        options: Any,
        on_wait: Callable[[], None] = lambda: None,
    ) -> ChatAnswer:
        """
        Ask a model, for callers that may be ended meanwhile; otherwise as :meth:`chat`.

        :param messages: A text, or a list of messages in OpenAI's format.
        :param model: Model.
        :param timeout: Seconds for the whole answer, as a number or text, or a ``timedelta``.
        :param options: More fields of the request, as a dict; None for none.
        :param on_wait: Called before it is sent, and then at least ten times a second; ends it by raising.
        :return: The answer.
        :raises ValueError: An argument is unusable; nothing was sent.
        :raises KieError: As :meth:`chat`.
        """
        patience = positive_seconds("timeout", timeout)
        call = complete_chat(messages, model=model, options=options, timeout=patience)
        with self.get_conn() as client:
            # Whoever is ended meanwhile need not pay.
            on_wait()
            begin = time.monotonic()
            try:
                answer = send_in_thread(client, placed(call, client.settings), on_wait).result()
            except BaseException as error:
                say_if_billed(call, error)
                raise
        self._report(model, begin, answer)
        return answer

    def stream_chat(
        self,
        messages: str | list[dict[str, Any]],
        *,
        model: str,
        timeout: float | timedelta = TIMEOUT_SECONDS,
        **options: Any,
    ) -> ChatStream:
        """
        Ask a model and read its answer as it comes; costs credits. Otherwise as :meth:`chat`.

        :param messages: A text, or a list of messages in OpenAI's format.
        :param model: Model.
        :param timeout: Seconds for the whole answer, or a ``timedelta``; ten minutes by default.
        :param options: More fields of the request, passed on as they are. The usage is asked for with
            ``stream_options`` unless they have others.
        :return: An iterator of pieces of the text. At its end ``.answer`` has the whole, with tool calls,
            usage and credits. A stream that is cut, or has an error in it, raises: it never ends as a short
            answer.
        :raises ValueError: An argument is unusable; nothing was sent.
        :raises KieError: As :meth:`chat`, at once or from the iterator.

        kie.ai page: https://docs.kie.ai/market/gemini/gemini-2-5-flash
        """
        patience = positive_seconds("timeout", timeout)
        call = complete_chat(messages, model=model, options=options, stream=True, timeout=patience)
        client = self.get_conn()
        on_end = partial(self._report, model, time.monotonic())
        return ChatStream(client, placed(call, client.settings), on_end=on_end)

    def _report(self, model: str, begin: float, answer: ChatAnswer) -> None:
        cost = "price unknown" if answer.credits is None else f"{answer.credits:.15g} credits"
        log.info("%s has answered: %s, %d characters", model, cost, len(answer.text))
        if answer.finish_reason == "length":
            log.warning("The answer of %s was cut: max_tokens, or the model, allows no more", model)
        _metrics.report_chat(answer, model, time.monotonic() - begin, self.kie_conn_id)
