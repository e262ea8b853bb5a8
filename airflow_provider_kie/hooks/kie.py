"""KieHook: from an Airflow connection to kie.ai, with the verbs that DAG authors call in ``@task``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_provider_kie._compat import NO_SUCH_CONNECTION, aget_connection
from airflow_provider_kie.client import calls
from airflow_provider_kie.client.arguments import (
    check_choice,
    check_public_url,
    clean_file_name,
    clean_upload_path,
)
from airflow_provider_kie.client.client import AsyncKieClient, KieClient
from airflow_provider_kie.client.downloads import SIGN, download, needs_signing
from airflow_provider_kie.client.errors import KieConfigError, KieError
from airflow_provider_kie.client.models import DownloadedFile, UploadedFile
from airflow_provider_kie.client.uploads import (
    choose_method,
    unique_file_name,
    upload_base64,
    upload_stream,
)
from airflow_provider_kie.client.urls import file_name_of, without_query
from airflow_provider_kie.get_provider_info import get_provider_info
from airflow_provider_kie.hooks.settings import settings_of
from airflow_provider_kie.storage import open_source, open_target

if TYPE_CHECKING:
    from airflow_provider_kie.storage import Location

IF_EXISTS = ("overwrite", "skip", "fail")


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

    def get_conn(self, *, max_retries: int | None = None) -> KieClient:
        """
        Open a client: authenticated, with a pool of connections.

        :param max_retries: Instead of the connection's.
        :return: The client, a context manager.
        :raises KieConfigError: The connection is missing or has an unusable field; the message names both.
        """
        try:
            connection = self.get_connection(self.kie_conn_id)
        except NO_SUCH_CONNECTION as error:
            raise self._not_found() from error
        return KieClient(settings_of(connection, max_retries=max_retries))

    async def aget_conn(self, *, max_retries: int | None = None) -> AsyncKieClient:
        """
        Open a client for an event loop, a trigger's for example.

        :param max_retries: Instead of the connection's.
        :return: The client, an asynchronous context manager.
        :raises KieConfigError: The connection is missing or has an unusable field; the message names both.
        """
        try:
            connection = await aget_connection(self.kie_conn_id)
        except NO_SUCH_CONNECTION as error:
            raise self._not_found() from error
        return AsyncKieClient(settings_of(connection, max_retries=max_retries))

    def get_credits(self) -> float:
        """
        Ask for the balance; costs nothing.

        :return: Credits.
        :raises KieError: kie.ai refused, or could not be reached after all retries.

        kie.ai page: https://docs.kie.ai/common-api/get-account-credits
        """
        with self.get_conn() as client:
            return client.send(calls.get_credits())

    async def aget_credits(self) -> float:
        """
        Ask for the balance on an event loop; otherwise as :meth:`get_credits`.

        :return: Credits.
        :raises KieError: kie.ai refused, or could not be reached after all retries.

        kie.ai page: https://docs.kie.ai/common-api/get-account-credits
        """
        async with await self.aget_conn() as client:
            return await client.send(calls.get_credits())

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
        with self.get_conn() as client:
            return client.send(calls.get_download_url(check_public_url("file_url", file_url)))

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
            kie.ai then fetches itself.
        :param upload_path: Folder at kie.ai.
        :param file_name: Name at kie.ai; an existing file of that name is overwritten. By default a unique
            name that ends like the source's.
        :param method: ``auto`` (URLs: url; up to 1 MB: base64; else stream), or one of these three.
        :param source_conn_id: Airflow connection of the object storage that the source is in.
        :return: What kie.ai holds now.
        :raises ValueError: An argument is unusable, or the source is empty.
        :raises OSError: The source is missing, a folder, or unreadable; nothing was sent.
        :raises KieTransferError: kie.ai holds other bytes than were sent.
        :raises KieError: kie.ai refused, or could not be reached after all retries.

        kie.ai page: https://docs.kie.ai/file-upload-api/quickstart
        """
        folder = clean_upload_path(upload_path)
        name = None if file_name is None else clean_file_name(file_name)
        if isinstance(source, str) and source.lower().startswith(("http://", "https://")):
            check_public_url("source", source)
            chosen = choose_method(method, size=None)
            name = name or unique_file_name(file_name_of(source))
            shown, sha256 = without_query(source), None
            with self.get_conn() as client:
                receipt = client.send(calls.upload_url(folder, name, source))
        else:
            file = open_source(source, source_conn_id)
            chosen = choose_method(method, size=file.size)
            name = name or unique_file_name(file.name)
            shown, upload = str(file), upload_base64 if chosen == "base64" else upload_stream
            with self.get_conn() as client:
                receipt, sha256 = upload(client, file, folder, name)
        self.log.info("Uploaded %s (%d bytes, %s) to %s", shown, receipt.file_size, chosen, receipt.file_path)
        retention = client.settings.upload_retention_hours
        return UploadedFile.from_receipt(
            receipt, source=shown, method=chosen, sha256=sha256, retention=retention
        )

    def download_file(
        self,
        file_url: str,
        destination: Location,
        *,
        if_exists: str = "overwrite",
        sign: str = "auto",
        destination_conn_id: str | None = None,
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
        check_public_url("file_url", file_url)
        check_choice("if_exists", if_exists, IF_EXISTS)
        check_choice("sign", sign, SIGN)
        target = open_target(destination, destination_conn_id, default_name=file_name_of(file_url))
        shown = without_query(file_url)
        if if_exists != "overwrite" and (size := target.size()) is not None:
            if if_exists == "fail":
                raise FileExistsError(f"{target} exists, and if_exists='fail'")
            self.log.info("%s exists; nothing to download", target)
            return DownloadedFile(shown, str(target), size, None, None, skipped=True)
        with self.get_conn() as client, target.writing() as sink:
            received = download(client, file_url, sink, signed=needs_signing(client, file_url, sign))
        self.log.info("Downloaded %d bytes from %s to %s", received.size, shown, target)
        return DownloadedFile(
            shown, str(target), received.size, received.sha256, received.mime_type, skipped=False
        )

    def test_connection(self) -> tuple[bool, str]:
        """
        Check the connection for Airflow's "Test connection" button, by asking for the balance.

        :return: Whether it works, and the balance or what is wrong.
        """
        try:
            # One try: the button's user is waiting.
            with self.get_conn(max_retries=0) as client:
                credits_ = client.send(calls.get_credits())
        except KieError as error:
            return False, str(error)
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

    def _not_found(self) -> KieConfigError:
        return KieConfigError(
            f"Connection {self.kie_conn_id!r} does not exist. Add one of the type 'kie' whose password is "
            f"the API key, for example: export AIRFLOW_CONN_{self.kie_conn_id.upper()}="
            """'{"conn_type": "kie", "password": "<API key>"}'"""
        )


def _connection_type() -> dict[str, Any]:
    info: dict[str, Any] = get_provider_info()["connection-types"][0]
    return info
