"""Stream uploads: a multipart form whose file goes to disk while it arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError, MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from airflow_provider_kie.simulator.answers import Refused, upload_error
from airflow_provider_kie.simulator.files import Incoming

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_TEXT = 64 * 1024
"""Bytes that a text field may have."""
FIELDS = ("uploadPath", "fileName")


class StreamForm:
    """
    The parts of one stream upload, in any order; of several files the first counts.

    :param incoming: where the part ``file`` goes.
    """

    def __init__(self, incoming: Incoming) -> None:
        self.fields: dict[str, str] = {}
        self.client_name: str | None = None
        """The name that the client's form gives the file; None until the file comes."""
        self.complete = False
        self._incoming = incoming
        self._header = self._value = self._disposition = self._text = b""
        self._name = ""
        self._is_file = self._is_text = False

    def callbacks(self) -> MultipartCallbacks:
        """
        Return the methods that the multipart parser calls.

        :return: callbacks by the parser's names.
        """
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _part_begin(self) -> None:
        self._disposition = self._text = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode(errors="replace")
        self._is_text = self._name != "file"
        self._is_file = not self._is_text and self.client_name is None
        if self._is_file:
            self.client_name = options.get(b"filename", b"").decode(errors="replace")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._incoming.write(data[start:end])
        elif self._is_text:
            self._text += data[start:end]
            if len(self._text) > MAX_TEXT:
                # invented: the bound, and the words of this module's refusals.
                raise MultipartParseError(f"The field {self._name[:100]} is too long.")

    def _part_end(self) -> None:
        if self._name in FIELDS:
            self.fields[self._name] = self._text.decode(errors="replace")

    def _end(self) -> None:
        self.complete = True


async def read_form(request: Request, incoming: Incoming) -> StreamForm:
    """
    Read a stream upload.

    :param request: the request, its body unread.
    :param incoming: where the file goes.
    :return: the form, complete.
    :raises Refused: with code 400, when the body is not a multipart form.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise Refused(upload_error(400, "Content-Type must be multipart/form-data"))
    form = StreamForm(incoming)
    try:
        parser = MultipartParser(boundary, form.callbacks())
        async for piece in request.stream():
            parser.write(piece)
    except FormParserError as error:
        raise Refused(upload_error(400, f"Invalid form data: {error}")) from error
    if not form.complete:
        raise Refused(upload_error(400, "Invalid form data: the last boundary is missing"))
    return form
