"""Whole transfers between kie.ai and where files live for Airflow: one file, or many at once."""

from __future__ import annotations

import logging
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from unicodedata import normalize

from airflow_provider_kie.client import calls
from airflow_provider_kie.client.arguments import (
    check_choice,
    check_public_url,
    clean_file_name,
    clean_upload_path,
)
from airflow_provider_kie.client.client import KieClient
from airflow_provider_kie.client.downloads import NOTHING_EXPECTED, SIGN, Expected, download, needs_signing
from airflow_provider_kie.client.errors import KieBatchError, KieCancelledError, KieValidationError
from airflow_provider_kie.client.models import DownloadedFile, UploadedFile, UploadReceipt
from airflow_provider_kie.client.progress import Progress
from airflow_provider_kie.client.retries import Retries
from airflow_provider_kie.client.uploads import (
    METHODS,
    choose_method,
    unique_file_name,
    upload_base64,
    upload_stream,
)
from airflow_provider_kie.client.urls import file_name_of, numbered_name, without_query
from airflow_provider_kie.storage import LocalTarget, ObjectTarget, Unfinished, open_source, open_target

if TYPE_CHECKING:
    from airflow_provider_kie.storage import Location

log = logging.getLogger(__name__)

IF_EXISTS = ("overwrite", "skip", "fail")
# Airflow kills a task 5 seconds after it has asked it to end.
PATIENCE_SECONDS = 3.0
# An upload with less life left than this is sent again rather than handed to the next task.
WORTH_REUSING = timedelta(minutes=30)


class _Shown(Protocol):
    @property
    def shown(self) -> str: ...


ITEM = TypeVar("ITEM", bound=_Shown)
RESULT = TypeVar("RESULT")
_Sent = tuple[str, UploadReceipt, str | None]


@dataclass(frozen=True)
class Upload:
    """
    One file to be uploaded; see :meth:`airflow_provider_kie.hooks.kie.KieHook.upload_file`.

    :raises ValueError: An argument is unusable.
    """

    source: Location
    upload_path: str
    file_name: str | None = None
    method: str = "auto"
    source_conn_id: str | None = None

    def __post_init__(self) -> None:
        clean_upload_path(self.upload_path)
        check_choice("method", self.method, METHODS)
        if self.file_name is not None:
            clean_file_name(self.file_name)
        if self.is_url:
            check_public_url("source", str(self.source))
            choose_method(self.method, size=None)

    @property
    def is_url(self) -> bool:
        """Whether kie.ai fetches the source itself."""
        return isinstance(self.source, str) and self.source.lower().startswith(("http://", "https://"))

    @property
    def shown(self) -> str:
        """The source, fit to be shown."""
        return without_query(str(self.source)) if self.is_url else str(self.source)

    def run(self, client: KieClient) -> UploadedFile:
        """Upload it."""
        started, retries = time.monotonic(), Retries()
        method, receipt, sha256 = (
            self._by_url(client, retries) if self.is_url else self._by_file(client, retries)
        )
        log.info("Uploaded %s (%d bytes, %s) to %s", self.shown, receipt.file_size, method, receipt.file_path)
        return UploadedFile.from_receipt(
            receipt,
            source=self.shown,
            method=method,
            sha256=sha256,
            retention=client.settings.upload_retention_hours,
            seconds=round(time.monotonic() - started, 3),
            retries=retries.count,
        )

    def identity(self) -> list[str]:
        """Say what makes two uploads the same: the source as it is now, and where it goes."""
        version = "" if self.is_url else open_source(self.source, self.source_conn_id).version
        return ["upload", str(self.source), version, self.upload_path, self.file_name or "", self.method]

    def lifetime(self, result: dict[str, Any]) -> timedelta | None:
        """Say for how long a result is worth remembering."""
        return datetime.fromisoformat(result["expires_at"]) - datetime.now(UTC)

    def still_holds(self, result: dict[str, Any]) -> bool:
        """Tell whether what was uploaded lives long enough for the next task to use it."""
        lifetime = self.lifetime(result)
        return lifetime is not None and lifetime > WORTH_REUSING

    def _by_url(self, client: KieClient, retries: Retries) -> _Sent:
        url = str(self.source)
        name = self.file_name or unique_file_name(file_name_of(url))
        try:
            call = calls.upload_url(clean_upload_path(self.upload_path), name, url)
            return "url", client.send(call, retries=retries), None
        except KieValidationError as error:
            if self.method != "auto" or error.code not in (400, 413, 451, 500):
                raise
            log.warning(
                "kie.ai could not fetch %s; it is sent through this worker instead: %s", self.shown, error
            )
        with tempfile.TemporaryDirectory(prefix="kie-") as folder:
            spool = Path(folder) / "source"
            with spool.open("xb") as sink:
                download(client, url, sink, signed=False, retries=retries)
            return replace(self, source=spool, file_name=name)._by_file(client, retries)

    def _by_file(self, client: KieClient, retries: Retries) -> _Sent:
        file = open_source(self.source, self.source_conn_id)
        method = choose_method(self.method, size=file.size)
        upload = upload_base64 if method == "base64" else upload_stream
        name = self.file_name or unique_file_name(file.name)
        receipt, sha256 = upload(client, file, clean_upload_path(self.upload_path), name, retries=retries)
        return method, receipt, sha256


