"""Object storages as Airflow knows them: found before anything moves, and handed whole files."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import re
from collections.abc import Callable, Coroutine
from concurrent.futures import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsspec.callbacks import Callback

from airflow_provider_kie.files.local import part_name
from airflow_provider_kie.files.shutdown import ABORT_SECONDS, LOOK_SECONDS

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

# Stores that show an object when the last byte of its upload has arrived, and never before. Elsewhere an
# upload gets a name of its own first. What comes first in their paths is a bucket.
_WHOLE_OR_NOTHING = frozenset({"s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "az"})
# What brings them to Airflow: an extra of this package, and the provider that it stands for.
_S3 = ("s3", "apache-airflow-providers-amazon[s3fs]")
_GS = ("gs", "apache-airflow-providers-google")
_ABFS = ("abfs", "apache-airflow-providers-microsoft-azure")
_PROVIDERS = {
    **dict.fromkeys(("s3", "s3a", "s3n"), _S3),
    **dict.fromkeys(("gs", "gcs"), _GS),
    **dict.fromkeys(("abfs", "abfss", "adl"), _ABFS),
}
_PART_BYTES = 8 * 1024 * 1024
_MOST_PARTS = 10_000
# What is in one request cannot be called back: a slow network delivers it after the task has ended.
_SINGLE_REQUEST_BYTES = 64 * 1024


def find(location: str | ObjectStoragePath, conn_id: str | None) -> ObjectStoragePath:
    """
    Find the storage of a URL; nothing is asked of it yet.

    :param location: URL or path.
    :param conn_id: Airflow connection of the storage, for a URL.
    :return: The path, whose file system is at hand.
    :raises ValueError: It names no bucket, holds a control character, or Airflow does not know its storage.
    """
    from airflow.sdk import ObjectStoragePath

    shown = str(location)
    if re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", shown):
        # URLs are split without them: another object would be meant.
        raise ValueError(f"{shown!r} holds a control character, a line break for example, or no valid UTF-8")
    scheme, _, rest = shown.partition("://")
    if scheme in _WHOLE_OR_NOTHING and not rest.partition("/")[0].rpartition("@")[2]:
        raise ValueError(f"{shown} names no bucket: write {scheme}://bucket/key")
    try:
        # With universal-pathlib 0.2, as in Airflow 3.1's constraints, a None hides the connection in the URL.
        options = {} if conn_id is None else {"conn_id": conn_id}
        path = ObjectStoragePath(location, **options) if isinstance(location, str) else location
        # Fails for a scheme that no installed provider brings; the constructor itself may not.
        _ = path.fs
    except (ValueError, ImportError) as error:
        raise ValueError(f"{shown}: {error}{_advice(scheme, error)}") from error
    # Only those that work on an event loop are bound to their process.
    is_bound = getattr(path.fs, "async_impl", False)
    return _of_this_process(path) if is_bound and getattr(path.fs, "_pid", None) != os.getpid() else path


def _of_this_process(path: ObjectStoragePath) -> ObjectStoragePath:
    """Connect anew in a forked process: fsspec refuses what its parent had, which Airflow keeps."""
    from airflow.sdk.io import attach

    conn_id = conn_id_of(path)
    del attach(path.protocol, conn_id).fs
    return type(path)(str(path), conn_id=conn_id)


def conn_id_of(path: ObjectStoragePath) -> str | None:
    """
    Give the connection that a path belongs to.

    :param path: Path.
    :return: Its id; None if the path has none.
    """
    # Airflow 3.1 has it among the options only.
    return getattr(path, "conn_id", None) or path.storage_options.get("conn_id")


def _advice(scheme: str, error: Exception) -> str:
    from airflow.sdk.io import has_fs

    if scheme not in _PROVIDERS or (has_fs(scheme) and not isinstance(error, ImportError)):
        return ""
    extra, provider = _PROVIDERS[scheme]
    return f"; {scheme}:// comes with {provider}: pip install 'airflow-provider-kie[{extra}]'"


def is_folder(path: ObjectStoragePath) -> bool:
    """
    Tell whether a path is a folder: a bucket, or something with objects below it.

    :param path: Path.
    :return: True if so; False where the storage does not allow to look.
    """
    if path.protocol in _WHOLE_OR_NOTHING and "/" not in path.path.strip("/"):
        return True
    try:
        return bool(path.fs.isdir(path.path))
    except PermissionError:
        # Whoever may put objects need not be allowed to list them.
        return False


def check_bucket(path: ObjectStoragePath) -> None:
    """
    Make sure that a path's bucket exists, where the storage tells: S3.

    :param path: Path of an object, or of a bucket.
    :raises FileNotFoundError: There is no such bucket.
    """
    fs: Any = path.fs
    if hasattr(fs, "call_s3"):
        _check_s3_bucket(fs, fs.split_path(path.path)[0])


@functools.lru_cache(maxsize=64)
def _check_s3_bucket(fs: Any, bucket: str) -> None:
    try:
        fs.call_s3("head_bucket", Bucket=bucket)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no bucket {bucket!r}") from None
    except Exception as error:
        # Whoever may put objects need not be allowed to look at the bucket.
        log.debug("Bucket %s cannot be looked at: %s", bucket, error)


def hand_over(file: Path, path: ObjectStoragePath, check_running: Callable[[], None]) -> None:
    """
    Put a whole file into an object storage, all or nothing.

    :param file: The file, on this worker.
    :param path: Where it goes.
    :param check_running: Raises when the work has been stopped; what is under way is then taken back.
    :raises OSError: The storage refuses it, or cannot be reached.
    """
    if hasattr(path.fs, "call_s3"):
        _put_to_s3(file, path, check_running)
    elif path.protocol in _WHOLE_OR_NOTHING:
        _put(file, path.fs, path.path, check_running)
    else:
        _put_aside_and_move(file, path, check_running)


def _put_aside_and_move(file: Path, path: ObjectStoragePath, check_running: Callable[[], None]) -> None:
    folder = path.path.rpartition("/")[0]
    part = f"{folder}/{part_name()}"
    path.fs.makedirs(folder, exist_ok=True)
    try:
        _put(file, path.fs, part, check_running)
        check_running()
        path.fs.mv(part, path.path)
    except BaseException:
        # What went wrong first is what matters, even if the storage cannot be cleaned up either.
        with contextlib.suppress(Exception):
            path.fs.rm_file(part)
        raise


def _put(file: Path, fs: Any, target: str, check_running: Callable[[], None]) -> None:
    if getattr(fs, "async_impl", False):
        _run(fs, fs._put_file(str(file), target), check_running)
    else:
        fs.put_file(str(file), target, callback=Callback(hooks={"stop": lambda *_: check_running()}))


def _put_to_s3(file: Path, path: ObjectStoragePath, check_running: Callable[[], None]) -> None:
    """Do as s3fs's ``put_file``, which cannot be stopped within a part, and leaves all parts if it is."""
    fs: Any = path.fs
    bucket, key, _ = fs.split_path(path.path)
    target = {"Bucket": bucket, "Key": key}

    def call(method: str, **arguments: Any) -> Any:
        return _run(fs, fs._call_s3(method, **target, **arguments), check_running)

    if (size := file.stat().st_size) <= _SINGLE_REQUEST_BYTES:
        call("put_object", Body=file.read_bytes())
    else:
        # Not to be stopped: it would leave an upload of which nobody knows the id.
        target["UploadId"] = fs.call_s3("create_multipart_upload", **target)["UploadId"]
        try:
            parts: list[dict[str, Any]] = []
            with file.open("rb") as opened:
                while piece := opened.read(max(_PART_BYTES, -(-size // _MOST_PARTS))):
                    number = len(parts) + 1
                    part = call("upload_part", PartNumber=number, Body=piece)
                    parts.append({"PartNumber": number, "ETag": part["ETag"]})
            call("complete_multipart_upload", MultipartUpload={"Parts": parts})
        except BaseException:
            _abort(fs, target)
            raise
    fs.invalidate_cache(path.path)


def _abort(fs: Any, target: dict[str, str]) -> None:
    try:
        aborting = fs._call_s3("abort_multipart_upload", **target)
        asyncio.run_coroutine_threadsafe(aborting, fs.loop).result(ABORT_SECONDS)
    except FileNotFoundError:
        # It was completed after all, and only the answer is lost.
        return
    except Exception as error:
        log.warning(
            "An unfinished upload of %s stays in bucket %s until a lifecycle rule removes it: %s %s",
            target["Key"],
            target["Bucket"],
            type(error).__name__,
            error,
        )


def _run(fs: Any, work: Coroutine[Any, Any, Any], check_running: Callable[[], None]) -> Any:
    """Run a coroutine on the file system's own loop, and cancel it when the work has been stopped."""
    future = asyncio.run_coroutine_threadsafe(work, fs.loop)
    try:
        check_running()
        while not wait([future], LOOK_SECONDS).done:
            check_running()
    except BaseException:
        future.cancel()
        raise
    return future.result()
