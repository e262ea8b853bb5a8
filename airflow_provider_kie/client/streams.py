"""A chat's answer, read as it comes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from types import TracebackType
from typing import Self

from tenacity import Retrying

from airflow_provider_kie.client.answers import is_refusal
from airflow_provider_kie.client.api.chat import ChatAnswer, parse_chat, say_if_billed
from airflow_provider_kie.client.api.chunks import Completion, events
from airflow_provider_kie.client.call import Call
from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.errors import KieConnectionError, KieResponseError
from airflow_provider_kie.client.http.responses import OpenResponse
from airflow_provider_kie.client.http.session import Answer
from airflow_provider_kie.client.portable import whole_characters

_LAST = b"[DONE]"
# What may stand before the first event: blanks, and the byte order mark.
_BLANK = b"\xef\xbb\xbf \t\r\n"


class ChatStream(Iterator[str]):
    """
    The text of an answer, piece by piece; at its end :attr:`answer` has the whole, with usage and credits.

    Use it as a context manager, or call :meth:`close`, unless it is read to its end. A stream that breaks off
    raises, and has no answer.

    :param client: Sends the call; closed with the stream.
    :param call: What to ask, from :func:`airflow_provider_kie.client.api.chat.complete_chat` with ``stream``.
    :param on_end: Told of the answer once it is whole.
    :raises KieError: kie.ai refused, or could not be reached after all retries.
    """

    def __init__(
        self,
        client: KieClient,
        call: Call[ChatAnswer],
        *,
        on_end: Callable[[ChatAnswer], None] = lambda answer: None,
    ) -> None:
        self._client = client
        self._call = call
        self._on_end = on_end
        self._answer: ChatAnswer | None = None
        self._completion = Completion()
        self._open = ExitStack()
        self._open.enter_context(client)
        policy = client.retry_policy(call.name, repeatable=call.repeatable)
        with self._closed_by_errors():
            self._texts: Iterator[str] = Retrying(**policy)(self._begin)

    @property
    def answer(self) -> ChatAnswer:
        """
        The whole answer.

        :raises RuntimeError: The stream has not been read to its end, or broke off.
        """
        if self._answer is None:
            raise RuntimeError("a stream has its answer once it has been read to its end without an error")
        return self._answer

    def __next__(self) -> str:
        with self._closed_by_errors():
            for text in self._texts:
                return text
        self.close()
        raise StopIteration

    def close(self) -> None:
        """Close the connection; what has not come yet is lost, and may be billed."""
        self._texts = iter(())
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self) -> Iterator[str]:
        """Send the call, and read up to where it shows whether a stream comes, or an answer as a whole."""
        with ExitStack() as stack:
            response = stack.enter_context(self._client.open_answer(self._call))
            pieces = response.pieces()
            head = next(filter(None, (piece.lstrip(_BLANK) for piece in pieces)), b"")
            if response.status >= 300 or head[:1] in (b"", b"{", b"<"):
                # kie.ai's refusals come so, and the answers of models that cannot stream.
                return self._whole(self._judge(response, head + b"".join(pieces)))
            self._open.enter_context(stack.pop_all())
        return self._as_it_comes(response, head, pieces)

    def _whole(self, answer: ChatAnswer) -> Iterator[str]:
        yield from filter(None, [answer.text])
        self._end(answer)

    def _as_it_comes(self, response: OpenResponse, head: bytes, pieces: Iterable[bytes]) -> Iterator[str]:
        half = ""
        for event in events(chain([head], pieces)):
            if event == _LAST:
                break
            text = half + self._add(response, event)
            # A character beyond 16 bits can come in two events, half in each.
            half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
            if text := whole_characters(text.removesuffix(half)):
                yield text
        if not self._completion.has_begun:
            # It is no stream; most of what can stand there instead is told by its first words.
            self._judge(response, head)
            raise KieResponseError(f"{self._call.name}: the stream ended without an answer in it")
        if not self._completion.is_finished:
            raise KieConnectionError(f"{self._call.name}: the stream ended before the answer did")
        yield from filter(None, [whole_characters(half)])
        self._end(parse_chat(self._completion.to_dict()))

    def _end(self, answer: ChatAnswer) -> None:
        self._answer = answer
        self._on_end(answer)

    def _add(self, response: OpenResponse, event: bytes) -> str:
        try:
            chunk = json.loads(event)
            if isinstance(chunk, dict) and not is_refusal(self._call, response.status, chunk):
                return self._completion.add(chunk)
        except (ValueError, RecursionError, KieResponseError):
            pass
        # An error in the middle, in the form in which it would have come at the beginning.
        self._judge(response, event)
        raise KieResponseError(f"{self._call.name}: the stream has an event in it that nobody can read")

    def _judge(self, response: OpenResponse, body: bytes) -> ChatAnswer:
        return self._client.judge(self._call, Answer(response.status, response.headers, body))

    @contextmanager
    def _closed_by_errors(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.close()
            say_if_billed(self._call, error, begun=self._completion.has_begun)
            raise
