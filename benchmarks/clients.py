"""
The contenders that are Python: each function imports what it needs and gives the transfer, to be called once.

A transfer gives the bytes that it moved, as its client or the server counts them.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from benchmarks.works import FOLDER, KEY, NAME, THREADS

PIECE_BYTES = 256 * 1024

Transfer = Callable[[], int]


@dataclass(frozen=True)
class Job:
    """
    What a contender is to do.

    :param urls: Files to download, or the upload host's base URL.
    :param path: File to read or to write; of a batch, the folder to write to.
    :param copied: Bytes that will be written.
    """

    urls: list[str]
    path: str
    copied: int

    @property
    def url(self) -> str:
        """The one URL of a job that is no batch."""
        return self.urls[0]


def hook_down(job: Job) -> Transfer:
    """Ours, as called in ``@task``."""
    hook = _hook()
    return lambda: int(hook.download_file(job.url, job.path, sign="never").size)


def hook_up(job: Job) -> Transfer:
    """Ours, as called in ``@task``."""
    hook = _hook()
    return lambda: int(hook.upload_file(job.path, FOLDER, file_name=NAME, method="stream").file_size)


def unhashed_down(job: Job) -> Transfer:
    """Ours, without the cost of the hash."""
    _without_hash()
    hook = _hook()

    def transfer() -> int:
        received = hook.download_file(job.url, job.path, sign="never")
        return int(received.size) if received.sha256 == _NoHash.TEXT else -1

    return transfer


def unhashed_up(job: Job) -> Transfer:
    """Ours, without the cost of the hash."""
    _without_hash()
    hook = _hook()

    def transfer() -> int:
        uploaded = hook.upload_file(job.path, FOLDER, file_name=NAME, method="stream")
        return int(uploaded.file_size) if uploaded.sha256 == _NoHash.TEXT else -1

    return transfer


def hook_batch(job: Job) -> Transfer:
    """Ours, in 16 threads."""
    hook = _hook()

    def transfer() -> int:
        files = hook.download_files(job.urls, f"{job.path}/", max_concurrency=THREADS, sign="never")
        return sum(int(file.size) for file in files)

    return transfer


def operator_batch(job: Job) -> Transfer:
    """Ours, as a task."""
    _hook()
    from airflow_provider_kie.operators.files import KieDownloadOperator

    task: Any = KieDownloadOperator(
        task_id="down",
        file_url=job.urls,
        destination=f"{job.path}/",
        sign="never",
        max_concurrency=THREADS,
    )
    return lambda: sum(int(file["size"]) for file in task.execute({}))


def requests_batch(job: Job) -> Transfer:
    """requests, a session for each of 16 threads, streamed to files."""
    import requests

    local = threading.local()

    def fetch(url: str) -> int:
        if not hasattr(local, "session"):
            local.session = requests.Session()
        with local.session.get(url, stream=True, timeout=60) as response, _file(job, url) as file:
            response.raise_for_status()
            return sum(file.write(piece) for piece in response.iter_content(PIECE_BYTES))

    return _in_threads(fetch, job)


def urllib3_batch(job: Job) -> Transfer:
    """urllib3, which is below requests: about the least that a Python library takes."""
    import urllib3

    pool = urllib3.PoolManager(maxsize=THREADS, ca_certs=os.environ["SSL_CERT_FILE"])

    def fetch(url: str) -> int:
        with pool.request("GET", url, preload_content=False) as response, _file(job, url) as file:
            if response.status != 200:
                raise OSError(f"HTTP {response.status}")
            return sum(file.write(piece) for piece in response.stream(PIECE_BYTES))

    return _in_threads(fetch, job)


def plain_down(job: Job) -> Transfer:
    """Python's own client, which does nothing but wait for a line: shows how exact that is."""
    import ssl
    from http.client import HTTPSConnection

    parts = urlsplit(job.url)
    connection = HTTPSConnection(parts.netloc, context=ssl.create_default_context())

    def transfer() -> int:
        connection.request("GET", parts.path)
        with connection.getresponse() as response, open(job.path, "wb") as file:
            return sum(file.write(piece) for piece in iter(lambda: response.read(PIECE_BYTES), b""))

    return transfer


def _in_threads(fetch: Callable[[str], int], job: Job) -> Transfer:
    def transfer() -> int:
        with ThreadPoolExecutor(THREADS) as pool:
            return sum(pool.map(fetch, job.urls))

    return transfer


def _file(job: Job, url: str) -> BinaryIO:
    return (Path(job.path) / url.rpartition("/")[2]).open("wb")


def documents_down(job: Job) -> Transfer:
    """The documents' own client: the body in memory, then in the file."""
    import requests

    def transfer() -> int:
        response = requests.get(job.url)  # noqa: S113 (the documents give no timeout)
        response.raise_for_status()
        with open(job.path, "wb") as file:
            return file.write(response.content)

    return transfer


def documents_up(job: Job) -> Transfer:
    """The documents' own client: the whole multipart body in memory."""
    import requests

    def transfer() -> int:
        with open(job.path, "rb") as file:
            response = requests.post(  # noqa: S113 (the documents give no timeout)
                f"{job.url}/api/file-stream-upload",
                headers={"Authorization": f"Bearer {KEY}"},
                files={"file": (NAME, file)},
                data={"uploadPath": FOLDER, "fileName": NAME},
            )
        response.raise_for_status()
        return int(response.json()["data"]["fileSize"])

    return transfer


def aiohttp_down(job: Job) -> Transfer:
    """aiohttp, streamed to the file."""
    aiohttp, tls = _aiohttp()

    async def fetch() -> int:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session,
            session.get(job.url, ssl=tls()) as response,
        ):
            response.raise_for_status()
            with open(job.path, "wb") as file:
                count = 0
                async for chunk in response.content.iter_chunked(64 * 1024):
                    count += file.write(chunk)
                return count

    return lambda: asyncio.run(fetch())


def aiohttp_up(job: Job) -> Transfer:
    """aiohttp, the form with the open file."""
    aiohttp, tls = _aiohttp()

    async def send() -> int:
        with open(job.path, "rb") as file:
            form = aiohttp.FormData({"uploadPath": FOLDER, "fileName": NAME})
            form.add_field("file", file, filename=NAME)
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session,
                session.post(
                    f"{job.url}/api/file-stream-upload",
                    data=form,
                    headers={"Authorization": f"Bearer {KEY}"},
                    ssl=tls(),
                ) as response,
            ):
                response.raise_for_status()
                return int((await response.json())["data"]["fileSize"])

    return lambda: asyncio.run(send())


def _hook() -> Any:
    from airflow_provider_kie.hooks.kie import KieHook

    _warm_up()
    return KieHook()


def _warm_up() -> None:
    """Load what Airflow loads at the first use of a connection, a path, or plugins: it is not measured."""
    from airflow.sdk import BaseHook, ObjectStoragePath

    from airflow_provider_kie._compat import get_lineage_collector

    get_lineage_collector()
    ObjectStoragePath("file:///")
    BaseHook.get_connection("kie_default")


def _aiohttp() -> tuple[Any, Callable[[], Any]]:
    import ssl

    return importlib.import_module("aiohttp"), ssl.create_default_context


class _NoHash:
    """Stands in for sha256 and does nothing."""

    TEXT = "0" * 64

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def update(self, data: object, /) -> None:
        """Look away."""

    def hexdigest(self) -> str:
        """Give what no file hashes to."""
        return self.TEXT


def _without_hash() -> None:
    _warm_up()
    # Whoever takes it by name takes the real one.
    importlib.import_module("httpx")
    hashlib.sha256 = _NoHash  # type: ignore[assignment]
