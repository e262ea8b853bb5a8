"""
The contenders that are Python: each function imports what it needs and gives the transfer, to be called once.

A transfer gives the bytes that it moved, as its client or the server counts them.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.works import FOLDER, KEY, NAME, THREADS

Transfer = Callable[[], int]


@dataclass(frozen=True)
class Job:
    """
    What a contender is to do.

    :param urls: Files to download, or the upload host's base URL.
    :param path: File to read or to write; of a batch, the folder to write to.
    """

    urls: list[str]
    path: str

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


def operator_down(job: Job) -> Transfer:
    """Ours, as a task."""
    _hook()
    from airflow_provider_kie.operators.files import KieDownloadOperator

    task: Any = KieDownloadOperator(task_id="down", file_url=job.url, destination=job.path, sign="never")
    return lambda: int(task.execute({})["size"])


def operator_up(job: Job) -> Transfer:
    """Ours, as a task."""
    _hook()
    from airflow_provider_kie.operators.files import KieUploadOperator

    task: Any = KieUploadOperator(
        task_id="up", source=job.path, upload_path=FOLDER, file_name=NAME, method="stream"
    )
    return lambda: int(task.execute({})["file_size"])


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
    """Ours in 16 threads on one client: by the hook's own batch, or by hand where it has none."""
    hook = _hook()
    if hasattr(hook, "download_files"):

        def together() -> int:
            files = hook.download_files(job.urls, f"{job.path}/", max_concurrency=THREADS, sign="never")
            return sum(int(file.size) for file in files)

        return together

    from airflow_provider_kie.client.transfer.download import download
    from airflow_provider_kie.client.urls import file_name_of
    from airflow_provider_kie.files.storage import open_target

    def transfer() -> int:
        def one(url: str) -> int:
            with open_target(f"{job.path}/", None, file_name_of(url)).writing() as sink:
                return download(client, url, sink, signed=False).size

        with hook.get_conn() as client, ThreadPoolExecutor(THREADS) as pool:
            return sum(pool.map(one, job.urls))

    return transfer


def hook_one_by_one(job: Job) -> Transfer:
    """Ours, file after file: a call of the hook for each, as mapped tasks make it."""
    hook = _hook()
    return lambda: sum(int(hook.download_file(url, f"{job.path}/", sign="never").size) for url in job.urls)


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


def http_operator_down(job: Job) -> Transfer:
    """Airflow's own HttpOperator, with a filter that writes the body to a file."""
    operator = _http_operator()

    def keep(response: Any) -> int:
        return Path(job.path).write_bytes(response.content)

    endpoint = urlsplit(job.url).path
    task = operator(task_id="down", method="GET", endpoint=endpoint, response_filter=keep)
    return lambda: int(task.execute({}))


def http_operator_up(job: Job) -> Transfer:
    """Airflow's own HttpOperator, with the arguments that requests takes for a file."""
    operator = _http_operator()

    def transfer() -> int:
        with open(job.path, "rb") as file:
            task = operator(
                task_id="up",
                endpoint="/api/file-stream-upload",
                data={"uploadPath": FOLDER, "fileName": NAME},
                headers={"Authorization": f"Bearer {KEY}"},
                request_kwargs={"files": {"file": (NAME, file)}},
                response_filter=lambda response: response.json()["data"]["fileSize"],
            )
            return int(task.execute({}))

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
    """Import what Airflow imports at the first use of a connection or a path: imports are not measured."""
    from airflow.sdk import BaseHook, ObjectStoragePath

    ObjectStoragePath("file:///")
    BaseHook.get_connection("kie_default")


def _http_operator() -> Any:
    _warm_up()
    # By name, here and below, because types are also checked where these are not installed.
    return importlib.import_module("airflow.providers.http.operators.http").HttpOperator


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
    importlib.import_module("httpx")
    hashlib.sha256 = _NoHash  # type: ignore[assignment]
