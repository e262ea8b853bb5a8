"""The simulated kie.ai's paid jobs: what they cost, how long they take, how they end. No HTTP."""

from __future__ import annotations

import heapq
import math
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, Literal

JobState = Literal["waiting", "running", "success", "failed"]
FAIL_MSG = "internal error, please try again later."
"""The message of a job that failed, as Aleph's was recorded."""
# invented: the words after the first two.
NO_CREDITS = "Credits insufficient: please top up your balance and try again."
CREATION_LIMIT = 20
CREATION_SECONDS = 10.0
# invented: how much of its time a job waits before it runs.
_WAITS = 1 / 3


@dataclass(frozen=True)
class SimulatedJob:
    """A creation that was accepted, and what has become of it."""

    job_id: str
    """The ``taskId`` in kie.ai's answers."""
    api: str
    """The family: ``market``, ``runway``, ``suno``, ..."""
    model: str | None
    input: Mapping[str, Any]
    """Market's ``input``; for other families the body without ``model`` and ``callBackUrl``."""
    callback_url: str | None
    held: float
    """Credits taken when it was accepted; once it has ended, the sum of ``charged`` and ``refunded``."""
    submitted_at: float
    """Seconds since the epoch."""
    state: JobState = "waiting"
    progress: float = 0.0
    """How much of its time has passed, 0 to 1."""
    charged: float = 0.0
    """What it cost in the end, in credits."""
    refunded: float = 0.0
    """What was given back in the end, in credits."""
    completed_at: float | None = None
    """Seconds since the epoch; None before its end."""
    urls: tuple[str, ...] = ()
    """The generated files; none before it has succeeded."""
    fail_code: int | None = None
    fail_msg: str | None = None


@dataclass(frozen=True)
class Model:
    """What happens to the jobs of a model; the fields are those of ``KieSimulator.add_model``."""

    seconds: float = 2.0
    credits: float = 5.0
    hold: float | None = None
    fail: tuple[int, str] | None = None
    files: Sequence[tuple[str, bytes]] | None = None
    output: Mapping[str, Any] = field(default_factory=dict)
    required: Mapping[str, type] = field(default_factory=dict)
    word: str | int | None = None
    unknown_seconds: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.seconds, self.credits, self.held, self.unknown_seconds)
        if not all(math.isfinite(number) and number >= 0 for number in numbers):
            raise ValueError("seconds, credits, hold and unknown_seconds must be finite and 0 or more.")
        if self.held < self.credits:
            raise ValueError(f"A hold of {self.held:g} credits does not cover a price of {self.credits:g}.")

    @property
    def held(self) -> float:
        """Credits taken when a job is accepted."""
        return self.credits if self.hold is None else self.hold


class CreationRefused(Exception):
    """
    A job is not accepted, and nothing is spent.

    :param code: kie.ai's code.
    :param msg: the message; None for kie.ai's own.
    """

    def __init__(self, code: int, msg: str | None = None) -> None:
        super().__init__(code, msg)
        self.code, self.msg = code, msg


@dataclass
class _Entry:
    job: SimulatedJob
    model: Model
    urls: tuple[str, ...]
    began: float
    """Seconds on the clock of ``time.monotonic()``, like the next one."""
    ends: float

    def seen(self, now: float) -> SimulatedJob:
        if self.job.completed_at is not None:
            return self.job
        progress = (now - self.began) / (self.ends - self.began)
        return replace(self.job, progress=progress, state="waiting" if progress < _WAITS else "running")


