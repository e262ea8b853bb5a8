"""Airflow's lineage: what was read and what was made is reported to it, and it can change neither."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_kie._compat import get_lineage_collector
from airflow_provider_kie.client.api.records import Job
from airflow_provider_kie.client.urls import authority, is_http_url
from airflow_provider_kie.files.results import Moved, UploadedFile

if TYPE_CHECKING:
    from airflow.sdk import BaseHook

log = logging.getLogger(__name__)

# Airflow collects a hundred assets on each side of a task; beyond 50 files we report folders instead, which
# leaves room for a second call of the hook in the same task.
MOST_FILES = 50
# Names that Airflow's providers do not know, for storages that they do.
_SCHEMES = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}

_Reported = tuple[str, dict[str, Any]]


def report_moved(hook: BaseHook, moved: Sequence[Moved]) -> None:
    """
    Report where files came from and went; of many only which folders.

    :param hook: Who moved them.
    :param moved: What was uploaded or downloaded.
    """
    try:
        inputs: list[_Reported] = []
        outputs: list[_Reported] = []
        for file in moved:
            if isinstance(file, UploadedFile):
                known = {"size": file.file_size, "sha256": file.sha256}
                inputs.append((_uri_of(file.source), known))
                outputs.append((_uri_of(file.download_url), known))
            elif not file.skipped:
                known = {"size": file.size, "sha256": file.sha256}
                inputs.append((_uri_of(file.file_url), known))
                outputs.append((_uri_of(file.path), known))
        _report(hook, _few(inputs), _few(outputs))
    except Exception as error:
        log.debug("Lineage cannot be reported: %s: %s", type(error).__name__, error)


def report_job(hook: BaseHook, job: Job, input: Any = None) -> None:
    """
    Report which files a job was given, and which it has made.

    :param hook: Who waited for it.
    :param job: Its record.
    :param input: Its input; each URL in it is a file that was read.
    """
    try:
        known = {"job_id": job.job_id, "model": job.model or job.api, "credits": job.credits}
        inputs: list[_Reported] = [(_uri_of(url), {}) for url in islice(_urls_in(input), MOST_FILES)]
        _report(hook, inputs, _few([(_uri_of(url), known) for url in job.urls]))
    except Exception as error:
        log.debug("Lineage cannot be reported: %s: %s", type(error).__name__, error)


def _report(hook: Any, inputs: Sequence[_Reported], outputs: Sequence[_Reported]) -> None:
    if not (inputs or outputs) or (collector := get_lineage_collector()) is None:
        return
    for add, assets in ((collector.add_input_asset, inputs), (collector.add_output_asset, outputs)):
        for uri, known in assets:
            # A path may be longer than Airflow takes; that is no reason to leave out the others.
            with suppress(ValueError):
                extra = {name: value for name, value in known.items() if value is not None}
                add(context=hook, uri=uri, asset_extra=extra)


def _uri_of(location: str) -> str:
    """Name a file as Airflow names assets: without queries, credentials and connections."""
    if is_http_url(location):
        # Airflow converts no https URLs to OpenLineage's datasets, so these have a scheme of their own.
        parts = urlsplit(location)
        scheme = "kie" if parts.scheme == "https" else "kie+http"
        return f"{scheme}://{authority(location)}{parts.path}"
    scheme, _, rest = location.rpartition("://")
    if scheme in ("", "file"):
        uri = f"file://{os.path.abspath(rest.removeprefix('localhost'))}"
    else:
        bucket, slash, key = rest.partition("/")
        uri = f"{_SCHEMES.get(scheme, scheme)}://{bucket.rpartition('@')[2]}{slash}{key}"
    # What a URI's path would end at, in a name.
    return uri.replace("?", "%3F").replace("#", "%23")


def _few(files: Sequence[_Reported]) -> list[_Reported]:
    """Give the files, or their folders where they are many."""
    if len(files) <= MOST_FILES:
        return list(files)
    folders: dict[str, list[Any]] = defaultdict(list)
    for uri, known in files:
        folders[uri.rpartition("/")[0] + "/"].append(known.get("size") or 0)
    summed = ((uri, {"files": len(sizes), "size": sum(sizes)}) for uri, sizes in folders.items())
    return list(islice(summed, MOST_FILES))


def _urls_in(value: Any, depth: int = 10) -> Iterator[str]:
    if isinstance(value, str):
        if is_http_url(value):
            yield value
    elif depth and isinstance(value, Mapping):
        for one in value.values():
            yield from _urls_in(one, depth - 1)
    elif depth and isinstance(value, list | tuple):
        for one in value:
            yield from _urls_in(one, depth - 1)
