"""Whole uploads, as values: from where files live for Airflow, or from the web, to kie.ai."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self, get_args

from airflow_provider_kie.client.api.files import UploadReceipt, upload_url
from airflow_provider_kie.client.arguments import (
    check_choice,
    check_public_url,
    clean_file_name,
    clean_upload_path,
)
from airflow_provider_kie.client.errors import KieValidationError
from airflow_provider_kie.client.retries import RetryCount
from airflow_provider_kie.client.transfer.download import download
from airflow_provider_kie.client.transfer.upload import (
    FileSource,
    UploadMethod,
    choose_method,
    unique_file_name,
    upload_base64,
    upload_stream,
)
from airflow_provider_kie.client.transfer.web import bounded, web_source
from airflow_provider_kie.client.urls import file_name_of, without_query
from airflow_provider_kie.files.batch import Session
from airflow_provider_kie.files.local import SPOOL_ADVICE, naming_a_full_disk, spooling
from airflow_provider_kie.files.results import UploadedFile
from airflow_provider_kie.files.sources import list_files
from airflow_provider_kie.files.storage import LocalSource, ObjectSource, open_source

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from airflow_provider_kie.files.storage import Location

log = logging.getLogger(__name__)

# A file on the web that may turn out to be endless does not fill the worker's disk.
SPOOL_LIMIT = 2_000_000_000
_FOR_ONE_FILE = "file_name is for a single source; many files get unique names"
# What kie.ai answers where it could not fetch a URL, or not within its limits.
_NOT_FETCHED = (400, 413, 451, 500)

_Sent = tuple[str, UploadReceipt, str | None]


@dataclass(frozen=True)
class Upload:
    """
    One file to be uploaded; see :meth:`airflow_provider_kie.hooks.kie.KieHook.upload_file`.

    :param source: Where the file is.
    :param upload_path: Folder at kie.ai as its author wrote it.
    :param folder: The same as kie.ai takes it.
    :param file_name: Name at kie.ai, None for a unique one.
    :param method: One of :data:`UploadMethod`.
    :param source_conn_id: Airflow connection of the object storage that the source is in.
    """

    source: Location
    upload_path: str
    folder: str
    file_name: str | None
    method: UploadMethod
    source_conn_id: str | None

    @classmethod
    def parse(
        cls,
        source: Location,
        upload_path: str,
        *,
        file_name: str | None = None,
        method: str = "auto",
        source_conn_id: str | None = None,
    ) -> Self:
        """
        Read what a DAG author wrote, after templating.

        :param source: Where the file is, or the files are: a folder or a pattern.
        :param upload_path: Folder at kie.ai; slashes at its ends are stripped.
        :param file_name: Name at kie.ai; by default a unique one.
        :param method: One of :data:`UploadMethod`.
        :param source_conn_id: Airflow connection of the object storage that the source is in.
        :return: The upload; nothing has been looked at yet.
        :raises ValueError: An argument is unusable.
        """
        folder = clean_upload_path(upload_path)
        chosen = check_choice("method", method, get_args(UploadMethod))
        if file_name is not None:
            clean_file_name(file_name)
        upload = cls(source, upload_path, folder, file_name, chosen, source_conn_id)
        if upload.is_url:
            check_public_url("source", str(source))
            choose_method(chosen, size=None)
        return upload

    @classmethod
    def parse_many(
        cls,
        sources: Location | Sequence[Location],
        upload_path: str,
        *,
        file_name: str | None = None,
        method: str = "auto",
        source_conn_id: str | None = None,
    ) -> list[Self]:
        """
        Read what a DAG author wrote, be it one source or a list of them.

        :param sources: As ``source`` of :meth:`parse`, or a list of these.
        :param upload_path: As there, for all of them.
        :param file_name: As there, for a single source only.
        :param method: As there, for all of them.
        :param source_conn_id: As there, for all of them.
        :return: The uploads, in the order of the sources; folders and patterns stand as they are.
        :raises ValueError: An argument is unusable, or a list has a ``file_name``.
        """
        if is_single(sources):
            sources = [sources]
        elif file_name is not None:
            raise ValueError(_FOR_ONE_FILE)
        return [
            cls.parse(source, upload_path, file_name=file_name, method=method, source_conn_id=source_conn_id)
            for source in sources
        ]

    @property
    def is_url(self) -> bool:
        """Whether the source is on the web."""
        return isinstance(self.source, str) and self.source.lower().startswith(("http://", "https://"))

    @property
    def shown(self) -> str:
        """The source, fit to be shown."""
        return without_query(str(self.source)) if self.is_url else str(self.source)

    def expand(self) -> list[Self] | None:
        """
        Find the files that the source stands for, if it is a folder or a pattern.

        :return: An upload for each; None if the source stands for itself.
        :raises OSError: There is no file, or a folder cannot be listed.
        :raises ValueError: There is a ``file_name``, or the pattern cannot be looked for.
        """
        files = None if self.is_url else list_files(self.source, self.source_conn_id)
        if files is None:
            return None
        if self.file_name is not None:
            raise ValueError(_FOR_ONE_FILE)
        return [replace(self, source=file) for file in files]

    def run(self, *, session: Session) -> UploadedFile:
        """
        Upload it.

        :param session: What it shares with others.
        :return: What kie.ai holds now.
        """
        return self.prepare().run(session=session)

    def prepare(self) -> PreparedUpload:
        """
        Look at the source, once: what it is now is what will be sent.

        :return: The upload, with its source.
        :raises OSError: The source is missing, a folder, or unreadable.
        :raises ValueError: The source is empty, or of a storage that Airflow does not know.
        """
        started = time.monotonic()
        file = None if self.is_url else open_source(self.source, self.source_conn_id)
        return PreparedUpload(self, file, started)


def is_single(source: Location | Sequence[Location]) -> TypeIs[Location]:
    """
    Tell a single source from a list of them.

    :param source: What a DAG author wrote.
    :return: True for a path or a URL, of a folder or a pattern too.
    """
    return isinstance(source, str) or not isinstance(source, Sequence)


def expand_all(uploads: Sequence[Upload]) -> list[Upload]:
    """
    Put the files in the place of folders and patterns.

    :param uploads: What to upload.
    :return: The same, with files alone for sources.
    :raises OSError: As :meth:`Upload.expand`.
    :raises ValueError: As :meth:`Upload.expand`.
    """
    expanded: list[Upload] = []
    for upload in uploads:
        files = upload.expand()
        expanded += [upload] if files is None else files
    return expanded


@dataclass(frozen=True)
class PreparedUpload:
    """
    An upload whose source has been looked at.

    :param upload: What goes where.
    :param file: The source as it was then; None for one on the web.
    :param started: When that was, on the monotonic clock.
    """

    upload: Upload
    file: LocalSource | ObjectSource | None
    started: float

    def run(self, *, session: Session) -> UploadedFile:
        """
        Upload it.

        :param session: What it shares with others.
        :return: What kie.ai holds now.
        :raises KieTransferError: kie.ai holds other bytes than were sent, or the source has changed.
        :raises KieError: kie.ai refused, or could not be reached after all retries.
        """
        upload, retries = self.upload, RetryCount()
        if self.file:
            sent = self._send(self.file, self.file.name, session, retries)
        elif upload.method == "stream":
            sent = self._through_this_worker(session, retries)
        else:
            sent = self._by_url(session, retries)
        method, receipt, sha256 = sent
        log.info(
            "Uploaded %s (%d bytes, %s) to %s", upload.shown, receipt.file_size, method, receipt.file_path
        )
        uploaded = UploadedFile.from_receipt(
            receipt,
            source=upload.shown,
            method=method,
            sha256=sha256,
            retention=session.client.settings.upload_retention_hours,
            seconds=round(time.monotonic() - self.started, 3),
            retries=retries.count,
        )
        session.count(uploaded)
        return uploaded

    def _by_url(self, session: Session, retries: RetryCount) -> _Sent:
        url = str(self.upload.source)
        call = upload_url(self.upload.folder, self._name(file_name_of(url)), url)
        try:
            return "url", session.client.send(call, retries=retries), None
        except KieValidationError as error:
            if error.code not in _NOT_FETCHED:
                raise
            # Never by itself: what this worker can reach is not always meant to become public.
            raise error.saying(
                f"{error} kie.ai fetches the URL itself, so it must be public, at most 100 MB and there "
                "within 30 seconds; method='stream' has this worker fetch it and send it on."
            ) from None

    def _through_this_worker(self, session: Session, retries: RetryCount) -> _Sent:
        url = str(self.upload.source)
        if source := web_source(session.client, url, retries=retries):
            return self._send(source, source.name, session, retries)
        # Its host does not say how long it is, and kie.ai wants to know before the first byte.
        with spooling(session.unfinished) as spool:
            with naming_a_full_disk(spool.parent, SPOOL_ADVICE), spool.open("wb") as file:
                sink = bounded(file, SPOOL_LIMIT)
                received = download(session.client, url, sink, signed=False, retries=retries)
            if not received.size:
                raise ValueError(f"{self.upload.shown} is empty; there is nothing to upload")
            return self._send(LocalSource(spool, received.size), file_name_of(url), session, retries)

    def _send(self, file: FileSource, name: str, session: Session, retries: RetryCount) -> _Sent:
        method = choose_method(self.upload.method, size=file.size)
        send = upload_base64 if method == "base64" else upload_stream
        receipt, sha256 = send(session.client, file, self.upload.folder, self._name(name), retries=retries)
        return method, receipt, sha256

    def _name(self, source_name: str) -> str:
        return self.upload.file_name or unique_file_name(source_name)
