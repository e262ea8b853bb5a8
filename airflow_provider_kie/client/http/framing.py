"""Where an answer ends on its connection."""

from __future__ import annotations

import re

import h11

_HEAD_END = re.compile(rb"\n\r?\n")
_PLAIN_HEAD = re.compile(rb"HTTP/1\.1 20[06] [^\r\n]*\r\n(?:[^\r\n]+\r\n)+\r\n")
_FRAMED = re.compile(rb"(?i)\r\ntransfer-encoding[ \t]*:")
_CONTENT_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*(?=\r\n)")
# The same as in httpcore's own parser, so that both give up at the same head.
_LONGEST_HEAD = 100 * 1024


class AnswerEnd:
    """
    Finds the end of an answer; httpcore keeps any surplus in a parser that nobody can look into.

    :ivar missing: Bytes that are known to come until then; 0 as long as none are.
    """

    def __init__(self) -> None:
        self.expect()

    def expect(self) -> None:
        """Expect a new answer, because a request is being sent."""
        self._head = b""
        self.missing = 0
        self._is_counted = False
        self._parser: h11.Connection | None = None

    def surplus(self, data: bytes) -> int:
        """
        Return how many of the latest bytes lie beyond the end.

        :param data: Bytes just read from the connection.
        :return: How many at their end do not belong to the answer.
        """
        if self._is_counted:
            return self._count(data)
        if self._parser is None:
            self._head += data
            if not _HEAD_END.search(self._head) and len(self._head) < _LONGEST_HEAD:
                return 0
            # As a rule a head states the length plainly; then counting is enough, and parsing too slow.
            if (length := _length_of_plain(self._head)) is not None:
                self._is_counted = True
                self.missing = length - len(self._head) + len(data)
                return self._count(data)
            data = self._head
        try:
            return self._parse(data) if data else 0
        except h11.RemoteProtocolError:
            # httpcore will see it too.
            return 0

    def _count(self, data: bytes) -> int:
        surplus = max(0, len(data) - self.missing)
        self.missing -= len(data) - surplus
        return surplus

    def _parse(self, data: bytes) -> int:
        if self._parser is None:
            self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
            self._parser.send(h11.Request(method="GET", target="/", headers=[("Host", "any")]))
            self._parser.send(h11.EndOfMessage())
        self._parser.receive_data(data)
        while (event := self._parser.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            pass
        return len(self._parser.trailing_data[0]) if event is h11.PAUSED else 0


def _length_of_plain(data: bytes) -> int | None:
    """Return the length of head and body if the head is complete and states it plainly."""
    head = _PLAIN_HEAD.match(data)
    if head is None or _FRAMED.search(head[0]):
        return None
    lengths = _CONTENT_LENGTH.findall(head[0])
    return head.end() + int(lengths[0]) if len(lengths) == 1 else None
