"""A multipart body: httpx writes the form, the file goes through in pieces of our size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import httpx

from airflow_provider_kie.client.call import FilePart, Readable
from airflow_provider_kie.client.http.sockets import PIECE


@dataclass(frozen=True)
class MultipartForm:
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
    def around(cls, file: FilePart, fields: Mapping[str, str]) -> Self:
        """
        Write the form.

        :param file: The file.
        :param fields: Text fields; they go before the file.
        :return: The form.
        """
        empty = (file.name, b"", file.mime_type)
        form = httpx.Request("POST", "http://any", data=dict(fields), files={"file": empty})
        body, content_type = form.read(), form.headers["content-type"]
        # With no bytes in it, the file ends where the last line break is before the closing boundary.
        end = body.rindex(b"\r\n", 0, -2)
        return cls(file, content_type, body[:end], body[end:])

    @property
    def headers(self) -> dict[str, str]:
        """The headers that belong to it."""
        length = len(self.before) + self.file.size + len(self.after)
        return {"Content-Type": self.content_type, "Content-Length": str(length)}

    def pieces(self, opened: Readable) -> Iterator[bytes]:
        """
        Give the whole body.

        :param opened: The file, open at its start.
        :return: Pieces.
        """
        yield self.before
        while piece := opened.read(PIECE):
            yield piece
        yield self.after
