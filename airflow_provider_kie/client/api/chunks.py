"""A streamed chat: from the bytes of its events to the completion that they add up to. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_kie.client.api.chat import text_of
from airflow_provider_kie.client.errors import KieResponseError
from airflow_provider_kie.client.portable import DEPTH

# What is whole wherever it stands; any other text comes in pieces.
_WHOLE = frozenset({"role", "id", "type", "name"})


class _Text(list[str]):
    """The pieces of a text; joining them as they come would take ever longer."""


def events(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """
    Split a stream into its events, one a line of ``data``, as OpenAI writes them.

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
        :raises KieResponseError: The text is none, or a whole message stands in its place.
        """
        self._root |= {name: value for name, value in chunk.items() if value is not None}
        choices = chunk.get("choices")
        parts = choices if isinstance(choices, list) else []
        return "".join([self._add_to_choice(part) for part in parts if isinstance(part, Mapping)])

    def _add_to_choice(self, part: Mapping[str, Any]) -> str:
        index = part.get("index")
        number = index if isinstance(index, int) else 0
        choice = self._choices.setdefault(number, {"index": number, "message": {}, "finish_reason": None})
        choice["finish_reason"] = part.get("finish_reason") or choice["finish_reason"]
        delta = part.get("delta")
        if not isinstance(delta, Mapping):
            if part.get("message"):
                raise KieResponseError("a whole message stands where a piece of one is due")
            return ""
        text, calls = text_of(delta.get("content")), delta.get("tool_calls")
        rest = {name: value for name, value in delta.items() if name != "tool_calls"}
        _merge(choice["message"], rest | {"content": text or None})
        for call in calls if isinstance(calls, list) else []:
            if isinstance(call, Mapping):
                _add_call(choice["message"].setdefault("tool_calls", []), call)
        # Of several choices the one that begins is the first.
        return text if number == next(iter(self._choices)) else ""

    def to_dict(self) -> dict[str, Any]:
        """Give the completion in the form in which others come at once."""
        choices = _joined(list(self._choices.values()))
        for choice in choices:
            for call in choice["message"].get("tool_calls", []):
                # It was for putting the pieces together; a message to send back has none.
                call.pop("index", None)
        return self._root | {"object": "chat.completion", "choices": choices}


def _merge(whole: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for name, value in delta.items():
        known = whole.get(name)
        if isinstance(value, Mapping) and isinstance(known, dict | None):
            whole[name] = known or {}
            _merge(whole[name], value)
        elif isinstance(value, str) and isinstance(known, _Text | None) and name not in _WHOLE:
            whole[name] = known or _Text()
            whole[name].append(value)
        elif value or known is None:
            whole[name] = value


def _joined(value: Any, depth: int = DEPTH) -> Any:
    if isinstance(value, _Text):
        return "".join(value)
    if isinstance(value, dict | list) and not depth:
        return None
    if isinstance(value, dict):
        return {name: _joined(one, depth - 1) for name, one in value.items()}
    return [_joined(one, depth - 1) for one in value] if isinstance(value, list) else value


def _add_call(calls: list[dict[str, Any]], delta: Mapping[str, Any]) -> None:
    number = delta.get("index")
    if number is None:
        # Some models send each call whole, and number none.
        number = len(calls) if delta.get("id") or not calls else calls[-1]["index"]
    call = next((call for call in reversed(calls) if call["index"] == number), None)
    if call is None or _is_another(call, delta):
        calls.append(call := {"index": number})
    _merge(call, {name: value for name, value in delta.items() if name != "index"})


def _is_another(call: Mapping[str, Any], delta: Mapping[str, Any]) -> bool:
    """Tell whether a call begins under the number of one that is known: some models give all the same."""
    function = delta.get("function")
    is_named = isinstance(function, Mapping) and bool(function.get("name"))
    return is_named and bool(delta.get("id") and call.get("id") and delta["id"] != call["id"])