class Ledger:
    """
    The balance and every job that was accepted. Jobs end by time alone, whoever looks or does not.

    :param credits: the balance.
    """

    def __init__(self, credits: float) -> None:
        self._lock = Lock()
        self._credits = credits
        self.reset()

    def reset(self) -> None:
        """Forget jobs and models, and restore the limit of creations; the balance stays as it is."""
        with self._lock:
            self.creation_limit: int | None = CREATION_LIMIT
            self.models: dict[str, Model] = {}
            self._jobs: dict[str, _Entry] = {}
            self._ends: list[tuple[float, int, _Entry]] = []
            self._latest: deque[float] = deque()

    @property
    def credits(self) -> float:
        """The balance, in credits."""
        with self._lock:
            self._settle()
            return self._credits

    @credits.setter
    def credits(self, balance: float) -> None:
        with self._lock:
            self._settle()
            self._credits = balance

    def spend(self, credits: float) -> bool:
        """
        Take credits off the balance for good.

        :param credits: how many.
        :return: False when the balance does not cover them; it stays as it is then.
        """
        with self._lock:
            self._settle()
            if self._credits < credits:
                return False
            # Ten times 0.01 is 0.1.
            self._credits = round(self._credits - credits, 9)
            return True

    def model(self, api: str, name: str | None) -> Model:
        """
        Look up what happens to a job.

        :param api: its family; for all but ``market`` it stands for the model.
        :param name: its model.
        :return: the model; the default one if nobody has added it.
        """
        # invented: that any model does, so that a demo needs none of kie.ai's names.
        return self.models.get((name or "") if api == "market" else api, Model())

    def jobs(self) -> list[SimulatedJob]:
        """
        List the jobs, in order of acceptance.

        :return: a snapshot.
        """
        with self._lock:
            now = self._settle()
            return [entry.seen(now) for entry in self._jobs.values()]

    def find(self, job_id: str) -> tuple[SimulatedJob, Model] | None:
        """
        Look up a job.

        :param job_id: kie.ai's ``taskId``.
        :return: the job and its model, or None.
        """
        with self._lock:
            now = self._settle()
            entry = self._jobs.get(job_id)
            return (entry.seen(now), entry.model) if entry else None

    def accept(self, job: SimulatedJob, model: Model, generate: Callable[[], tuple[str, ...]]) -> None:
        """
        Accept a job and take its hold off the balance.

        :param job: what is known of it.
        :param model: what will happen to it.
        :param generate: makes the files that it will have generated, and gives their URLs.
        :raises CreationRefused: with code 429 above the limit of creations, with 402 without enough credits.
        """
        with self._lock:
            now = self._settle()
            self._refuse(now, model)
            urls = () if model.fail else generate()
            self._latest.append(now)
            self._credits -= job.held
            entry = _Entry(job, model, urls, now, now + model.seconds)
            self._jobs[job.job_id] = entry
            heapq.heappush(self._ends, (entry.ends, len(self._jobs), entry))

    def _refuse(self, now: float, model: Model) -> None:
        while self._latest and self._latest[0] <= now - CREATION_SECONDS:
            self._latest.popleft()
        # invented: that refused requests do not count.
        if self.creation_limit is not None and len(self._latest) >= self.creation_limit:
            raise CreationRefused(429)
        if self._credits < model.held:
            raise CreationRefused(402, NO_CREDITS)

    def finish(self) -> None:
        """End all running jobs now."""
        with self._lock:
            self._settle()
            while self._ends:
                self._end(heapq.heappop(self._ends)[2], time.time())

    def _settle(self) -> float:
        now = time.monotonic()
        while self._ends and self._ends[0][0] <= now:
            entry = heapq.heappop(self._ends)[2]
            self._end(entry, entry.job.submitted_at + entry.model.seconds)
        return now

    def _end(self, entry: _Entry, completed_at: float) -> None:
        failed = entry.model.fail
        charged = 0.0 if failed else entry.model.credits
        refunded = entry.job.held - charged
        self._credits += refunded
        entry.job = replace(
            entry.job,
            state="failed" if failed else "success",
            progress=1.0,
            charged=charged,
            refunded=refunded,
            completed_at=completed_at,
            urls=entry.urls,
            fail_code=failed and failed[0],
            fail_msg=failed and failed[1],
        )


def new_job_id() -> str:
    """
    Make the id of a job.

    :return: 32 hexadecimal digits, as Market's are; invented for the other families.
    """
    return secrets.token_hex(16)
