"""Files to kie.ai and back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_kie._tasks import KieBaseOperator, fail_without_retry

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_kie.client.transfer.download import Sign
    from airflow_provider_kie.client.transfer.upload import UploadMethod
    from airflow_provider_kie.files.download import Download, IfExists
    from airflow_provider_kie.files.storage import Location
    from airflow_provider_kie.files.upload import Upload


class _FileOperator(KieBaseOperator):
    """What uploads and downloads share: files are moved, and finished work is not done again."""

    kie_conn_id: str
    max_concurrency: int

    def _move(self, transfer: Upload | Download, context: Context) -> dict[str, Any]:
        """Move one file."""
        from airflow_provider_kie._outlets import add_result_to_outlet_events
        from airflow_provider_kie.files.batch import result_of
        from airflow_provider_kie.hooks.kie import KieHook

        with fail_without_retry():
            hook = KieHook(self.kie_conn_id)
            [outcome] = hook.move([transfer], max_concurrency=1, on_wait=self._check_running)
            result = result_of(outcome).to_dict()
        add_result_to_outlet_events(self, context, result)
        return result

    def _move_many(
        self, transfers: Sequence[Upload] | Sequence[Download], context: Context
    ) -> list[dict[str, Any]]:
        """Move many files, but for those that an earlier try has moved."""
        from airflow_provider_kie._outlets import add_result_to_outlet_events
        from airflow_provider_kie.files.batch import results_of
        from airflow_provider_kie.hooks.kie import KieHook
        from airflow_provider_kie.operators._finished import Finished
        from airflow_provider_kie.operators._reuse import Remembered

        finished = Finished(context, self.retries, lambda: self._is_killed)
        remembered = [Remembered(transfer, self.kie_conn_id, finished) for transfer in transfers]

        def on_wait() -> None:
            self._check_running()
            finished.save_if_due()

        finished.load()
        try:
            with fail_without_retry():
                outcomes = KieHook(self.kie_conn_id).move(
                    remembered,
                    max_concurrency=self.max_concurrency,
                    on_done=Remembered.note,
                    on_wait=on_wait,
                )
                results = results_of(remembered, outcomes)
        except Exception:
            # A task that is to be over in seconds asks Airflow for nothing that might take longer.
            if not self._is_killed:
                finished.save()
            raise
        finished.forget()
        self._check_running()
        told = [result.to_dict() for result in results]
        add_result_to_outlet_events(self, context, told)
        return told


class KieUploadOperator(_FileOperator):
    """
    Upload a file to kie.ai; free. kie.ai deletes it after one to three days.

    :param source: Local path, ``file://`` URL, object storage URL such as ``s3://bucket/key``, or an http(s)
        URL, which kie.ai fetches itself unless ``method`` is ``stream``; a folder, for the files directly in
        it (in object storage it ends with a slash), or a pattern such as ``inbox/*.png``; or a list of all
        these. (templated)
    :param upload_path: Folder at kie.ai; slashes at its ends are stripped. (templated)
    :param file_name: Name at kie.ai, where an existing file of that name is overwritten; by default a unique
        name that ends like the source's. (templated)
    :param method: ``auto`` (URLs: ``url``; up to 1 MB: ``base64``; else ``stream``), or one of these three.
        ``stream`` with an http(s) URL has this worker fetch it, from whatever it reaches, and send it on.
        (templated)
    :param source_conn_id: Airflow connection of the object storage that the source is in. (templated)
    :param max_concurrency: How many of several files are sent at a time, over one pool of connections.
    :param kie_conn_id: Airflow connection of kie.ai. (templated)
    :return: ``{source, method, file_name, file_path, download_url, file_size, mime_type, uploaded_at,
        expires_at, sha256, seconds, retries}``: times in ISO 8601 UTC; ``sha256`` is None where kie.ai
        fetched the file. For a list, a list of these in the order given; for a folder or a pattern too,
        sorted, even if it is one file.
    :raises ValueError: An argument is unusable, or the source is empty.
    :raises OSError: The source is missing or unreadable, or no file is in the folder or fits the pattern;
        nothing was sent.
    :raises AirflowFailException: No retry can help, with a wrong key for example.
    :raises KieError: kie.ai could not be reached after all retries, or holds other bytes than were sent.
    :raises KieBatchError: Some files of a list failed; all were tried. From Airflow 3.3 on, a retry of the
        task sends only these.

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
    masked_fields = ("source",)

    def __init__(
        self,
        *,
        source: Location | Sequence[Location],
        upload_path: str,
        file_name: str | None = None,
        method: UploadMethod = "auto",
        source_conn_id: str | None = None,
        max_concurrency: int = 8,
        kie_conn_id: str = "kie_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.upload_path = upload_path
        self.file_name = file_name
        self.method = method
        self.source_conn_id = source_conn_id
        self.max_concurrency = max_concurrency
        self.kie_conn_id = kie_conn_id

    def execute(self, context: Context) -> dict[str, Any] | list[dict[str, Any]]:
        """Upload the file or files."""
        from airflow_provider_kie.files.batch import run_in_background
        from airflow_provider_kie.files.upload import Upload, expand_all, is_single

        given = Upload.parse_many(
            self.source,
            self.upload_path,
            file_name=self.file_name,
            method=self.method,
            source_conn_id=self.source_conn_id,
        )
        uploads = run_in_background(partial(expand_all, given), self._check_running)
        # What stands for itself is given back as it is; a folder of one file is a list.
        if is_single(self.source) and uploads == given:
            return self._move(given[0], context)
        return self._move_many(uploads, context)


class KieDownloadOperator(_FileOperator):
    """
    Download a file from kie.ai, all or nothing; free.

    :param file_url: URL of a generated or an uploaded file, or a list of these. (templated)
    :param destination: Local path, ``file://`` URL or object storage URL of a file, or of a folder (it ends
        with a slash, exists, or ``file_url`` is a list), which gets files named like their URLs, with
        ``-2``, ``-3``, ... where two are the same; parents are made. (templated)
    :param if_exists: ``overwrite``, ``skip`` or ``fail``. (templated)
    :param sign: ``auto``: a generated file is fetched through a signed link, an uploaded one directly;
        ``always``; ``never``. (templated)
    :param expected_size: Bytes that the file has to have. (templated)
    :param expected_sha256: Hash, in hex, that it has to have. (templated)
    :param destination_conn_id: Airflow connection of the object storage that the destination is in.
        (templated)
    :param max_concurrency: How many of several files are fetched at a time, over one pool of connections.
    :param kie_conn_id: Airflow connection of kie.ai. (templated)
    :return: ``{file_url, path, size, sha256, mime_type, skipped, verified, seconds, retries}``; ``sha256``
        and ``mime_type`` are None if the download was skipped; ``verified`` is False if nothing told how long
        the file is, so that a cut could pass unnoticed. For a list, a list of these in the order given.
    :raises ValueError: An argument is unusable.
    :raises OSError: The destination exists and ``if_exists="fail"``, or cannot be written; what was there
        before still is.
    :raises AirflowFailException: No retry can help: a wrong key, a file that has expired, or one that kie.ai
        did not generate and so does not sign.
    :raises KieError: kie.ai could not be reached after all retries, or the bytes did not arrive whole.
    :raises KieBatchError: Some files of a list failed; all were tried. From Airflow 3.3 on, a retry of the
        task fetches only these; before, use ``if_exists="skip"``.

    kie.ai page: https://docs.kie.ai/common-api/download-url
    """

    template_fields: Sequence[str] = (
        "file_url",
        "destination",
        "if_exists",
        "sign",
        "expected_size",
        "expected_sha256",
        "destination_conn_id",
        "kie_conn_id",
    )
    ui_color = "#cfe2f3"
    masked_fields = ("file_url",)

    def __init__(
        self,
        *,
        file_url: str | Sequence[str],
        destination: Location,
        if_exists: IfExists = "overwrite",
        sign: Sign = "auto",
        expected_size: int | None = None,
        expected_sha256: str | None = None,
        destination_conn_id: str | None = None,
        max_concurrency: int = 8,
        kie_conn_id: str = "kie_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.file_url = file_url
        self.destination = destination
        self.if_exists = if_exists
        self.sign = sign
        self.expected_size = expected_size
        self.expected_sha256 = expected_sha256
        self.destination_conn_id = destination_conn_id
        self.max_concurrency = max_concurrency
        self.kie_conn_id = kie_conn_id

    def execute(self, context: Context) -> dict[str, Any] | list[dict[str, Any]]:
        """Download the file or files."""
        from airflow_provider_kie.client.transfer.download import Expected
        from airflow_provider_kie.files.download import Download

        how: dict[str, Any] = {
            "destination": self.destination,
            "if_exists": self.if_exists,
            "sign": self.sign,
            "destination_conn_id": self.destination_conn_id,
        }
        expected = Expected.parse(self.expected_size, self.expected_sha256)
        if isinstance(self.file_url, str):
            return self._move(Download.parse(self.file_url, expected=expected, **how), context)
        if expected != Expected():
            raise ValueError("expected_size and expected_sha256 are for a single file_url")
        return self._move_many(Download.parse_many(self.file_url, **how), context)
