"""
Tells Airflow of each job whose end kie.ai announces. Run it behind your web server, which speaks https:

    KIE_API_KEY=... KIE_WEBHOOK_KEY=... AIRFLOW_URL=... AIRFLOW_USER=... AIRFLOW_PASSWORD=... \
        uvicorn callback_receiver:app --port 8443

A job's ``callback_url`` is then ``https://.../kie/`` and the job's ``api``: ``https://.../kie/market``.
"""

import asyncio
import logging
import os
import re
from collections import deque

import httpx
from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from airflow_provider_kie.client import AsyncKieClient, KieSettings
from airflow_provider_kie.client.api.families import FAMILIES
from airflow_provider_kie.client.api.jobs import get_job
from airflow_provider_kie.client.api.records import Job
from airflow_provider_kie.client.errors import KieSignatureError
from airflow_provider_kie.client.webhooks import verify_callback

ASSET = "kie_jobs"
SECONDS = 12  # kie.ai waits 15 for an answer
LARGEST_BODY = 1_000_000
WEBHOOK_KEY = os.environ["KIE_WEBHOOK_KEY"]
AIRFLOW_URL = os.environ["AIRFLOW_URL"]
AIRFLOW_LOGIN = {"username": os.environ["AIRFLOW_USER"], "password": os.environ["AIRFLOW_PASSWORD"]}
KIE = KieSettings(os.environ["KIE_API_KEY"], os.environ.get("KIE_API_URL", "https://api.kie.ai"))
# Suno announces a song's text and its first track, too. Nobody has signed that: it is a hint and no more.
UNFINISHED_SONG = re.compile(rb'"callbackType"\s*:\s*"(text|first)"')

log = logging.getLogger("uvicorn.error")
app = FastAPI(openapi_url=None)
# A hundred jobs can end in the same second: so one client and one login for all, and one request a job.
kie = AsyncKieClient(KIE)
airflow = httpx.AsyncClient(base_url=AIRFLOW_URL, timeout=SECONDS)
asset_ids: dict[str, int] = {}
telling = asyncio.Lock()
told: deque[str] = deque(maxlen=10_000)


@app.post("/kie/{api}")
async def receive(api: str, request: Request) -> Response:
    """Answer 200 once Airflow knows, or need not; 503 makes kie.ai try again."""
    try:
        async with asyncio.timeout(SECONDS):
            return Response(status_code=await handle(api, request))
    except ClientDisconnect:
        return Response(status_code=400)
    except Exception:
        log.exception("A callback for a job of %s was not handled", ascii(api))
        return Response(status_code=503)


async def handle(api: str, request: Request) -> int:
    """Verify a callback, read what has become of its job, and tell Airflow; give the answer's status."""
    if api not in FAMILIES:
        return 404
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_BODY:
            return 413
    try:
        job_id = verify_callback(request.headers, body, WEBHOOK_KEY)
    except KieSignatureError as refusal:
        log.warning("Refused a callback: %s", refusal)
        return 403
    job = await kie.send(get_job(job_id, api=api))
    if job.state not in ("success", "failed"):
        return 200 if UNFINISHED_SONG.search(body) else 503
    async with telling:
        if job_id not in told:
            await tell_airflow(job)
            told.append(job_id)
            log.info("Job %s of %s: %s", job_id, api, job.state)
    return 200


async def tell_airflow(job: Job) -> None:
    """Make an event of the asset; it is there once a DAG that uses it is."""
    extra = {name: getattr(job, name) for name in ("job_id", "api", "state", "urls", "reason")}
    for _ in range(2):
        asset_id = asset_ids.get(ASSET) or await look_up()
        answer = await airflow.post("/api/v2/assets/events", json={"asset_id": asset_id, "extra": extra})
        if answer.status_code not in (401, 404):
            break
        asset_ids.clear()  # the login has expired, or the asset is another one now
    answer.raise_for_status()


async def look_up() -> int:
    """Log in to Airflow, and find the asset."""
    login = (await airflow.post("/auth/token", json=AIRFLOW_LOGIN)).raise_for_status()
    airflow.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
    found = (await airflow.get("/api/v2/assets", params={"name_pattern": ASSET})).raise_for_status()
    asset_ids.update((asset["name"], asset["id"]) for asset in found.json()["assets"])
    return asset_ids[ASSET]
