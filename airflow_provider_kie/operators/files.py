"""Files to kie.ai and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import BaseOperator
from airflow.sdk.log import mask_secret

from airflow_provider_kie.operators._failures import fail_without_retry

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_kie.storage import Location


class _FileOperator(BaseOperator):
    """Hides the query of a URL that a caller passes: it may be a signature, and Airflow stores it."""

    url_field: str

    def _do_render_template_fields(self, *args: Any, **kwargs: Any) -> None:
        # The one method that Airflow calls for mapped and unmapped tasks alike.
        super()._do_render_template_fields(*args, **kwargs)
        url = getattr(self, self.url_field)
        if isinstance(url, str) and "://" in url and (query := urlsplit(url).query):
            mask_secret(query)


class KieUploadOperator(_FileOperator):
    """
    Upload a file to kie.ai; free. kie.ai deletes it after one to three days.

    :param source: Local path, ``file://`` URL, object storage URL such as ``s3://bucket/key``, or an http(s)
        URL, which kie.ai fetches itself. (templated)
    :param upload_path: Folder at kie.ai; slashes at its ends are stripped. (templated)
    :param file_name: Name at kie.ai, where an existing file of that name is overwritten; by default a unique
        name that ends like the source's. (templated)
    :param method: ``auto`` (URLs: ``url``; up to 1 MB: ``base64``; else ``stream``), or one of these three.
        (templated)
    :param source_conn_id: Airflow connection of the object storage that the source is in. (templated)
    :param kie_conn_id: Airflow connection of kie.ai. (templated)
    :return: ``{source, method, file_name, file_path, download_url, file_size, mime_type, uploaded_at,
        expires_at, sha256}``: times in ISO 8601 UTC; ``sha256`` is None where kie.ai fetched the file.
    :raises ValueError: An argument is unusable, or the source is empty.
    :raises OSError: The source is missing, a folder, or unreadable; nothing was sent.
    :raises AirflowFailException: No retry can help, with a wrong key for example.
    :raises KieError: kie.ai could not be reached after all retries, or holds other bytes than were sent.

    kie.ai page: https://docs.kie.ai/file-upload-api/quickstart
    """

    template_fields: Sequence[str] = (
        "source",
        "upload_path",
        "file_name",
        "method",
        "source_conn_id",
        "kie_conn_id",
    )
    ui_color = "#d9ead3"
    url_field = "source"

    def __init__(
        self,
        *,
        source: Location,
        upload_path: str,
        file_name: str | None = None,
        method: str = "auto",
        source_conn_id: str | None = None,
        kie_conn_id: str = "kie_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.upload_path = upload_path
        self.file_name = file_name
        self.method = method
        self.source_conn_id = source_conn_id
        self.kie_conn_id = kie_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Upload the file."""
        from airflow_provider_kie.hooks.kie import KieHook

        with fail_without_retry():
            uploaded = KieHook(self.kie_conn_id).upload_file(
                self.source,
                self.upload_path,
                file_name=self.file_name,
                method=self.method,
                source_conn_id=self.source_conn_id,
            )
        return uploaded.to_dict()


class KieDownloadOperator(_FileOperator):
    """
    Download a file from kie.ai, all or nothing; free.

    :param file_url: URL of a generated or an uploaded file. (templated)
    :param destination: Local path, ``file://`` URL or object storage URL of a file, or of a folder (it ends
        with a slash, or exists), which gets a file named like the URL's; parents are made. (templated)
    :param if_exists: ``overwrite``, ``skip`` or ``fail``. (templated)
    :param sign: ``auto``: a generated file is fetched through a signed link, an uploaded one directly;
        ``always``; ``never``. (templated)
    :param destination_conn_id: Airflow connection of the object storage that the destination is in.
        (templated)
    :param kie_conn_id: Airflow connection of kie.ai. (templated)
    :return: ``{file_url, path, size, sha256, mime_type, skipped}``; ``sha256`` and ``mime_type`` are None if
        the download was skipped.
    :raises ValueError: An argument is unusable.
    :raises OSError: The destination exists and ``if_exists="fail"``, or cannot be written; what was there
        before still is.
    :raises AirflowFailException: No retry can help: a wrong key, a file that has expired, or one that kie.ai
        did not generate and so does not sign.
    :raises KieError: kie.ai could not be reached after all retries, or the bytes did not arrive whole.

    kie.ai page: https://docs.kie.ai/common-api/download-url
    """

    template_fields: Sequence[str] = (
        "file_url",
        "destination",
        "if_exists",
        "sign",
        "destination_conn_id",
        "kie_conn_id",
    )
    ui_color = "#cfe2f3"
    url_field = "file_url"

    def __init__(
        self,
        *,
        file_url: str,
        destination: Location,
        if_exists: str = "overwrite",
        sign: str = "auto",
        destination_conn_id: str | None = None,
        kie_conn_id: str = "kie_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.file_url = file_url
        self.destination = destination
        self.if_exists = if_exists
        self.sign = sign
        self.destination_conn_id = destination_conn_id
        self.kie_conn_id = kie_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Download the file."""
        from airflow_provider_kie.hooks.kie import KieHook

        with fail_without_retry():
            downloaded = KieHook(self.kie_conn_id).download_file(
                self.file_url,
                self.destination,
                if_exists=self.if_exists,
                sign=self.sign,
                destination_conn_id=self.destination_conn_id,
            )
        return downloaded.to_dict()
