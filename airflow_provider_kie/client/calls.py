"""kie.ai's calls as values: what to send and how to read the answer. No I/O happens here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from airflow_provider_kie.client.models import UploadReceipt, parse_credits, parse_link, parse_upload

T = TypeVar("T")


class Readable(Protocol):
    """What a file's bytes are read from: the part of a binary file that an upload needs."""

    def read(self, size: int = -1, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...


@dataclass(frozen=True)
class FilePart:
    """
    The file of a multipart body.

    :param name: File name.
    :param mime_type: Media type.
    :param open: Opens the bytes from their start; called once for each attempt.
    """

    name: str
    mime_type: str
    open: Callable[[], AbstractContextManager[Readable]]


@dataclass(frozen=True)
class Call(Generic[T]):
    """
    One request to kie.ai and how its answer is read.

    :param name: What it is called in logs and errors.
    :param host: Which of the two hosts answers it.
    :param method: HTTP method.
    :param path: Path below the host's base URL.
    :param parse: Turns the answer's ``data`` into the result.
    :param json: JSON body.
    :param fields: Text fields of a multipart body; they go before the file.
    :param file: File of a multipart body.
    :param repeatable: False where sending it twice may cost money: then it is repeated only when it was
        refused or never sent.
    """

    name: str
    host: Literal["api", "upload"]
    method: Literal["GET", "POST"]
    path: str
    parse: Callable[[Any], T]
    json: Mapping[str, Any] | None = None
    fields: Mapping[str, str] | None = None
    file: FilePart | None = None
    repeatable: bool = True


def get_credits() -> Call[float]:
    """
    Ask for the balance.

    :return: A call that gives the credits; free.

    kie.ai page: https://docs.kie.ai/common-api/get-account-credits
    """
    return Call("credits", "api", "GET", "/api/v1/chat/credit", parse_credits)


def get_download_url(file_url: str) -> Call[str]:
    """
    Ask for a signed link to a generated file.

    :param file_url: URL of a file that kie.ai generated.
    :return: A call that gives a link good for 20 minutes; free.

    kie.ai page: https://docs.kie.ai/common-api/download-url
    """
    path = "/api/v1/common/download-url"
    return Call("download-url", "api", "POST", path, parse_link, json={"url": file_url})


def upload_stream(upload_path: str, file: FilePart) -> Call[UploadReceipt]:
    """
    Upload a file as a stream.

    :param upload_path: Folder, without slashes at its ends.
    :param file: The file and the name it gets.
    :return: A call that gives the receipt; free, and the same name overwrites, so it is repeatable.

    kie.ai page: https://docs.kie.ai/file-upload-api/upload-file-stream
    """
    fields = {"uploadPath": upload_path, "fileName": file.name}
    path = "/api/file-stream-upload"
    return Call("stream upload", "upload", "POST", path, parse_upload, fields=fields, file=file)


def upload_base64(upload_path: str, file_name: str, base64_data: str) -> Call[UploadReceipt]:
    """
    Upload a small file inside JSON.

    :param upload_path: Folder, without slashes at its ends.
    :param file_name: Name it gets.
    :param base64_data: The bytes in the standard alphabet, without white space.
    :return: A call that gives the receipt; free.

    kie.ai page: https://docs.kie.ai/file-upload-api/upload-file-base-64
    """
    body = {"base64Data": base64_data, "uploadPath": upload_path, "fileName": file_name}
    return Call("base64 upload", "upload", "POST", "/api/file-base64-upload", parse_upload, json=body)


def upload_url(upload_path: str, file_name: str, file_url: str) -> Call[UploadReceipt]:
    """
    Have kie.ai fetch a file.

    :param upload_path: Folder, without slashes at its ends.
    :param file_name: Name it gets.
    :param file_url: Public http(s) URL; kie.ai gives up after 30 seconds.
    :return: A call that gives the receipt; free.

    kie.ai page: https://docs.kie.ai/file-upload-api/upload-file-url
    """
    body = {"fileUrl": file_url, "uploadPath": upload_path, "fileName": file_name}
    return Call("url upload", "upload", "POST", "/api/file-url-upload", parse_upload, json=body)
