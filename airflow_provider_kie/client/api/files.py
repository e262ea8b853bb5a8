"""Uploads and signed links: their calls, results and parsers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pendulum

from airflow_provider_kie.client.call import Call, FilePart
from airflow_provider_kie.client.errors import KieResponseError
from airflow_provider_kie.client.urls import is_http_url


@dataclass(frozen=True)
class UploadReceipt:
    """
    kie.ai's answer to an upload.

    :param file_name: Name under which the file is kept.
    :param file_path: Path at kie.ai, beginning with the account's prefix.
    :param download_url: Public URL, good until the file expires.
    :param file_size: Bytes, as kie.ai counted them.
    :param mime_type: Media type, which kie.ai takes from the name's extension.
    :param uploaded_at: Time of the upload, ISO 8601 in UTC.
    :param expires_at: Time of its deletion, ISO 8601 in UTC; None if the answer does not say.
    :param extra: All other fields of the answer, unchanged.
    """

    file_name: str
    file_path: str
    download_url: str
    file_size: int
    mime_type: str
    uploaded_at: str
    expires_at: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def get_download_url(file_url: str) -> Call[str]:
    """
    Ask for a signed link to a generated file.

    :param file_url: URL of a file that kie.ai generated.
    :return: A call that returns a link good for 20 minutes; free.

    kie.ai page: https://docs.kie.ai/common-api/download-url
    """
    path = "/api/v1/common/download-url"
    return Call("download-url", "api", "POST", path, parse_link, json={"url": file_url})


def upload_stream(upload_path: str, file: FilePart) -> Call[UploadReceipt]:
    """
    Upload a file as a stream.

    :param upload_path: Folder, without slashes at either end.
    :param file: The file and its name at kie.ai.
    :return: A call that returns the receipt; free, and repeatable, because the same name overwrites.

    kie.ai page: https://docs.kie.ai/file-upload-api/upload-file-stream
    """
    fields = {"uploadPath": upload_path, "fileName": file.name}
    path = "/api/file-stream-upload"
    return Call("stream upload", "upload", "POST", path, parse_upload, fields=fields, file=file)


def upload_base64(upload_path: str, file_name: str, base64_data: str) -> Call[UploadReceipt]:
    """
    Upload a small file inside JSON.

    :param upload_path: Folder, without slashes at either end.
    :param file_name: Its name at kie.ai.
    :param base64_data: The bytes in the standard alphabet, without white space.
    :return: A call that returns the receipt; free.

    kie.ai page: https://docs.kie.ai/file-upload-api/upload-file-base-64
    """
    body = {"base64Data": base64_data, "uploadPath": upload_path, "fileName": file_name}
    return Call("base64 upload", "upload", "POST", "/api/file-base64-upload", parse_upload, json=body)


def upload_url(upload_path: str, file_name: str, file_url: str) -> Call[UploadReceipt]:
    """
    Have kie.ai fetch a file.

    :param upload_path: Folder, without slashes at either end.
    :param file_name: Its name at kie.ai.
    :param file_url: Public http(s) URL; kie.ai gives up after 30 seconds.
    :return: A call that returns the receipt; free.

    kie.ai page: https://docs.kie.ai/file-upload-api/upload-file-url
    """
    body = {"fileUrl": file_url, "uploadPath": upload_path, "fileName": file_name}
    return Call("url upload", "upload", "POST", "/api/file-url-upload", parse_upload, json=body)


def parse_link(data: Any) -> str:
    """
    Read a download link.

    :param data: The answer's ``data``: a bare URL.
    :return: The link, which is a secret: whoever has it can read the file.
    :raises KieResponseError: It is not an http(s) URL.
    """
    if isinstance(data, str) and is_http_url(data):
        return data
    raise KieResponseError(f"the download link is no URL but {type(data).__name__}")


def parse_upload(data: Any) -> UploadReceipt:
    """
    Read the answer to an upload, in the recorded shape or in the quickstart's.

    :param data: The answer's ``data``.
    :return: The receipt.
    :raises KieResponseError: A promised field is missing or of the wrong kind.
    """
    if not isinstance(data, Mapping):
        raise KieResponseError(f"the upload's answer is no object but {type(data).__name__}")
    fields = dict(data)
    file_name = _take(fields, str, "fileName")
    if "filePath" in fields:
        file_path = _take(fields, str, "filePath")
    else:
        file_path = f"{_take(fields, str, 'uploadPath')}/{file_name}"
    download_url = _take(fields, str, "downloadUrl", "fileUrl")
    if not is_http_url(download_url):
        raise KieResponseError("the upload's answer has a downloadUrl that is no URL")
    return UploadReceipt(
        file_name=file_name,
        file_path=file_path,
        download_url=download_url,
        file_size=_take(fields, int, "fileSize"),
        mime_type=_take(fields, str, "mimeType"),
        uploaded_at=_as_utc(_take(fields, str, "uploadedAt", "uploadTime")),
        expires_at=_as_utc(_take(fields, str, "expiresAt")) if fields.get("expiresAt") else None,
        extra=fields,
    )


def hours_later(moment: str, hours: float) -> str:
    """
    Add hours to a moment.

    :param moment: ISO 8601.
    :param hours: How many.
    :return: ISO 8601 in UTC.
    """
    return (_parse_time(moment) + timedelta(hours=hours)).to_iso8601_string()


def _take(fields: dict[str, Any], kind: type, *names: str) -> Any:
    for name in names:
        value = fields.pop(name, None)
        if isinstance(value, kind) and not isinstance(value, bool) and value != "":
            return value
    raise KieResponseError(f"the upload's answer has no usable {' or '.join(names)}")


def _as_utc(moment: str) -> str:
    return _parse_time(moment).to_iso8601_string()


def _parse_time(moment: str) -> pendulum.DateTime:
    # pendulum also reads "now", times without a date, durations; kie.ai sends none of these.
    try:
        parsed = pendulum.parse(moment) if re.match(r"\d{4}-\d\d-\d\d[T ]", moment) else None
        if isinstance(parsed, pendulum.DateTime):
            return parsed.in_timezone("UTC")
    except (ValueError, OverflowError):
        pass
    raise KieResponseError("the upload's answer has a time that is not ISO 8601")
