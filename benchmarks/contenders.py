"""Who takes part, in which work, and with which command line."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import Servers
from benchmarks.works import FOLDER, KEY, NAME, THREADS, Kind, Work

HOOK = "ours"
UNHASHED = "ours, no hash"
CURL = "curl"
CURL_HASHED = "curl, then sha256"
DOCUMENTS = "documents' client"
AIOHTTP = "aiohttp"
PLAIN = "http.client"
BATCH = f"ours, {THREADS} threads"
ARIA2C = f"aria2c -j{THREADS}"
REQUESTS = f"requests, {THREADS} threads"
URLLIB3 = f"urllib3, {THREADS} threads"
OPERATOR = f"ours, one task, {THREADS} threads"


@dataclass(frozen=True)
class Command:
    """
    A process that makes one transfer.

    :param arguments: The command line.
    :param says_seconds: Its last line of output says bytes, seconds and maybe seconds of processor time and
        KB of more memory; else the process is timed from outside.
    """

    arguments: list[str]
    says_seconds: bool = True


CommandOf = Callable[[Work, Servers, Path], Command]


def _python(client: str) -> CommandOf:
    def command(work: Work, servers: Servers, target: Path) -> Command:
        if work.is_upload:
            job = {"urls": [servers.upload_base_url(work)], "path": str(servers.file(work)), "copied": 0}
        else:
            job = {"urls": servers.urls(work), "path": str(target), "copied": work.copied}
        # Thousands of URLs are too long for a command line.
        path = servers.folder / "job.json"
        path.write_text(json.dumps(job))
        return Command([sys.executable, "-m", "benchmarks.worker", client, str(path)])

    return command


def _curl_down(work: Work, servers: Servers, target: Path) -> Command:
    return _curl(servers, "%{size_download}", "--output", str(target), servers.file_url(work))


def _curl_hashed(work: Work, servers: Servers, target: Path) -> Command:
    """What ours gives too: the file and its hash. The process is timed, some 10 ms of it is its start."""
    fetch = shlex.join(_curl_down(work, servers, target).arguments)
    return Command(["sh", "-c", f"{fetch} && openssl dgst -sha256 {target}"], says_seconds=False)


def _curl_up(work: Work, servers: Servers, target: Path) -> Command:
    form = [f"uploadPath={FOLDER}", f"fileName={NAME}", f"file=@{servers.file(work)}"]
    fields = [argument for field in form for argument in ("-F", field)]
    key = ["--header", f"Authorization: Bearer {KEY}"]
    url = f"{servers.upload_base_url(work)}/api/file-stream-upload"
    # The size that the server counted is in its answer, which comes out before this line.
    return _curl(servers, "answered", *key, *fields, url)


def _curl(servers: Servers, moved: str, *arguments: str) -> Command:
    quiet = ["curl", "--silent", "--show-error", "--fail", "--cacert", str(servers.certificate)]
    return Command([*quiet, "--write-out", f"\\n{moved} %{{time_total}}", *arguments])


def _aria2c(work: Work, servers: Servers, target: Path) -> Command:
    urls = servers.folder / "urls.txt"
    urls.write_text("".join(f"{url}\n" for url in servers.urls(work)))
    # Without file-allocation=none it would write every file twice, once as zeros.
    options = ["--no-conf", "--quiet", "--file-allocation=none", f"--ca-certificate={servers.certificate}"]
    options += [f"--max-concurrent-downloads={THREADS}", f"--input-file={urls}", "--dir", str(target)]
    return Command(["aria2c", *options], says_seconds=False)


CONTENDERS: dict[Kind, dict[str, CommandOf]] = {
    "down": {
        HOOK: _python("hook_down"),
        UNHASHED: _python("unhashed_down"),
        CURL: _curl_down,
        CURL_HASHED: _curl_hashed,
        DOCUMENTS: _python("documents_down"),
        AIOHTTP: _python("aiohttp_down"),
    },
    "up": {
        HOOK: _python("hook_up"),
        UNHASHED: _python("unhashed_up"),
        CURL: _curl_up,
        DOCUMENTS: _python("documents_up"),
        AIOHTTP: _python("aiohttp_up"),
    },
    "line down": {HOOK: _python("hook_down"), CURL: _curl_down, PLAIN: _python("plain_down")},
    "line up": {HOOK: _python("hook_up"), CURL: _curl_up},
    "batch": {
        BATCH: _python("hook_batch"),
        ARIA2C: _aria2c,
        REQUESTS: _python("requests_batch"),
        URLLIB3: _python("urllib3_batch"),
    },
    "task": {OPERATOR: _python("operator_batch"), ARIA2C: _aria2c},
}
BASES = (CURL, ARIA2C)
