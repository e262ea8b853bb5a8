"""What an earlier try of a task has moved, where it is the same and still holds."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_kie.client.errors import KieCancelledError
from airflow_provider_kie.client.transfer.web import is_served
from airflow_provider_kie.files.batch import Session
from airflow_provider_kie.files.download import Download, PreparedDownload
from airflow_provider_kie.files.results import DownloadedFile, Moved, UploadedFile
from airflow_provider_kie.files.storage import LocalTarget
from airflow_provider_kie.files.upload import PreparedUpload, Upload

if TYPE_CHECKING:
    from airflow_provider_kie.operators._finished import Finished

log = logging.getLogger(__name__)

# An upload with less life left than this is sent again rather than handed to the next task.
WORTH_REUSING = timedelta(minutes=30)


@dataclass
class Remembered:
    """
    A transfer that is left out if an earlier try of the task has done it.

    :param transfer: What is to be moved.
    :param kie_conn_id: Airflow connection; what was done with another one counts for nothing.
    :param finished: What earlier tries have done.
    """

    transfer: Upload | Download
    kie_conn_id: str
    finished: Finished
    key: str = ""
    is_reused: bool = False

    @property
    def shown(self) -> str:
        """What it is called in logs and errors."""
        return self.transfer.shown

    def run(self, *, session: Session) -> Moved:
        """Move it, or give what an earlier try has moved, if that is still there."""
        prepared = self.transfer.prepare()
        if self.finished.is_kept:
            # Of the source as it was before the transfer: one that changes afterwards is another one.
            self.key = key_of(prepared, self.kie_conn_id)
            earlier = self.finished.earlier.get(self.key)
            if earlier and (result := self._still_holding(prepared, earlier, session)):
                self.is_reused = True
                return result
        return prepared.run(session=session)

    def note(self, result: Moved) -> None:
        """
        Have the result remembered, unless it is already.

        :param result: What was moved.
        """
        if self.key and not self.is_reused and not getattr(result, "skipped", False):
            self.finished.add(self.key, result.to_dict())

    def _still_holding(
        self, prepared: PreparedUpload | PreparedDownload, earlier: dict[str, Any], session: Session
    ) -> Moved | None:
        try:
            if isinstance(prepared, PreparedUpload):
                return _still_served(UploadedFile(**earlier), session)
            return _still_there(DownloadedFile(**earlier), prepared)
        except KieCancelledError:
            raise
        except Exception as error:
            log.warning("%s: cannot tell whether what is done still holds: %s", self.shown, error)
            return None


def key_of(prepared: PreparedUpload | PreparedDownload, kie_conn_id: str) -> str:
    """
    Name a transfer after all that its result depends on.

    A retry may come after an upgrade, so the names must not change.

    :param prepared: What is to be moved, with its source as it is now.
    :param kie_conn_id: Airflow connection of kie.ai.
    :return: The key under which its result is kept.
    """
    identity = _upload(prepared) if isinstance(prepared, PreparedUpload) else _download(prepared.download)
    return hashlib.sha256(json.dumps([kie_conn_id, *identity]).encode()).hexdigest()[:32]


def _upload(prepared: PreparedUpload) -> list[str | None]:
    upload, version = prepared.upload, prepared.file.version if prepared.file else None
    names = (upload.upload_path, upload.file_name, upload.method, upload.source_conn_id)
    return ["upload", str(upload.source), version, *names]


def _download(download: Download) -> list[str | int | None]:
    where = (str(download.destination), download.name_in_folder, download.destination_conn_id)
    how = (download.sign, download.if_exists, download.expected.size, download.expected.sha256)
    return ["download", download.file_url, *where, *how]


def _still_served(earlier: UploadedFile, session: Session) -> UploadedFile | None:
    """Give an upload if kie.ai still serves it, and long enough for the next task."""
    life = datetime.fromisoformat(earlier.expires_at) - datetime.now(UTC)
    served = life > WORTH_REUSING and is_served(session.client, earlier.download_url, earlier.file_size)
    return earlier if served else None


def _still_there(earlier: DownloadedFile, prepared: PreparedDownload) -> DownloadedFile | None:
    """Give a download if the file is as it was received: a local one by its hash, an object by its size."""
    if earlier.skipped or prepared.size_before != earlier.size:
        return None
    if isinstance(prepared.target, LocalTarget):
        with prepared.target.path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != earlier.sha256:
                return None
    return earlier
