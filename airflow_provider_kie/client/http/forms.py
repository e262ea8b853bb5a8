"""The form around a file: httpx writes it, the file goes through in pieces of our size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import httpx

from airflow_provider_kie.client.call import Call, FilePart, Readable

# httpx itself would take a quarter of this, and a third more processor time.
_PIECE = 256 * 1024


@dataclass(frozen=True)
class Form:
    """
    A multipart body, without the bytes of its file.

    :param file: The file.
    :param content_type: Value of the header.
    :param before: What goes before the file's bytes.
    :param after: What goes after them.
    """

    file: FilePart
    content_type: str
    before: bytes
    after: bytes

    @classmethod
    def around(cls, file: FilePart, call: Call[Any]) -> Self:
        """
        Write the form for a call.

        :param file: The call's file.
        :param call: The call.
        :return: The form, with the call's fields before the file.
        """
        empty = (file.name, b"", file.mime_type)
        form = httpx.Request(call.method, "http://any", data=dict(call.fields or {}), files={"file": empty})
        body, content_type = form.read(), form.headers["content-type"]
        # With no bytes in it, the file ends where the last line break is before the closing boundary.
        end = body.rindex(b"\r\n", 0, -2)
        return cls(file, content_type, body[:end], body[end:])

    @property
    def headers(self) -> dict[str, str]:
        """The headers that belong to it."""
        length = len(self.before) + self.file.size + len(self.after)
        return {"Content-Type": self.content_type, "Content-Length": str(length)}

    def pieces(self, file: Readable) -> Iterator[bytes]:
        """
        Give the whole body.

        :param file: The file, open at its start.
        :return: Pieces.
        """
        yield self.before
        while piece := file.read(_PIECE):
            yield piece
        yield self.after
