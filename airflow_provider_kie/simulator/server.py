"""The simulator as its users see it: started beside a test and steered from it."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import get_args

from airflow_provider_kie.simulator.app import HOSTS, Front
from airflow_provider_kie.simulator.files import UploadedObject
from airflow_provider_kie.simulator.jobs import Ledger
from airflow_provider_kie.simulator.paying import PaidChats, PaidJobs
from airflow_provider_kie.simulator.serving import ADDRESS, START_SECONDS, Serving, listen
from airflow_provider_kie.simulator.state import Fault, RecordedRequest, State, UploadShape, checked_balance


class KieSimulator(PaidJobs, PaidChats):
    """
    A small kie.ai on this machine: an API host, an upload host and a host of generated files.

    :param credits: the initial balance, in credits.
    :param port: the API host's port, followed by those of the other two; 0 takes free ports.
    :param api_key: the one key that is accepted; random by default.
    :param account: the account number in the path of every upload.
    :param link_ttl: seconds that a signed link lives; kie.ai gives 20 minutes.
    :raises ValueError: for a port without two more after it, and for a balance that is not a finite number.
    """

    def __init__(
        self,
        credits: float = 100,
        *,
        port: int = 0,
        api_key: str | None = None,
        account: str = "1000001",
        link_ttl: float = 1200.0,
    ) -> None:
        if not 0 <= port <= 65533:
            raise ValueError(f"port must be between 0 and 65533, not {port}.")
        key = secrets.token_hex(16) if api_key is None else api_key
        self._state = State(Ledger(checked_balance(credits)), key, account, link_ttl)
        self._port = port
        self._urls: tuple[str, ...] = ()
        self._serving: Serving | None = None

    def start(self) -> None:
        """
        Start serving, without files.

        :raises OSError: when a port is busy; the message names it.
        :raises RuntimeError: when it is already running, or does not come up in 10 s.
        """
        if self._serving is not None:
            raise RuntimeError("The simulator is running already.")
        with ExitStack() as busy:
            listeners = []
            for offset in range(len(HOSTS)):
                listeners.append(listen(self._port and self._port + offset))
                busy.callback(listeners[-1].close)
            busy.pop_all()
        ports = [listener.getsockname()[1] for listener in listeners]
        self._urls = tuple(f"http://{ADDRESS}:{port}" for port in ports)
        self._state.upload_url, self._state.files_url = self._urls[1:]
        self._state.files.open()
        front = partial(Front, self._state, dict(zip(ports, HOSTS, strict=True)))
        self._serving = Serving(front, listeners)
        if not self._serving.wait():
            self.stop()
            raise RuntimeError(f"The simulator did not come up in {START_SECONDS:g} seconds.")

    def stop(self) -> None:
        """Stop serving, within about a second, and remove the files. What was recorded stays readable."""
        if self._serving is not None:
            self._serving.stop()
            self._serving = None
            self._state.files.close()

    def __enter__(self) -> KieSimulator:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _url(self, number: int) -> str:
        if not self._urls:
            raise RuntimeError("The simulator has no addresses before it is started.")
        return self._urls[number]

    @property
    def api_url(self) -> str:
        """The API host's URL, without a trailing slash."""
        return self._url(0)

    @property
    def upload_url(self) -> str:
        """The upload host's URL, without a trailing slash."""
        return self._url(1)

    @property
    def files_url(self) -> str:
        """The URL of the host of generated files, without a trailing slash."""
        return self._url(2)

    @property
    def api_key(self) -> str:
        """The key that is accepted."""
        return self._state.api_key

    def connection(self) -> str:
        """
        Describe the simulator as an Airflow connection.

        :return: JSON, the value of a variable such as ``AIRFLOW_CONN_KIE_DEFAULT``.
        """
        connection = {"conn_type": "kie", "password": self.api_key, "host": self.api_url}
        return json.dumps({**connection, "extra": {"upload_base_url": self.upload_url}})

    @property
    def credits(self) -> float:
        """The balance, in credits; jobs and chats change it, and it is settable at any time."""
        return self._state.ledger.credits

    @credits.setter
    def credits(self, balance: float) -> None:
        self._state.ledger.credits = checked_balance(balance)

    @property
    def link_ttl(self) -> float:
        """Seconds that signed links made from now on live; settable at any time."""
        return self._state.link_ttl

    @link_ttl.setter
    def link_ttl(self, seconds: float) -> None:
        self._state.link_ttl = float(seconds)

    @property
    def upload_shape(self) -> UploadShape:
        """Which of the two documented answers an upload gets: ``recorded`` or ``quickstart``; settable."""
        return self._state.upload_shape

    @upload_shape.setter
    def upload_shape(self, shape: UploadShape) -> None:
        if shape not in get_args(UploadShape):
            raise ValueError(f"upload_shape is one of {', '.join(get_args(UploadShape))}, not {shape!r}.")
        self._state.upload_shape = shape

    @property
    def uploads(self) -> dict[str, UploadedObject]:
        """The uploaded files by their ``filePath``, a snapshot."""
        return self._state.files.uploads()

    def expire_uploads(self) -> None:
        """Delete every uploaded file, as kie.ai does after a day."""
        self._state.files.expire_uploads()

    def add_generated_file(self, name: str, data: bytes | str | os.PathLike[str]) -> str:
        """
        Add a file as if kie.ai had generated it.

        :param name: its name; the extension decides its MIME type.
        :param data: its bytes, or the path of a file to copy.
        :return: its URL, as a generation task would give it.
        :raises RuntimeError: when the simulator is not running.
        """
        return self._state.generate(name, data)

    def expire_links(self) -> None:
        """Expire every link signed so far."""
        self._state.files.expire_links()

    @property
    def requests(self) -> list[RecordedRequest]:
        """The last 20,000 requests, in order of arrival, failed ones too; a snapshot."""
        return self._state.requests()

    def requests_to(self, call: str) -> list[RecordedRequest]:
        """
        List the requests to one call.

        :param call: a name as in ``fail_next``, or ``unknown`` for paths that do not exist.
        :return: a snapshot, in order of arrival.
        :raises ValueError: for any other name.
        """
        return self._state.requests(call)

    def reset(self) -> None:
        """
        Forget requests, jobs, chats, models and callbacks so far and the faults to come.

        ``creation_limit`` and ``webhook_key`` are as at the start again. Balance and files stay; what a
        forgotten job held is not given back.
        """
        self._state.reset()

    def fail_next(
        self,
        call: str,
        *,
        code: int | None = None,
        msg: str | None = None,
        status: int | None = None,
        retry_after: float | str | None = None,
        times: int = 1,
        html: bool = False,
        body: bytes | str | None = None,
        headers: Mapping[str, str | None] | None = None,
        delay: float = 0.0,
        drop_after: int | None = None,
        chunk_delay: float = 0.0,
        accept: bool = False,
    ) -> None:
        """
        Make the next requests of one call go wrong, after the faults already queued for it.

        :param call: ``credit``, ``download-url``, ``file-stream-upload``, ``file-url-upload``,
            ``file-base64-upload``, ``file`` for any download, ``createTask`` for any submission of a job,
            ``recordInfo`` for any record of one, or ``chat`` for a chat with any model.
        :param code: answer with this code in the body and, as kie.ai does, HTTP 200 (or ``status``).
        :param msg: the message beside the code; by default kie.ai's own.
        :param status: the HTTP status; alone, its number is the code in the body too.
        :param retry_after: a ``Retry-After`` header: seconds, or text such as an HTTP date.
        :param times: how many requests go wrong.
        :param html: answer with an HTML page, with HTTP 502 (or ``status``).
        :param body: answer with exactly this body, as JSON, with HTTP 200 (or ``status``).
        :param headers: headers that replace the answer's own; None as a value leaves one out.
        :param delay: seconds before the answer begins; the request has taken effect by then.
        :param drop_after: close the connection after so many bytes of the answer's body; -1 closes it without
            an answer, and the request has no effect unless ``accept``.
        :param chunk_delay: seconds between pieces of the body: 16 KiB, or an event of a stream.
        :param accept: let a submission or a chat take effect although its answer goes wrong: it costs.
        :raises ValueError: for an unknown call, a contradiction, or when nothing goes wrong at all.
        """
        fault = Fault(
            code=code,
            msg=msg,
            status=status,
            retry_after=retry_after,
            html=html,
            body=body,
            headers=dict(headers or {}),
            delay=delay,
            drop_after=drop_after,
            chunk_delay=chunk_delay,
            accept=accept,
        )
        self._state.add_fault(call, fault, times)
