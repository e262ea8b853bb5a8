"""Whole transfers between kie.ai and where files live for Airflow, as values."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from airflow_provider_kie.client.api import files
from airflow_provider_kie.client.api.files import UploadReceipt
from airflow_provider_kie.client.arguments import (
    check_choice,
    check_public_url,
    clean_file_name,
    clean_upload_path,
)
from airflow_provider_kie.client.errors import KieValidationError
from airflow_provider_kie.client.retries import RetryCount
from airflow_provider_kie.client.transfer.download import (
    NOTHING_EXPECTED,
    SIGN,
    Expected,
    download,
    needs_signing,
)
from airflow_provider_kie.client.transfer.upload import (
    METHODS,
    FileSource,
    choose_method,
    unique_file_name,
    upload_base64,
    upload_stream,
)
from airflow_provider_kie.client.transfer.web import bounded, is_served, web_source
from airflow_provider_kie.client.urls import file_name_of, numbered_name, without_query
from airflow_provider_kie.files.batch import Session
from airflow_provider_kie.files.local import SPOOL_ADVICE, naming_a_full_disk, spooling
from airflow_provider_kie.files.results import DownloadedFile, UploadedFile
from airflow_provider_kie.files.storage import LocalTarget, ObjectTarget, open_source, open_target

if TYPE_CHECKING:
    from airflow_provider_kie.files.storage import Location

log = logging.getLogger(__name__)

IF_EXISTS = ("overwrite", "skip", "fail")
# An upload with less life left than this is sent again rather than handed to the next task.
WORTH_REUSING = timedelta(minutes=30)
# A file on the web that may turn out to be endless does not fill the worker's disk.
SPOOL_LIMIT = 2_000_000_000
# What kie.ai answers where it could not fetch a URL, or not within its limits.
_NOT_FETCHED = (400, 413, 451, 500)

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
        """Whether the source is on the web."""
        return isinstance(self.source, str) and self.source.lower().startswith(("http://", "https://"))

    @property
    def shown(self) -> str:
        """The source, fit to be shown."""
        return without_query(str(self.source)) if self.is_url else str(self.source)

    def run(self, session: Session) -> UploadedFile:
        """Upload it."""
        started, retries = time.monotonic(), RetryCount()
        if not self.is_url:
            file = open_source(self.source, self.source_conn_id)
            sent = self._send(file, file.name, session, retries)
        elif self.method == "stream":
            sent = self._through_this_worker(session, retries)
        else:
            sent = self._by_url(session, retries)
        method, receipt, sha256 = sent
        log.info("Uploaded %s (%d bytes, %s) to %s", self.shown, receipt.file_size, method, receipt.file_path)
        uploaded = UploadedFile.from_receipt(
            receipt,
            source=self.shown,
            method=method,
            sha256=sha256,
            retention=session.client.settings.upload_retention_hours,
            seconds=round(time.monotonic() - started, 3),
            retries=retries.count,
        )
        session.count(uploaded)
        return uploaded

    def identity(self) -> list[str | None]:
        """
        Say what makes two uploads the same: the source as it is now, and where it goes.

        :raises OSError: The source cannot be looked at.
        """
        version = None if self.is_url else open_source(self.source, self.source_conn_id).version
        names = (self.upload_path, self.file_name, self.method, self.source_conn_id)
        return ["upload", str(self.source), version, *names]

    def reusable(self, session: Session, result: dict[str, Any]) -> UploadedFile | None:
        """
        Give the result of an earlier try, if kie.ai still serves the file and long enough for the next task.

        :param session: With the client that asks.
        :param result: What :meth:`run` gave, as a dict.
        :return: The result, or None.
        """
        earlier = UploadedFile(**result)
        life = datetime.fromisoformat(earlier.expires_at) - datetime.now(UTC)
        served = life > WORTH_REUSING and is_served(session.client, earlier.download_url, earlier.file_size)
        return earlier if served else None

    def _by_url(self, session: Session, retries: RetryCount) -> _Sent:
        url = str(self.source)
        name = self.file_name or unique_file_name(file_name_of(url))
        call = files.upload_url(clean_upload_path(self.upload_path), name, url)
        try:
            return "url", session.client.send(call, retries=retries), None
        except KieValidationError as error:
            if error.code not in _NOT_FETCHED:
                raise
            # Never by itself: what this worker can reach is not always meant to become public.
            raise type(error)(
                f"{error} kie.ai fetches the URL itself, so it must be public, at most 100 MB and there "
                "within 30 seconds; method='stream' has this worker fetch it and send it on.",
                code=error.code,
            ) from None

    def _through_this_worker(self, session: Session, retries: RetryCount) -> _Sent:
        url = str(self.source)
        if source := web_source(session.client, url, retries=retries):
            return self._send(source, source.name, session, retries)
        # Its host does not say how long it is, and kie.ai wants to know before the first byte.
        with spooling(session.unfinished) as spool:
            with naming_a_full_disk(spool.parent, SPOOL_ADVICE), spool.open("wb") as sink:
                download(session.client, url, bounded(sink, SPOOL_LIMIT), signed=False, retries=retries)
            if not spool.stat().st_size:
                raise ValueError(f"{self.shown} is empty; there is nothing to upload")
            return self._send(open_source(spool), file_name_of(url), session, retries)

    def _send(self, file: FileSource, name: str, session: Session, retries: RetryCount) -> _Sent:
        method = choose_method(self.method, size=file.size)
        upload = upload_base64 if method == "base64" else upload_stream
        path, name = clean_upload_path(self.upload_path), self.file_name or unique_file_name(name)
        receipt, sha256 = upload(session.client, file, path, name, retries=retries)
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

    def run(self, session: Session) -> DownloadedFile:
        """Download it, unless there is nothing to do."""
        started, retries = time.monotonic(), RetryCount()
        target = self._target()
        if self.if_exists != "overwrite" and (size := target.size()) is not None:
            if self.if_exists == "fail":
                raise FileExistsError(f"{target} exists, and if_exists='fail'")
            log.info("%s exists; nothing to download", target)
            skipped = DownloadedFile(self.shown, str(target), size, None, None, skipped=True)
            session.count(skipped)
            return skipped
        with target.writing(session.unfinished) as sink:
            received = download(
                session.client,
                self.file_url,
                sink,
                signed=needs_signing(session.client, self.file_url, self.sign),
                expected=self.expected,
                retries=retries,
            )
        log.info("Downloaded %d bytes from %s to %s", received.size, self.shown, target)
        downloaded = DownloadedFile(
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
        session.count(downloaded)
        return downloaded

    def identity(self) -> list[str | int | None]:
        """Say what makes two downloads the same."""
        where = (str(self.destination), self.name_in_folder, self.destination_conn_id)
        how = (self.sign, self.if_exists, self.expected.size, self.expected.sha256)
        return ["download", self.file_url, *where, *how]

    def reusable(self, session: Session, result: dict[str, Any]) -> DownloadedFile | None:
        """
        Give the result of an earlier try, if the file is still there as it was received.

        :param session: Not asked.
        :param result: What :meth:`run` gave, as a dict.
        :return: The result, or None. A local file is compared by its hash, an object by its size.
        """
        earlier, target = DownloadedFile(**result), self._target()
        if earlier.skipped or target.size() != earlier.size:
            return None
        if isinstance(target, LocalTarget):
            with target.path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != earlier.sha256:
                    return None
        return earlier

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
