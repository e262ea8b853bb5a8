"""Callbacks: what kie.ai posts to a job's ``callBackUrl`` when it ends."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from airflow_provider_kie.simulator.families import FAMILIES
from airflow_provider_kie.simulator.fetching import USER_AGENT, unlogged
from airflow_provider_kie.simulator.jobs import Model, SimulatedJob
from airflow_provider_kie.simulator.records import record_of, result_of

if TYPE_CHECKING:
    from airflow_provider_kie.simulator.state import State

TRIES = 4
ANSWER_SECONDS = 15.0
# invented: how long kie.ai waits between tries, and how soon after the end of a job it begins.
PAUSE_SECONDS = 1.0
LOOK_SECONDS = 0.05
# invented: that each comes after an equal part of the time.
_STAGES = ("text", "first")


@dataclass(frozen=True)
class Callback:
    """A callback as it was sent, or was not."""

    url: str
    body: dict[str, Any] | None
    """None when it was not sent at all: the URL leads to another machine."""
    headers: dict[str, str]
    status: int | None
    """The HTTP status of the answer; None when there was none."""


def is_here(url: str) -> bool:
    """
    Return whether a URL leads to this machine; the simulator calls no other.

    :param url: any text.
    :return: True for http and https URLs of a loopback address.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
    return local and parts.scheme in ("http", "https")


def signature_headers(key: str | None, job_id: str, moment: float) -> dict[str, str]:
    """
    Sign a callback as kie.ai does: the job's id and the time, not the body.

    :param key: the webhook key, or None.
    :param job_id: kie.ai's ``taskId``.
    :param moment: seconds since the epoch.
    :return: the two headers; none without a key.
    """
    if key is None:
        return {}
    signed = f"{job_id}.{int(moment)}".encode()
    digest = hmac.new(key.encode(), signed, hashlib.sha256).digest()
    return {
        "X-Webhook-Timestamp": str(int(moment)),
        "X-Webhook-Signature": base64.b64encode(digest).decode(),
    }


def body_of_callback(job: SimulatedJob, model: Model, stage: str | None) -> dict[str, Any]:
    """
    Write what a callback says.

    :param job: the job.
    :param model: what was said of its result.
    :param stage: Suno's ``callbackType``; None for other families.
    :return: the JSON body; the job's id is where its family has it.
    """
    family = FAMILIES[job.api]
    where, _, key = family.callback.rpartition(".")
    # invented: what is in `data` beside the id, and the words of a success.
    if family.field is None:
        data: Any = record_of(family, job, model)
    else:
        data = result_of(family, job, model)[family.field]
        if where:
            data = {key: job.job_id, **({"callbackType": stage} if stage else {}), "info": data}
    failed = job.state == "failed"
    body = {"code": 501 if failed else 200, "msg": job.fail_msg if failed else "success", "data": data}
    return body if where else {**body, key: job.job_id}


class Courier:
    """
    Posts the callbacks, in the server's event loop; idle while no job has a URL on this machine.

    :param state: the jobs, the key, and where callbacks are noted.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, job: SimulatedJob) -> None:
        """
        Post a job's callbacks when they are due.

        :param job: a job that has just been accepted.
        """
        url = job.callback_url
        if url is None:
            return
        # invented: the simulator tells nobody else of its jobs.
        if not is_here(url):
            self._state.note_callback(Callback(url, None, {}, None))
            return
        task = asyncio.create_task(self._follow(job.job_id, url))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, job_id: str, url: str) -> None:
        sent = 0
        while found := self._state.ledger.find(job_id):
            job, model = found
            music = FAMILIES[job.api].record == "generate/record-info"
            due = int(job.progress * (len(_STAGES) + 1)) if music and job.state != "failed" else 0
            for stage in _STAGES[sent:due]:
                # These come before the end, whatever has happened since.
                await self._post(url, job_id, body_of_callback(job, model, stage))
                sent += 1
            if job.completed_at is not None:
                last = ("complete" if job.state == "success" else "error") if music else None
                await self._post(url, job_id, body_of_callback(job, model, last))
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _post(self, url: str, job_id: str, body: dict[str, Any]) -> None:
        # A receiver's certificate on this machine is its own.
        client = httpx.AsyncClient(verify=False, trust_env=False, timeout=ANSWER_SECONDS)  # noqa: S501
        with unlogged():
            async with client:
                for _ in range(TRIES):
                    signed = signature_headers(self._state.webhook_key, job_id, time.time())
                    status = await self._try(client, url, body, signed)
                    if self._state.ledger.find(job_id):
                        self._state.note_callback(Callback(url, body, signed, status))
                    if status == 200:
                        return
                    await asyncio.sleep(PAUSE_SECONDS)

    async def _try(
        self, client: httpx.AsyncClient, url: str, body: dict[str, Any], signed: dict[str, str]
    ) -> int | None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await client.post(url, json=body, headers={"User-Agent": USER_AGENT, **signed})
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            return None
        return answer.status_code
