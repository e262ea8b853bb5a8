"""Airflow's API server as a running task sees it, on loopback."""

from __future__ import annotations

import contextlib
import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from .task_instance import Request, Route, TaskInstance

_OF_A_TASK: dict[str, Route] = {"run": "run", "state": "state", "heartbeat": "heartbeat", "rtif": "fields"}
_ELSEWHERE: dict[str, Route] = {"connections": "connection", "store": "store", "xcoms": "xcom"}
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def _handle(self) -> None:
        key, *parts = [unquote(part) for part in urlsplit(self.path).path.split("/") if part]
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        route = _OF_A_TASK.get(parts[-1]) if parts[0] == "task-instances" else _ELSEWHERE.get(parts[0])
        version = self.headers.get("airflow-api-version", "")
        instance = next((part for part in parts[:3] if _ID.fullmatch(part)), "")
        request = Request(
            route or "other", self.command, parts[-1], instance, len(body), time.monotonic(), version
        )
        status, answer = self.server.tasks[key].answer(request, json.loads(body or b"null"))
        if not status:
            self.close_connection = True
            return
        told = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        # A supervisor that gave up waiting, or has ended.
        with contextlib.suppress(OSError):
            self.wfile.write(told)
            self.wfile.flush()

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _handle

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    tasks: dict[str, TaskInstance]

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A supervisor that was killed is no error here.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class ExecutionApi:
    """The server; each task instance has a base URL of its own."""

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.tasks = {}
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, task: TaskInstance) -> str:
        """
        Give the base URL that answers for a task instance.

        :param task: It.
        :return: The URL, with a slash at its end.
        """
        key = str(id(task))
        self._server.tasks[key] = task
        return f"http://127.0.0.1:{self._server.server_address[1]}/{key}/"
