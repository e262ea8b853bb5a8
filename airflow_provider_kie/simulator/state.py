"""What the simulated kie.ai knows: settings, balance, faults to come and requests so far. No HTTP."""

from __future__ import annotations

import itertools
import math
import os
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, Literal

from airflow_provider_kie.simulator.answers import CALLS, UNKNOWN
from airflow_provider_kie.simulator.callbacks import Callback
from airflow_provider_kie.simulator.chats import Chats
from airflow_provider_kie.simulator.files import FileStore
from airflow_provider_kie.simulator.jobs import Ledger

UploadShape = Literal["recorded", "quickstart"]
MAX_REQUESTS = 20_000
"""How many requests are remembered: the latest."""
MAX_BODIES = 64_000_000
"""How many bytes of their JSON are remembered: the latest, too."""
# What HTTP allows in a header.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"(?![\t ])[\t\x20-\x7e\x80-\xff]*(?<![\t ])")


@dataclass(frozen=True)
class RecordedRequest:
    """A request that has reached the simulator, as far as it has got."""

    call: str
    """
    The endpoint's last segment; ``createTask`` for any family's submission, ``recordInfo`` for any record,
    ``chat`` for a chat with any model, ``file`` for a download, ``unknown`` for a path that does not exist.
    """
    method: str
    host: str
    """The ``Host`` header: address and port."""
    path: str
    """Percent-decoded."""
    query: str
    """As sent, without the question mark."""
    headers: dict[str, str]
    """Names in lower case."""
    status: int | None = None
    """The HTTP status of the answer; None while there is none, or if none was ever sent."""
    json: Any = None
    """The body, parsed, when it is JSON."""
    bytes_in: int = 0
    """Bytes of the request's body, as sent."""
    code: int | None = None
    """Kie.ai's code in the body of the answer; None if it has none, or ``fail_next`` set the body."""
    error: str | None = None
    """What broke inside the simulator, which then answered with code 500; usually None."""


@dataclass(frozen=True)
class Fault:
    """One way for a request to go wrong, or none; the fields are those of ``KieSimulator.fail_next``."""

    code: int | None = None
    msg: str | None = None
    status: int | None = None
    retry_after: float | str | None = None
    html: bool = False
    body: bytes | str | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    """None as a value leaves the header out."""
    delay: float = 0.0
    drop_after: int | None = None
    chunk_delay: float = 0.0
    accept: bool = False

    def __post_init__(self) -> None:
        if sum((self.code is not None, self.html, self.body is not None)) > 1:
            raise ValueError("Only one of code, html and body can be the answer.")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError(f"status must be between 200 and 599, not {self.status}.")
        if self.drop_after is not None and self.drop_after < -1:
            raise ValueError("drop_after counts bytes of the body; -1 stands for no answer at all.")
        if not all(math.isfinite(seconds) and seconds >= 0 for seconds in (self.delay, self.chunk_delay)):
            raise ValueError("delay and chunk_delay are seconds.")
        for name, value in {**self.headers, "Retry-After": str(self.retry_after)}.items():
            if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value or "")):
                raise ValueError(f"{name!r}: {value!r} can be no header.")
        if not (_is_text(self.msg) and _is_text(self.body)):
            raise ValueError("msg and body must be text that UTF-8 can carry.")


def _is_text(value: bytes | str | None) -> bool:
    return not isinstance(value, str) or not any("\ud800" <= letter <= "\udfff" for letter in value)


def checked_balance(credits: float) -> float:
    """
    Check a balance.

    :param credits: the balance.
    :return: the same as a float.
    :raises ValueError: when JSON cannot express it.
    """
    if not math.isfinite(credits):
        raise ValueError(f"The balance must be a finite number, not {credits}.")
    return float(credits)


