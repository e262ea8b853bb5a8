"""The upload host: three ways in, and the files that came in."""

from __future__ import annotations

import binascii
import mimetypes
import re
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from fastapi import Depends, FastAPI, Request
from starlette.responses import Response

from airflow_provider_kie.simulator.answers import Refused, upload_error, upload_success
from airflow_provider_kie.simulator.bodies import read_json
from airflow_provider_kie.simulator.downloads import serve
from airflow_provider_kie.simulator.fetching import fetch
from airflow_provider_kie.simulator.files import Incoming, UploadedObject
from airflow_provider_kie.simulator.forms import read_form
from airflow_provider_kie.simulator.routes import bare_app, key_check
from airflow_provider_kie.simulator.state import State

MAX_BASE64 = 10_000_000
_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^;,]*)*;base64,")


def upload_app(state: State) -> FastAPI:
    """
    Build the upload host.

    :param state: what the routes read and change.
    :return: the application.
    """
    app = bare_app(upload_error)
    keyed = [Depends(key_check(state, lambda: upload_error(401, status=200)))]

    @app.post("/api/file-stream-upload", dependencies=keyed)
    async def stream_upload(request: Request) -> Response:
        with state.files.incoming() as incoming:
            form = await read_form(request, incoming)
            if form.client_name is None:
                raise Refused(upload_error(400, "Missing required parameter: file"))
            return keep(state, incoming, form.fields, form.client_name)

    @app.post("/api/file-url-upload", dependencies=keyed)
    async def url_upload(request: Request) -> Response:
        fields = await read_json(request, upload_error, unreadable=400)
        url = required(fields, "fileUrl")
        destination(fields, "")
        with state.files.incoming() as incoming:
            await fetch(web_url(url), incoming)
            return keep(state, incoming, fields, unquote(urlsplit(url).path))

    @app.post("/api/file-base64-upload", dependencies=keyed)
    async def base64_upload(request: Request) -> Response:
        fields = await read_json(request, upload_error, unreadable=400)
        data, name = decoded(required(fields, "base64Data"))
        with state.files.incoming() as incoming:
            incoming.write(data)
            return keep(state, incoming, fields, name)

    @app.api_route("/kieai/{path:path}", methods=["GET", "HEAD"])
    async def uploaded(path: str) -> Response:
        return serve(state.files.find_upload(f"kieai/{path}"))

    return app


def required(fields: Mapping[str, Any], name: str) -> str:
    """
    Take a text field that the caller must send.

    :param fields: the fields of the request.
    :param name: the field's name.
    :return: the text.
    :raises Refused: with code 400, when it is missing or empty.
    """
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise Refused(upload_error(400, f"Missing required parameter: {name}"))
    return value


def web_url(url: str) -> str:
    """
    Check that a URL can be fetched.

    :param url: any text.
    :return: the URL.
    :raises Refused: with code 400, when it is not http or https.
    """
    if not re.match(r"https?://[^/]", url, re.IGNORECASE):
        # invented: these words, and those of the refused paths and names below.
        raise Refused(upload_error(400, "Invalid fileUrl: only http and https URLs can be downloaded"))
    return url


def decoded(text: str) -> tuple[bytes, str]:
    """
    Decode base64 data.

    :param text: bare base64 or a ``data:`` URL; the standard alphabet, no white space.
    :return: the bytes, and a name with the extension of the ``data:`` URL's MIME type.
    :raises Refused: with code 400 when it is not base64, with 413 above 10 MB.
    """
    prefix = _DATA_URL.match(text)
    try:
        data = binascii.a2b_base64(text[prefix.end() :] if prefix else text, strict_mode=True)
    except ValueError:
        raise Refused(upload_error(400, "Base64 decoding failed: Invalid Base64 format")) from None
    # invented: that kie.ai refuses what exceeds its advice, here and by URL, and the code.
    if len(data) > MAX_BASE64:
        raise Refused(upload_error(413))
    return data, "file" + ((prefix and mimetypes.guess_extension(prefix[1])) or "")


def destination(fields: Mapping[str, Any], original: str) -> tuple[str, str]:
    """
    Decide where a file goes.

    :param fields: the fields of the request.
    :param original: its name at the source, whose extension a generated name takes.
    :return: the upload path and the file name.
    :raises Refused: with code 400, for a path or name that kie.ai does not accept.
    """
    path = required(fields, "uploadPath")
    if path.startswith("/") or path.endswith("/") or ".." in path.split("/") or "\0" in path:
        raise Refused(upload_error(400, "Invalid uploadPath: no leading or trailing slash, no '..', no NUL"))
    name = fields.get("fileName")
    if not isinstance(name, str) or not name:
        # invented: the extension of a file that came without one.
        extension = PurePosixPath(original).suffix or ".bin"
        name = f"{time.time_ns() // 1_000_000}-{secrets.token_hex(4)}{extension}"
    if "/" in name or "\0" in name or name in (".", ".."):
        raise Refused(upload_error(400, "Invalid fileName: no slash, no NUL, and not only dots"))
    return path, name


def keep(state: State, incoming: Incoming, fields: Mapping[str, Any], original: str) -> Response:
    """
    Store what has arrived, and describe it to the caller.

    :param state: knows the account, the host and the shape of the answer.
    :param incoming: the bytes, completely written.
    :param fields: the fields of the request.
    :param original: the file's name at the source.
    :return: the answer.
    """
    upload_path, name = destination(fields, original)
    path = f"kieai/{state.account}/{upload_path}/{name}"
    known = state.files.keep(incoming, path, f"{state.upload_url}/{quote(path)}")
    if state.upload_shape == "recorded":
        return upload_success(recorded_shape(known))
    return upload_success(quickstart_shape(known, upload_path, PurePosixPath(original).name or name))


def recorded_shape(known: UploadedObject) -> dict[str, Any]:
    """
    Describe a file as every recorded answer does.

    :param known: the file.
    :return: the answer's ``data``.
    """
    return {
        "success": True,
        "fileName": known.name,
        "filePath": known.path,
        "downloadUrl": known.download_url,
        "fileSize": known.size,
        "mimeType": known.mime_type,
        "uploadedAt": _stamp("milliseconds"),
    }


def quickstart_shape(known: UploadedObject, upload_path: str, original: str) -> dict[str, Any]:
    """
    Describe a file as kie.ai's quickstart page does, and no recorded answer.

    :param known: the file.
    :param upload_path: the caller's upload path.
    :param original: the file's name at the source.
    :return: the answer's ``data``.
    """
    return {
        "fileId": f"file_{known.sha256[:9]}",
        "fileName": known.name,
        "originalName": original,
        "fileSize": known.size,
        "mimeType": known.mime_type,
        "uploadPath": upload_path,
        "fileUrl": known.download_url,
        "downloadUrl": known.download_url,
        "uploadTime": _stamp("seconds"),
        "expiresAt": _stamp("seconds", timedelta(days=3)),
    }


def _stamp(precision: str, later: timedelta = timedelta(0)) -> str:
    return (datetime.now(UTC) + later).isoformat(timespec=precision).replace("+00:00", "Z")
