"""A call to kie.ai as a value: what to send and how to read the answer. No I/O happens here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from airflow_provider_kie.client.errors import KieError

T = TypeVar("T")

# kie.ai's answers are under 2 KB; anything larger than this is not one of them.
ANSWER_LIMIT = 1024 * 1024


class Readable(Protocol):
    """The part of a binary file's interface that an upload needs."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True)
class FilePart:
    """
    The file of a multipart body.

    :param name: File name.
    :param mime_type: Media type.
    :param size: Bytes.
    :param open: Opens the file at its start; called once per attempt.
    """

    name: str
    mime_type: str
    size: int
    open: Callable[[], AbstractContextManager[Readable]]


@dataclass(frozen=True)
class Call(Generic[T]):
    """
    One request to kie.ai and how to read its answer.

    :param name: Its name in logs and errors.
    :param host: Which of the two hosts answers it.
    :param method: HTTP method.
    :param path: Path below the host's base URL.
    :param parse: Turns the answer's ``data`` into the result.
    :param params: Query.
    :param json: JSON body.
    :param fields: Text fields of a multipart body; they go before the file.
    :param file: File of a multipart body.
    :param explain: Turns an error that the answer stands for into one that says more.
    :param repeatable: False if sending it twice may cost money; it is then repeated only if it was refused
        or never sent.
    :param bare: True if a success comes without kie.ai's envelope; refusals have it all the same.
    :param seconds: How long the answer may take; None for the settings' timeout.
    :param limit: Bytes that the answer may have.
    """

    name: str
    host: Literal["api", "upload"]
    method: Literal["GET", "POST"]
    path: str
    parse: Callable[[Any], T]
    params: Mapping[str, str] | None = None
    json: Mapping[str, Any] | None = None
    fields: Mapping[str, str] | None = None
    file: FilePart | None = None
    explain: Callable[[KieError], KieError] | None = None
    repeatable: bool = True
    bare: bool = False
    seconds: float | None = None
    limit: int = ANSWER_LIMIT
