"""KieHook: from an Airflow connection to kie.ai, with the verbs that DAG authors call in ``@task``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_kie.client.api import credits
from airflow_provider_kie.client.arguments import check_public_url
from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.client.transfer.download import Expected, Sign, signed_link
from airflow_provider_kie.client.transfer.upload import UploadMethod
from airflow_provider_kie.files.batch import RESULT, Session, Transfer, result_of, results_of, run_all
from airflow_provider_kie.files.download import Download, IfExists
from airflow_provider_kie.files.local import Unfinished
from airflow_provider_kie.files.results import DownloadedFile, UploadedFile
from airflow_provider_kie.files.upload import Upload, expand_all
from airflow_provider_kie.hooks import _form, _lineage, _metrics
from airflow_provider_kie.hooks._chat import KieChatHook
from airflow_provider_kie.hooks._jobs import KieJobsHook

if TYPE_CHECKING:
    from airflow_provider_kie.files.storage import Location


class KieHook(KieJobsHook, KieChatHook):
    """
    Connects to kie.ai.

    :param kie_conn_id: Airflow connection of the type ``kie``.
    """

    def get_credits(self, *, max_retries: int | None = None) -> float:
        """
        Ask for the balance, and report it as the metric ``kie.credits``; costs nothing.

        :param max_retries: Instead of the connection's.
        :return: Credits.
        :raises KieError: kie.ai refused, or could not be reached after all retries.

        kie.ai page: https://docs.kie.ai/common-api/get-account-credits
        """
        with self.get_conn(max_retries=max_retries) as client:
            balance = client.send(credits.get_credits())
        _metrics.report_balance(balance, self.kie_conn_id)
        return balance

    async def aget_credits(self, *, max_retries: int | None = None) -> float:
        """
        Ask for the balance on an event loop; otherwise as :meth:`get_credits`.

        :param max_retries: Instead of the connection's.
        :return: Credits.
        :raises KieError: kie.ai refused, or could not be reached after all retries.

        kie.ai page: https://docs.kie.ai/common-api/get-account-credits
        """
        async with await self.aget_conn(max_retries=max_retries) as client:
            balance = await client.send(credits.get_credits())
        # The first metric of a process looks up the metrics' host.
        await asyncio.to_thread(_metrics.report_balance, balance, self.kie_conn_id)
        return balance

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
        method: UploadMethod = "auto",
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
        upload = Upload.parse(
            source, upload_path, file_name=file_name, method=method, source_conn_id=source_conn_id
        )
        [outcome] = self.move([upload], max_concurrency=1)
        return result_of(outcome)

    def upload_files(
        self,
        sources: Location | Sequence[Location],
        upload_path: str,
        *,
        method: UploadMethod = "auto",
        source_conn_id: str | None = None,
        max_concurrency: int = 8,
    ) -> list[UploadedFile]:
        """
        Upload many files at once, each under a unique name; otherwise as :meth:`upload_file`.

        :param sources: As ``source`` there; also a folder, for the files directly in it (in object storage it
            ends with a slash), or a pattern such as ``inbox/*.png``; or a list of all these.
        :param upload_path: Folder at kie.ai.
        :param method: For all of them.
        :param source_conn_id: Airflow connection of the object storage that the sources are in.
        :param max_concurrency: How many at a time; they share one pool of connections.
        :return: What kie.ai holds now, in the order of the sources; of a folder or a pattern, sorted.
        :raises ValueError: An argument is unusable; nothing was sent.
        :raises OSError: A folder or a pattern has no file, or cannot be listed; nothing was sent.
        :raises KieBatchError: Some files failed; all were tried, and the error says which failed and why.
        """
        given = Upload.parse_many(sources, upload_path, method=method, source_conn_id=source_conn_id)
        uploads = expand_all(given)
        return results_of(uploads, self.move(uploads, max_concurrency=max_concurrency))

    def download_file(
        self,
        file_url: str,
        destination: Location,
        *,
        if_exists: IfExists = "overwrite",
        sign: Sign = "auto",
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
        download = Download.parse(
            file_url,
            destination,
            if_exists=if_exists,
            sign=sign,
            destination_conn_id=destination_conn_id,
            expected=Expected.parse(expected_size, expected_sha256),
        )
        [outcome] = self.move([download], max_concurrency=1)
        return result_of(outcome)

    def download_files(
        self,
        file_urls: Sequence[str],
        destination: Location,
        *,
        if_exists: IfExists = "overwrite",
        sign: Sign = "auto",
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
        downloads = Download.parse_many(
            file_urls, destination, if_exists=if_exists, sign=sign, destination_conn_id=destination_conn_id
        )
        return results_of(downloads, self.move(downloads, max_concurrency=max_concurrency))

    def move(
        self,
        transfers: Sequence[Transfer[RESULT]],
        *,
        max_concurrency: int = 8,
        on_done: Callable[[Any, RESULT], None] | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> list[RESULT | BaseException]:
        """
        Move the files that are described, for callers that keep books.

        :param transfers: What to move, such as :class:`airflow_provider_kie.files.download.Download`.
        :param max_concurrency: How many at a time; they share one pool of connections.
        :param on_done: Told of each file that is done, in this thread.
        :param on_wait: Called in this thread at least ten times a second; ends all transfers by raising.
        :return: How each ended, in the order given: with a result, or with an exception.
        :raises ValueError: ``max_concurrency`` is no whole number above 0.
        """
        if not isinstance(max_concurrency, int) or isinstance(max_concurrency, bool) or max_concurrency < 1:
            raise ValueError(f"max_concurrency must be a whole number of 1 or more, not {max_concurrency!r}")
        if not transfers:
            return []
        with self.get_conn(connections=max_concurrency) as client:
            session = Session(client, Unfinished(client.check_running), _metrics.report_moved)
            outcomes = run_all(
                transfers, session, max_concurrency=max_concurrency, on_done=on_done, on_wait=on_wait
            )
        _lineage.report_moved(self, [one for one in outcomes if not isinstance(one, BaseException)])
        return outcomes

    def test_connection(self) -> tuple[bool, str]:
        """
        Check the connection by asking for the balance, for Airflow's "Test connection" button and
        ``airflow connections test``.

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
        message = f"kie.ai answers: the account has {credits_:.15g} credits."
        # Of a success, `airflow connections test` shows neither the message nor what is logged.
        print(message)
        return True, message

    # Airflow 3.1 asks for these two, and only in the class itself, not in what it inherits from.

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Give the form's fields for Airflow 3.1."""
        return _form.widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Give the form's labels for Airflow 3.1."""
        return _form.field_behaviour()
