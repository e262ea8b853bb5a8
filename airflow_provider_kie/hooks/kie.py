"""KieHook: from an Airflow connection to kie.ai, with the verbs that DAG authors call in ``@task``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_provider_kie._compat import NO_SUCH_CONNECTION, aget_connection
from airflow_provider_kie.client.api import credits
from airflow_provider_kie.client.arguments import check_public_url
from airflow_provider_kie.client.client import AsyncKieClient, KieClient
from airflow_provider_kie.client.errors import KieConnectionNotFoundError, KieError, quote
from airflow_provider_kie.client.transfer.download import Expected, signed_link
from airflow_provider_kie.files.batch import RESULT, Moved, Session, Transfer, results_of, run_all
from airflow_provider_kie.files.results import DownloadedFile, UploadedFile
from airflow_provider_kie.files.storage import Unfinished
from airflow_provider_kie.files.transfers import Download, Upload, distinct_names
from airflow_provider_kie.get_provider_info import get_provider_info
from airflow_provider_kie.hooks._metrics import report
from airflow_provider_kie.hooks.settings import settings_of

if TYPE_CHECKING:
    from airflow_provider_kie.files.storage import Location


class KieHook(BaseHook):
    """
    Connects to kie.ai.

    :param kie_conn_id: Airflow connection of the type ``kie``.
    """

    conn_name_attr = "kie_conn_id"
    default_conn_name = "kie_default"
    conn_type = "kie"
    hook_name = "kie.ai"

    def __init__(self, kie_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.kie_conn_id = kie_conn_id

    def get_conn(self, *, max_retries: int | None = None, connections: int = 8) -> KieClient:
        """
        Open a client: authenticated, with a pool of connections.

        :param max_retries: Instead of the connection's.
        :param connections: How many connections are kept open: as many as threads share the client.
        :return: The client, a context manager.
        :raises KieConnectionNotFoundError: Airflow found no such connection, or could not look just now.
        :raises KieConfigError: The connection has an unusable field, or the environment an unusable variable;
            the message names it.
        """
        try:
            connection = self.get_connection(self.kie_conn_id)
        except Exception as error:
            raise self._not_found(error) from error
        return KieClient(settings_of(connection, max_retries=max_retries), connections=connections)

    async def aget_conn(self, *, max_retries: int | None = None) -> AsyncKieClient:
        """
        Open a client for an event loop, a trigger's for example.

        :param max_retries: Instead of the connection's.
        :return: The client, an asynchronous context manager.
        :raises KieConnectionNotFoundError: Airflow found no such connection, or could not look just now.
        :raises KieConfigError: The connection has an unusable field, or the environment an unusable variable;
            the message names it.
        """
        try:
            connection = await aget_connection(self.kie_conn_id)
        except Exception as error:
            raise self._not_found(error) from error
        return AsyncKieClient(settings_of(connection, max_retries=max_retries))

    def get_credits(self, *, max_retries: int | None = None) -> float:
        """
        Ask for the balance, and report it as the metric ``kie.credits``; costs nothing.

        :param max_retries: Instead of the connection's.
        :return: Credits.
        :raises KieError: kie.ai refused, or could not be reached after all retries.

        kie.ai page: https://docs.kie.ai/common-api/get-account-credits
        """
        with self.get_conn(max_retries=max_retries) as client:
            return self._report(client.send(credits.get_credits()))

    async def aget_credits(self, *, max_retries: int | None = None) -> float:
        """
        Ask for the balance on an event loop; otherwise as :meth:`get_credits`.

        :param max_retries: Instead of the connection's.
        :return: Credits.
        :raises KieError: kie.ai refused, or could not be reached after all retries.

        kie.ai page: https://docs.kie.ai/common-api/get-account-credits
        """
        async with await self.aget_conn(max_retries=max_retries) as client:
            return self._report(await client.send(credits.get_credits()))

    def get_download_url(self, file_url: str) -> str:
        """
        Ask for a signed link to a generated file.

        The link is a secret and good for 20 minutes: use it at once and keep it out of logs and XCom.
        :meth:`download_file` asks for one by itself.

        :param file_url: URL of a file that kie.ai generated.
        :return: The link.
        :raises ValueError: ``file_url`` is no http(s) URL.
        :raises KieValidationError: kie.ai did not generate this file.
        :raises KieError: Any other failure, after all retries.

        kie.ai page: https://docs.kie.ai/common-api/download-url
        """
        check_public_url("file_url", file_url)
        with self.get_conn() as client:
            return signed_link(client.send, file_url)

    def upload_file(
        self,
        source: Location,
        upload_path: str,
        *,
        file_name: str | None = None,
        method: str = "auto",
        source_conn_id: str | None = None,
    ) -> UploadedFile:
        """
        Upload a file; free. kie.ai deletes it after one to three days.

        :param source: Local path, ``file://`` URL, object storage URL or path, or an http(s) URL, which
            kie.ai fetches itself unless ``method`` is ``stream``.
        :param upload_path: Folder at kie.ai.
        :param file_name: Name at kie.ai; an existing file of that name is overwritten. By default a unique
            name that ends like the source's.
        :param method: ``auto`` (URLs: url; up to 1 MB: base64; else stream), or one of these three.
            ``stream`` with an http(s) URL has this worker fetch it, from whatever it reaches, and send it on.
        :param source_conn_id: Airflow connection of the object storage that the source is in.
        :return: What kie.ai holds now.
        :raises ValueError: An argument is unusable, or the source is empty.
        :raises OSError: The source is missing, a folder, or unreadable; nothing was sent.
        :raises KieTransferError: kie.ai holds other bytes than were sent.
        :raises KieError: kie.ai refused, or could not be reached after all retries.

        kie.ai page: https://docs.kie.ai/file-upload-api/quickstart
        """
        return self.move_one(Upload(source, upload_path, file_name, method, source_conn_id))

    def upload_files(
        self,
        sources: Sequence[Location],
        upload_path: str,
        *,
        method: str = "auto",
        source_conn_id: str | None = None,
        max_concurrency: int = 8,
    ) -> list[UploadedFile]:
        """
        Upload many files at once, each under a unique name; otherwise as :meth:`upload_file`.

        :param sources: As ``source`` there.
        :param upload_path: Folder at kie.ai.
        :param method: For all of them.
        :param source_conn_id: Airflow connection of the object storage that the sources are in.
        :param max_concurrency: How many at a time; they share one pool of connections.
        :return: What kie.ai holds now, in the order of the sources.
        :raises ValueError: An argument is unusable; nothing was sent.
        :raises KieBatchError: Some files failed; all were tried, and the error says which failed and why.
        """
        uploads = [Upload(source, upload_path, None, method, source_conn_id) for source in sources]
        return self.move(uploads, max_concurrency=max_concurrency)

    def download_file(
        self,
        file_url: str,
        destination: Location,
        *,
        if_exists: str = "overwrite",
        sign: str = "auto",
        destination_conn_id: str | None = None,
        expected_size: int | None = None,
        expected_sha256: str | None = None,
    ) -> DownloadedFile:
        """
        Download a file, all or nothing; free.

        :param file_url: URL of a generated or an uploaded file.
        :param destination: Local path, ``file://`` URL, object storage URL or path: a file, or a folder (it
            ends with a slash, or exists), which gets a file named like the URL's. Missing parents are made.
        :param if_exists: ``overwrite``, ``skip`` or ``fail``.
        :param sign: ``auto``: a generated file is fetched through a signed link, an uploaded one directly;
            ``always``; ``never``.
        :param destination_conn_id: Airflow connection of the object storage that the destination is in.
        :param expected_size: Bytes that the file has to have.
        :param expected_sha256: Hash, in hex, that it has to have.
        :return: What was received.
        :raises ValueError: An argument is unusable.
        :raises FileExistsError: The destination exists and ``if_exists="fail"``; nothing was transferred.
        :raises OSError: The destination cannot be written; what was there before still is.
        :raises KieValidationError: kie.ai did not generate this file, so it signs no link to it.
        :raises KieNotFoundError: The file does not exist, or no longer.
        :raises KieTransferError: The bytes did not arrive whole.
        :raises KieError: kie.ai refused, or could not be reached after all retries.

        kie.ai page: https://docs.kie.ai/common-api/download-url
        """
        expected = Expected.parse(expected_size, expected_sha256)
        return self.move_one(Download(file_url, destination, if_exists, sign, destination_conn_id, expected))

    def download_files(
        self,
        file_urls: Sequence[str],
        destination: Location,
        *,
        if_exists: str = "overwrite",
        sign: str = "auto",
        destination_conn_id: str | None = None,
        max_concurrency: int = 8,
    ) -> list[DownloadedFile]:
        """
        Download many files at once into a folder; otherwise as :meth:`download_file`.

        :param file_urls: URLs; files of the same name get ``-2``, ``-3``, ... before the extension.
        :param destination: Folder.
        :param if_exists: For each of them.
        :param sign: For each of them.
        :param destination_conn_id: Airflow connection of the object storage that the folder is in.
        :param max_concurrency: How many at a time; they share one pool of connections.
        :return: What was received, in the order of the URLs.
        :raises ValueError: An argument is unusable; nothing was transferred.
        :raises KieBatchError: Some files failed; all were tried, and the error says which failed and why.
        """
        downloads = [
            Download(url, destination, if_exists, sign, destination_conn_id, name_in_folder=name)
            for url, name in zip(file_urls, distinct_names(file_urls), strict=True)
        ]
        return self.move(downloads, max_concurrency=max_concurrency)

    def move_one(self, transfer: Transfer[RESULT], *, on_wait: Callable[[], None] | None = None) -> RESULT:
        """
        Move the file that is described, for callers that have to look after something meanwhile.

        :param transfer: What to move, such as :class:`airflow_provider_kie.files.transfers.Upload`.
        :param on_wait: Called in this thread at least ten times a second; ends the transfer by raising.
        :return: What kie.ai holds now, or what was received.
        :raises KieError: As :meth:`upload_file` and :meth:`download_file` do.
        """
        with self.get_conn(connections=1) as client:
            [future] = run_all([transfer], self._session(client), max_concurrency=1, on_wait=on_wait)
            return future.result()

    def move(
        self,
        transfers: Sequence[Transfer[RESULT]],
        *,
        max_concurrency: int = 8,
        on_done: Callable[[Any, RESULT], None] | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> list[RESULT]:
        """
        Move the files that are described, for callers that keep books.

        :param transfers: What to move, such as :class:`airflow_provider_kie.files.transfers.Download`.
        :param max_concurrency: How many at a time; they share one pool of connections.
        :param on_done: Told of each file that is done, in this thread.
        :param on_wait: Called in this thread at least ten times a second; ends all transfers by raising.
        :return: What kie.ai holds now, or what was received, in the order given.
        :raises ValueError: ``max_concurrency`` is no whole number above 0.
        :raises KieBatchError: Some files failed; all were tried.
        """
        if not isinstance(max_concurrency, int) or isinstance(max_concurrency, bool) or max_concurrency < 1:
            raise ValueError(f"max_concurrency must be a whole number of 1 or more, not {max_concurrency!r}")
        if not transfers:
            return []
        with self.get_conn(connections=max_concurrency) as client:
            futures = run_all(
                transfers,
                self._session(client),
                max_concurrency=max_concurrency,
                on_done=on_done,
                on_wait=on_wait,
            )
        return results_of(transfers, futures)

    def test_connection(self) -> tuple[bool, str]:
        """
        Check the connection for Airflow's "Test connection" button, by asking for the balance.

        :return: Whether it works, and the balance or what is wrong.
        """
        try:
            # One try: the button's user is waiting.
            credits_ = self.get_credits(max_retries=0)
        except KieError as error:
            return False, str(error)
        except Exception as error:
            # Whatever it is, Airflow would show "Internal Server Error" for it.
            return False, f"{type(error).__name__}: {error}"
        return True, f"kie.ai answers: the account has {credits_:.15g} credits."

    # Airflow 3.1 reads the form from these two; from 3.2 on it reads the provider info instead.

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Give the form's fields for Airflow 3.1."""
        from wtforms import IntegerField, StringField, validators

        kinds = {"string": StringField, "integer": IntegerField}
        return {
            name: kinds[field["schema"]["type"][0]](
                field["label"], validators=[validators.Optional()], description=field["description"]
            )
            for name, field in _connection_type()["conn-fields"].items()
        }

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Give the form's labels for Airflow 3.1."""
        behaviour = _connection_type()["ui-field-behaviour"]
        return {key.replace("-", "_"): value for key, value in behaviour.items()}

    def _session(self, client: KieClient) -> Session:
        return Session(client, Unfinished(client.check_running), _count)

    def _report(self, balance: float) -> float:
        report(lambda stats: stats.gauge("kie.credits", balance, tags={"conn_id": self.kie_conn_id}))
        return balance

    def _not_found(self, error: Exception) -> KieConnectionNotFoundError:
        # Airflow's own "not found" says nothing more; anything else is told.
        known = isinstance(error, NO_SUCH_CONNECTION)
        reason = "" if known else f" ({type(error).__name__}: {quote(str(error))})"
        return KieConnectionNotFoundError(
            f"Connection {self.kie_conn_id!r} does not exist, or Airflow could not look it up just now"
            f"{reason}. If it is missing, add one of the type 'kie' whose password is the API key, for "
            "example: "
            f"export AIRFLOW_CONN_{self.kie_conn_id.upper()}="
            """'{"conn_type": "kie", "password": "<API key>"}'"""
        )


def _count(moved: Moved) -> None:
    """Count a transfer in Airflow's metrics."""
    if isinstance(moved, UploadedFile):
        what, size = "upload", moved.file_size
    else:
        what, size = "download", 0 if moved.skipped else moved.size

    def tell(stats: Any) -> None:
        stats.incr(f"kie.{what}.files")
        stats.incr(f"kie.{what}.bytes", size)
        stats.incr("kie.retries", moved.retries)
        stats.timing(f"kie.{what}.seconds", timedelta(seconds=moved.seconds))

    report(tell)


def _connection_type() -> dict[str, Any]:
    info: dict[str, Any] = get_provider_info()["connection-types"][0]
    return info
