"""Whole downloads, as values: from kie.ai to where files live for Airflow."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import count
from typing import TYPE_CHECKING, Literal, Self, get_args
from unicodedata import normalize

from airflow_provider_kie.client.arguments import check_choice, check_public_url
from airflow_provider_kie.client.retries import RetryCount
from airflow_provider_kie.client.transfer.download import (
    NOTHING_EXPECTED,
    Expected,
    Sign,
    download,
    needs_signing,
)
from airflow_provider_kie.client.urls import file_name_of, numbered_name, without_query
from airflow_provider_kie.files.batch import Session
from airflow_provider_kie.files.results import DownloadedFile
from airflow_provider_kie.files.storage import LocalTarget, ObjectTarget, open_target

if TYPE_CHECKING:
    from airflow_provider_kie.files.storage import Location

log = logging.getLogger(__name__)

IfExists = Literal["overwrite", "skip", "fail"]


@dataclass(frozen=True)
class Download:
    """
    One file to be downloaded; see :meth:`airflow_provider_kie.hooks.kie.KieHook.download_file`.

    :param file_url: URL of the file.
    :param destination: Where it goes.
    :param if_exists: One of :data:`IfExists`.
    :param sign: One of :data:`~airflow_provider_kie.client.transfer.download.Sign`.
    :param destination_conn_id: Airflow connection of the object storage that the destination is in.
    :param expected: Size and hash that it has to have.
    :param name_in_folder: Its name, for one of many; the destination is a folder then.
    """

    file_url: str
    destination: Location
    if_exists: IfExists
    sign: Sign
    destination_conn_id: str | None
    expected: Expected
    name_in_folder: str | None

    @classmethod
    def parse(
        cls,
        file_url: str,
        destination: Location,
        *,
        if_exists: str = "overwrite",
        sign: str = "auto",
        destination_conn_id: str | None = None,
        expected: Expected = NOTHING_EXPECTED,
        name_in_folder: str | None = None,
    ) -> Self:
        """
        Read what a DAG author wrote, after templating.

        :return: The download; nothing has been looked at yet.
        :raises ValueError: An argument is unusable.
        """
        check_public_url("file_url", file_url)
        return cls(
            file_url,
            destination,
            check_choice("if_exists", if_exists, get_args(IfExists)),
            check_choice("sign", sign, get_args(Sign)),
            destination_conn_id,
            expected,
            name_in_folder,
        )

    @classmethod
    def parse_many(
        cls,
        file_urls: Sequence[str],
        destination: Location,
        *,
        if_exists: str,
        sign: str,
        destination_conn_id: str | None,
    ) -> list[Self]:
        """
        Read what a DAG author wrote of many files, for which the destination is a folder.

        :return: The downloads, in the order of the URLs.
        :raises ValueError: An argument is unusable.
        """
        return [
            cls.parse(
                url,
                destination,
                if_exists=if_exists,
                sign=sign,
                destination_conn_id=destination_conn_id,
                name_in_folder=name,
            )
            for url, name in zip(file_urls, distinct_names(file_urls), strict=True)
        ]

    @property
    def shown(self) -> str:
        """The URL, fit to be shown."""
        return without_query(self.file_url)

    def run(self, *, session: Session) -> DownloadedFile:
        """Download it, unless there is nothing to do."""
        return self.prepare().run(session=session)

    def prepare(self) -> PreparedDownload:
        """
        Find the destination, once.

        :return: The download, with its destination.
        :raises OSError: The destination is no place for a file.
        :raises ValueError: The destination is of a storage that Airflow does not know.
        """
        started = time.monotonic()
        target = open_target(
            self.destination,
            self.destination_conn_id,
            default_name=self.name_in_folder or file_name_of(self.file_url),
            is_folder=self.name_in_folder is not None,
        )
        return PreparedDownload(self, target, started)


@dataclass(frozen=True)
class PreparedDownload:
    """
    A download whose destination has been found.

    :param download: What goes where.
    :param target: The destination.
    :param started: When it was found, on the monotonic clock.
    """

    download: Download
    target: LocalTarget | ObjectTarget
    started: float

    @cached_property
    def size_before(self) -> int | None:
        """
        Bytes of what was there before, None if nothing was; whoever may only write is not asked.

        What happens to the destination afterwards, while a file there is hashed for example, is not noticed.
        """
        return self.target.size()

    def run(self, *, session: Session) -> DownloadedFile:
        """
        Download it, unless there is nothing to do.

        :param session: What it shares with others.
        :return: What was received.
        :raises FileExistsError: The destination exists and ``if_exists="fail"``.
        :raises OSError: The destination cannot be written; what was there before still is.
        :raises KieError: It could not be had whole, after all retries.
        """
        how, target, retries = self.download, self.target, RetryCount()
        if how.if_exists != "overwrite" and self.size_before is not None:
            return self._skipped(self.size_before, session)
        with target.writing(session.unfinished) as sink:
            received = download(
                session.client,
                how.file_url,
                sink,
                signed=needs_signing(session.client, how.file_url, how.sign),
                expected=how.expected,
                retries=retries,
            )
        log.info("Downloaded %d bytes to %s from %s", received.size, target, how.shown)
        downloaded = DownloadedFile(
            file_url=how.shown,
            path=str(target),
            size=received.size,
            sha256=received.sha256,
            mime_type=received.mime_type,
            skipped=False,
            verified=received.verified,
            seconds=round(time.monotonic() - self.started, 3),
            retries=retries.count,
        )
        session.count(downloaded)
        return downloaded

    def _skipped(self, size: int, session: Session) -> DownloadedFile:
        if self.download.if_exists == "fail":
            raise FileExistsError(f"{self.target} exists, and if_exists='fail'")
        log.info("%s exists; nothing to download", self.target)
        skipped = DownloadedFile(self.download.shown, str(self.target), size, None, None, skipped=True)
        session.count(skipped)
        return skipped


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