@dataclass
class State:
    """
    Everything that outlives one request, read and changed from the tests' thread and the server's.

    :param ledger: the balance and the jobs.
    :param api_key: the one key that is accepted.
    :param account: the account number in the path of every upload.
    :param link_ttl: seconds that a signed link lives.
    """

    ledger: Ledger
    api_key: str
    account: str
    link_ttl: float
    upload_shape: UploadShape = "recorded"
    upload_url: str = ""
    files_url: str = ""
    files: FileStore = field(default_factory=FileStore)
    chats: Chats = field(default_factory=Chats)

    def __post_init__(self) -> None:
        self._lock = Lock()
        self._numbers = itertools.count()
        self.reset()

    def reset(self) -> None:
        """Forget all but settings, balance and files."""
        self.ledger.reset()
        self.chats.reset()
        with self._lock:
            self.webhook_key: str | None = None
            self._callbacks: list[Callback] = []
            self._faults: dict[str, deque[Fault]] = {call: deque() for call in CALLS}
            self._requests: dict[int, RecordedRequest] = {}
            self._bodies: deque[tuple[int, int]] = deque()
            self._bytes_kept = 0

    def generate(self, name: str, data: bytes | str | os.PathLike[str]) -> str:
        """
        Add a file that kie.ai has "generated".

        :param name: its name.
        :param data: its bytes, or the path of a file to copy.
        :return: its URL.
        """
        return self.files_url + self.files.add_generated(name, data)

    def note_callback(self, callback: Callback) -> None:
        """
        Note a callback.

        :param callback: as it was sent.
        """
        with self._lock:
            self._callbacks.append(callback)

    def callbacks(self) -> list[Callback]:
        """
        List the callbacks so far.

        :return: a snapshot, in the order of their answers.
        """
        with self._lock:
            return list(self._callbacks)

    def add_fault(self, call: str, fault: Fault, times: int) -> None:
        """
        Queue a fault behind those already there.

        :param call: one of ``CALLS``.
        :param fault: what goes wrong.
        :param times: how many requests it goes wrong for.
        :raises ValueError: for a name that is not a call, a fault that changes nothing, or ``times`` below 1.
        """
        if call not in CALLS:
            raise ValueError(f"{call!r} is no call of kie.ai; the calls are {', '.join(CALLS)}.")
        if fault.accept and call not in ("createTask", "chat"):
            raise ValueError(
                f"accept is for createTask and chat: {call} has no effect to outlive its answer."
            )
        if replace(fault, accept=False) == Fault():
            raise ValueError("Say what goes wrong: code, status, html, body, headers, delay, drop_after, ...")
        if times < 1:
            raise ValueError("times must be 1 or more.")
        with self._lock:
            self._faults[call].extend([fault] * times)

    def next_fault(self, call: str) -> Fault:
        """
        Take the fault that is due for the next request of a call.

        :param call: any name.
        :return: the fault; one that changes nothing when none is due.
        """
        with self._lock:
            queue = self._faults.get(call)
            return queue.popleft() if queue else Fault()

    def record(self, request: RecordedRequest) -> int:
        """
        Note that a request has arrived.

        :param request: what is known of it.
        :return: the number to amend it by.
        """
        with self._lock:
            number = next(self._numbers)
            self._requests[number] = request
            if len(self._requests) > MAX_REQUESTS:
                del self._requests[next(iter(self._requests))]
            return number

    def amend(self, number: int, **known: Any) -> None:
        """
        Note more about a request, unless it has been forgotten meanwhile.

        :param number: the number that ``record`` returned.
        :param known: fields of ``RecordedRequest``.
        """
        with self._lock:
            if number in self._requests:
                self._requests[number] = replace(self._requests[number], **known)

    def keep_json(self, number: int, value: Any, size: int) -> None:
        """
        Note the JSON of a request, and forget the oldest beyond 64 MB.

        :param number: the number that ``record`` returned.
        :param value: the body, parsed.
        :param size: the body's length in bytes.
        """
        self.amend(number, json=value)
        with self._lock:
            self._bodies.append((number, size))
            self._bytes_kept += size
            while self._bytes_kept > MAX_BODIES:
                oldest, bytes_kept = self._bodies.popleft()
                self._bytes_kept -= bytes_kept
                if oldest in self._requests:
                    self._requests[oldest] = replace(self._requests[oldest], json=None)

    def requests(self, call: str | None = None) -> list[RecordedRequest]:
        """
        List the requests so far, in order of arrival.

        :param call: only those of this call.
        :return: a snapshot.
        :raises ValueError: for a name that is not a call.
        """
        if call not in (None, *CALLS, UNKNOWN):
            raise ValueError(f"{call!r} is no call of kie.ai; the calls are {', '.join(CALLS)}.")
        with self._lock:
            return [request for request in self._requests.values() if call in (None, request.call)]
