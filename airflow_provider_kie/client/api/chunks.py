"""A streamed chat: from the bytes of its events to the completion that they add up to. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_kie.client.api.chat import text_of

# What is whole wherever it stands; any other text comes in pieces.
_WHOLE = frozenset({"role", "id", "type", "name"})


def events(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """
    Split a stream into its events.

    :param pieces: Bytes of the stream, cut anywhere.
    :return: What each event says. An error may stand there without the ``data:`` before it.
    """
    line = bytearray()
    for piece in pieces:
        # Only these two end a line: Unicode's other line ends may stand in the middle of JSON.
        *ends, rest = piece.replace(b"\r", b"\n").split(b"\n")
        for end in ends:
            line += end
            yield from _said_by(bytes(line))
            line.clear()
        line += rest
    yield from _said_by(bytes(line))


def _said_by(line: bytes) -> Iterator[bytes]:
    field, _, value = line.partition(b":")
    if field == b"data" and value.strip():
        yield value.strip()
    elif line.lstrip().startswith(b"{"):
        yield line


class Completion:
    """The completion that a stream's chunks add up to."""

    def __init__(self) -> None:
        self._root: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    @property
    def has_begun(self) -> bool:
        """Whether there is anything of an answer."""
        return bool(self._choices)

    @property
    def is_finished(self) -> bool:
        """Whether the model has ended its answer."""
        return self.has_begun and all(choice["finish_reason"] for choice in self._choices.values())

    def add(self, chunk: Mapping[str, Any]) -> str:
        """
        Add a chunk.

        :param chunk: OpenAI's ``chat.completion.chunk``.
        :return: The text that it adds to the first choice.
        :raises KieResponseError: The text is none.
        """
        self._root |= {name: value for name, value in chunk.items() if value is not None}
        choices = chunk.get("choices")
        texts = [self._add_to_choice(one) for one in choices or [] if isinstance(one, Mapping)]
        return "".join(texts)

    def _add_to_choice(self, part: Mapping[str, Any]) -> str:
        index = part.get("index")
        number = index if isinstance(index, int) else 0
        choice = self._choices.setdefault(number, {"index": number, "message": {}, "finish_reason": None})
        choice["finish_reason"] = part.get("finish_reason") or choice["finish_reason"]
        delta = part.get("delta")
        if not isinstance(delta, Mapping):
            return ""
        text = text_of(delta.get("content"))
        _merge(choice["message"], {**delta, "content": text or None})
        return text if number == min(self._choices) else ""

    def to_dict(self) -> dict[str, Any]:
        """Give the completion in the form in which others come at once."""
        choices = [self._choices[number] for number in sorted(self._choices)]
        for choice in choices:
            for call in choice["message"].get("tool_calls") or []:
                # It was for putting the pieces together; a message to send back has none.
                call.pop("index", None)
        return self._root | {"object": "chat.completion", "choices": choices}


def _merge(whole: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for name, value in delta.items():
        known = whole.get(name)
        if name == "tool_calls" and isinstance(value, list):
            whole[name] = _merged_calls(known if isinstance(known, list) else [], value)
        elif isinstance(value, Mapping) and isinstance(known, dict):
            _merge(known, value)
        elif isinstance(value, str) and isinstance(known, str) and name not in _WHOLE:
            whole[name] = known + value
        elif value or known is None:
            whole[name] = dict(value) if isinstance(value, Mapping) else value


def _merged_calls(calls: list[dict[str, Any]], deltas: list[Any]) -> list[dict[str, Any]]:
    for delta in deltas:
        if not isinstance(delta, Mapping):
            continue
        number = delta.get("index")
        if number is None:
            # Some models send each call whole, and number none.
            number = len(calls) if delta.get("id") or not calls else calls[-1]["index"]
        call = next((call for call in calls if call["index"] == number), None)
        if call is None:
            calls.append(call := {"index": number})
        _merge(call, {name: value for name, value in delta.items() if name != "index"})
    return calls