@dataclass(frozen=True)
class Download:
    """
    One file to be downloaded; see :meth:`airflow_provider_kie.hooks.kie.KieHook.download_file`.

    :raises ValueError: An argument is unusable.
    """

    file_url: str
    destination: Location
    if_exists: str = "overwrite"
    sign: str = "auto"
    destination_conn_id: str | None = None
    expected: Expected = NOTHING_EXPECTED
    name_in_folder: str | None = None

    def __post_init__(self) -> None:
        check_public_url("file_url", self.file_url)
        check_choice("if_exists", self.if_exists, IF_EXISTS)
        check_choice("sign", self.sign, SIGN)

    @property
    def shown(self) -> str:
        """The URL, fit to be shown."""
        return without_query(self.file_url)

    def run(
        self,
        connect: Callable[[], AbstractContextManager[KieClient]],
        unfinished: Unfinished | None = None,
    ) -> DownloadedFile:
        """Download it, unless there is nothing to do; ``connect`` gives a client when one is needed."""
        started, retries = time.monotonic(), Retries()
        target = self._target()
        if self.if_exists != "overwrite" and (size := target.size()) is not None:
            if self.if_exists == "fail":
                raise FileExistsError(f"{target} exists, and if_exists='fail'")
            log.info("%s exists; nothing to download", target)
            return DownloadedFile(self.shown, str(target), size, None, None, skipped=True)
        with (
            connect() as client,
            target.writing(unfinished or Unfinished(client.check_running)) as sink,
        ):
            received = download(
                client,
                self.file_url,
                sink,
                signed=needs_signing(client, self.file_url, self.sign),
                expected=self.expected,
                retries=retries,
            )
        log.info("Downloaded %d bytes from %s to %s", received.size, self.shown, target)
        return DownloadedFile(
            file_url=self.shown,
            path=str(target),
            size=received.size,
            sha256=received.sha256,
            mime_type=received.mime_type,
            skipped=False,
            verified=received.verified,
            seconds=round(time.monotonic() - started, 3),
            retries=retries.count,
        )

    def identity(self) -> list[str]:
        """Say what makes two downloads the same."""
        return ["download", self.file_url, str(self.destination), self.name_in_folder or "", self.sign]

    def lifetime(self, result: dict[str, Any]) -> timedelta | None:
        """Say for how long a result is worth remembering: as long as Airflow remembers."""
        return None

    def still_holds(self, result: dict[str, Any]) -> bool:
        """Tell whether what was downloaded is still there."""
        return bool(self._target().size() == result["size"])

    def _target(self) -> LocalTarget | ObjectTarget:
        return open_target(
            self.destination,
            self.destination_conn_id,
            default_name=self.name_in_folder or file_name_of(self.file_url),
            is_folder=self.name_in_folder is not None,
        )


def distinct_names(file_urls: Sequence[str]) -> list[str]:
    """
    Give the files of a batch names that do not collide, on no storage: some do not tell ``a`` from ``A``.

    :param file_urls: URLs, in the order given.
    :return: A name for each: the URL's, with ``-2``, ``-3``, ... before the extension where it is taken.
    """
    taken: set[str] = set()
    numbers: defaultdict[str, Iterator[int]] = defaultdict(partial(count, 2))
    names = []
    for url in file_urls:
        own = name = file_name_of(url)
        while _caseless(name) in taken:
            name = numbered_name(own, next(numbers[_caseless(own)]))
        taken.add(_caseless(name))
        names.append(name)
    return names


def _caseless(name: str) -> str:
    # With accents taken apart, as the file systems do that do not tell cases apart.
    return normalize("NFD", normalize("NFD", name).casefold())


def run_all(
    items: Sequence[ITEM],
    move: Callable[[ITEM], RESULT],
    *,
    client: KieClient,
    unfinished: Unfinished,
    max_concurrency: int,
    on_done: Callable[[ITEM, RESULT], None],
) -> list[RESULT]:
    """
    Move many files at once; one that fails does not stop the others.

    :param items: What to move; each has a ``shown``.
    :param move: Moves one.
    :param client: The client that all share; it is told to stop when the task is ended from outside.
    :param unfinished: The temporary files of all.
    :param max_concurrency: How many at a time.
    :param on_done: Told of each that is done, in this thread.
    :return: The results, in the order of the items.
    :raises KieBatchError: Some failed; all were tried.
    """
    futures: dict[Future[RESULT], int] = {}
    results: dict[int, RESULT] = {}
    failures: dict[int, Exception] = {}
    progress = Progress("batch")
    executor = ThreadPoolExecutor(max_concurrency, thread_name_prefix="kie-transfer")
    try:
        futures = {executor.submit(move, item): index for index, item in enumerate(items)}
        for future in as_completed(futures):
            index = futures[future]
            try:
                results[index] = future.result()
                on_done(items[index], results[index])
            except KieCancelledError:
                raise
            except Exception as error:
                failures[index] = error
                log.error("%s failed: %s: %s", items[index].shown, type(error).__name__, error)
            progress.files(len(results) + len(failures), len(items))
    except BaseException:
        client.stop()
        executor.shutdown(wait=False, cancel_futures=True)
        wait(futures, timeout=PATIENCE_SECONDS)
        unfinished.remove_all()
        raise
    executor.shutdown()
    if failures:
        raise KieBatchError(
            [(items[index].shown, error) for index, error in sorted(failures.items())], len(items)
        )
    return [results[index] for index in range(len(items))]
