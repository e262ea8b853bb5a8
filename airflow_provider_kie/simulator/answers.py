"""kie.ai's words: the names of its calls, its error messages, and the bodies they come in."""

from __future__ import annotations

import gzip
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

API_CALLS = ("credit", "download-url", "createTask", "recordInfo", "chat")
UPLOAD_CALLS = ("file-stream-upload", "file-url-upload", "file-base64-upload")
CALLS = (*API_CALLS, *UPLOAD_CALLS, "file")
UNKNOWN = "unknown"
"""The name under which a request to no known path is recorded."""
BROKEN = "kie.broken"
"""The key in a request's ASGI scope of the exception that a route raised."""
CODE = "kie.code"
"""The key in a request's ASGI scope of the answer's kie.ai code."""

MESSAGES = {
    401: "Unauthorized – Authentication failed. "  # noqa: RUF001 (the dash is kie.ai's)
    "Please check that your Authorization and Content-Type headers are correctly set.",
    422: "url is wrong",
    429: "Your call frequency is too high. Please try again later.",
    430: "Your call frequency is too high. Please try again later.",
    500: "Server exception, please try again later",
    # invented: the messages from here on; kie.ai documents the codes but not their messages.
    400: "Bad Request",
    402: "Insufficient credits. Please recharge your account.",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "File too large",
    416: "Range Not Satisfiable",
    433: "The usage limit of this API key has been reached",
    451: "Failed to fetch the image. Please check the URL and try again.",
    455: "The service is under maintenance. Please try again later.",
    505: "This feature is currently disabled",
}
UPLOAD_MESSAGES = {
    200: "File uploaded successfully",
    401: "Authentication failed: Invalid API Key",
    500: "Internal server error",
}


class Refused(Exception):
    """
    Ends a request with an answer of its own.

    :param response: the answer to send.
    """

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class KieJSON(JSONResponse):
    """Kie.ai's JSON, gzipped and in chunks for clients that accept it: Cloudflare fronts both hosts."""

    # invented: that the upload host spells it like this too.
    media_type = "application/json;charset=UTF-8"

    def __init__(self, content: dict[str, Any], status_code: int = 200) -> None:
        super().__init__(content, status_code)
        self._code = content.get("code")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[CODE] = self._code
        self.headers["vary"] = "Accept-Encoding"
        if accepts_gzip(Headers(scope=scope).get("accept-encoding", "")):
            self.body = gzip.compress(self.body)
            self.headers["content-encoding"] = "gzip"
            del self.headers["content-length"]
        await super().__call__(scope, receive, send)


def accepts_gzip(header: str) -> bool:
    """
    Return whether a client accepts gzip.

    :param header: its ``Accept-Encoding``; empty when it sends none.
    :return: True when gzip is named and not refused by ``q=0``.
    """
    for one in header.lower().split(","):
        name, _, weight = one.replace(" ", "").partition(";q=")
        if name == "gzip":
            return weight.strip("0.") != "" or not weight
    return False


def api_success(data: Any) -> Response:
    """
    Build the API host's success answer.

    :param data: the value of ``data``.
    :return: HTTP 200, code 200.
    """
    return KieJSON({"code": 200, "msg": "success", "data": data})


def api_message(code: int) -> str:
    """
    Give the message of the API host for a code.

    :param code: kie.ai's code.
    :return: the message.
    """
    return "success" if code == 200 else MESSAGES.get(code, f"Error {code}")


def api_error(code: int, msg: str | None = None, *, status: int = 200) -> Response:
    """
    Build the API host's error answer: HTTP 200, the error in the body.

    :param code: kie.ai's code.
    :param msg: the message; by default the one kie.ai gives for this code.
    :param status: the HTTP status.
    :return: the answer.
    """
    body = {"code": code, "msg": api_message(code) if msg is None else msg, "data": None}
    if code == 401:
        del body["data"]
    return KieJSON(body, status)


def upload_success(data: dict[str, Any]) -> Response:
    """
    Build the upload host's answer for a stored file.

    :param data: what is known of the file.
    :return: HTTP 200, code 200.
    """
    return KieJSON({"success": True, "code": 200, "msg": UPLOAD_MESSAGES[200], "data": data})


def upload_error(code: int, msg: str | None = None, *, status: int | None = None) -> Response:
    """
    Build the upload host's error answer; its errors have no ``data``.

    :param code: kie.ai's code.
    :param msg: the message; by default the one kie.ai gives for this code.
    :param status: the HTTP status; by default the code.
    :return: the answer.
    """
    if msg is None:
        msg = UPLOAD_MESSAGES.get(code) or MESSAGES.get(code, f"Error {code}")
    body: dict[str, Any] = {"success": code == 200, "code": code, "msg": msg}
    if code == 200:
        body["data"] = None
    return KieJSON(body, status or code)


def file_error(status: int, msg: str | None = None) -> Response:
    """
    Build a file host's answer when it has no file to serve: a status and plain text.

    :param status: the HTTP status.
    :param msg: the text.
    :return: the answer.
    """
    # invented: that it is plain text, and its words.
    return PlainTextResponse(msg or MESSAGES.get(status, f"Error {status}"), status)


def store_error(status: int, code: str, msg: str) -> Response:
    """
    Build an S3-compatible store's refusal of a signed link.

    :param status: the HTTP status.
    :param code: S3's name of the error, such as ``AccessDenied``.
    :param msg: S3's message.
    :return: the XML answer.
    """
    # invented: modelled on S3, whose messages these are.
    xml = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{msg}</Message></Error>'
    return Response(xml, status, media_type="application/xml")


def gateway_page(status: int) -> str:
    """
    Build the page that Cloudflare shows when kie.ai does not answer it.

    :param status: the HTTP status that the page names.
    :return: HTML.
    """
    # invented: as long and as little informative as Cloudflare's.
    paragraphs = "<p>The web server reported an error to the network in front of it.</p>\n" * 20
    return (
        f"<!DOCTYPE html>\n<html><head><title>api.kie.ai | {status}: Bad gateway</title></head>\n"
        f"<body><h1>Error code {status}</h1>\n{paragraphs}<p>Cloudflare Ray ID: 0</p></body></html>\n"
    )
