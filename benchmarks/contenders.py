"""Who takes part, in which work, and with which command line."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import Servers
from benchmarks.works import FOLDER, KEY, NAME, THREADS, Direction, Work

HOOK = "ours: KieHook"
OPERATOR = "ours: operator"
CURL = "curl"
CURL_HASHED = "curl, then sha256"
DOCUMENTS = "documents' client"
HTTP_OPERATOR = "HttpOperator"
AIOHTTP = "aiohttp"
ARIA2C = "aria2c"
BATCH = f"ours: {THREADS} threads"
ONE_BY_ONE = "ours: one by one"
ARIA2C_BATCH = f"aria2c -j{THREADS}"
UNHASHED = "ours: KieHook, no hash"


@dataclass(frozen=True)
class Command:
    """
    A process that makes one transfer.

    :param arguments: The command line.
    :param says_seconds: Its last line of output says bytes, seconds and maybe seconds of processor time; else
        the process is timed from outside.
    """

    arguments: list[str]
    says_seconds: bool = True


CommandOf = Callable[[Work, Servers, Path], Command]


def _python(client: str) -> CommandOf:
    def command(work: Work, servers: Servers, target: Path) -> Command:
        if work.direction == "up":
            job = {"urls": [servers.upload_base_url(work.scheme)], "path": str(servers.file(work))}
        else:
            urls = [servers.file_url(work, number) for number in range(work.count)]
            job = {"urls": urls, "path": str(target)}
        return Command([sys.executable, "-m", "benchmarks.worker", client, json.dumps(job)])

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
    url = f"{servers.upload_base_url(work.scheme)}/api/file-stream-upload"
    # The size that the server counted is in its answer, which comes out before this line.
    return _curl(servers, "answered", *key, *fields, url)


def _curl(servers: Servers, moved: str, *arguments: str) -> Command:
    quiet = ["curl", "--silent", "--show-error", "--fail", "--cacert", str(servers.certificate)]
    return Command([*quiet, "--write-out", f"\\n{moved} %{{time_total}}", *arguments])


def _aria2c(work: Work, servers: Servers, target: Path) -> Command:
    url = servers.file_url(work)
    return Command([*_aria2c_options(servers, target.parent), "--out", target.name, url], says_seconds=False)


def _aria2c_batch(work: Work, servers: Servers, target: Path) -> Command:
    urls = servers.folder / "urls.txt"
    urls.write_text("".join(f"{servers.file_url(work, number)}\n" for number in range(work.count)))
    options = [f"--max-concurrent-downloads={THREADS}", f"--input-file={urls}"]
    return Command([*_aria2c_options(servers, target), *options], says_seconds=False)


def _aria2c_options(servers: Servers, folder: Path) -> list[str]:
    # Without file-allocation=none it would write every file twice, once as zeros.
    options = ["--no-conf", "--quiet", "--file-allocation=none", f"--ca-certificate={servers.certificate}"]
    return ["aria2c", *options, "--dir", str(folder)]


CONTENDERS: dict[Direction, dict[str, CommandOf]] = {
    "down": {
        HOOK: _python("hook_down"),
        UNHASHED: _python("unhashed_down"),
        OPERATOR: _python("operator_down"),
        CURL: _curl_down,
        CURL_HASHED: _curl_hashed,
        DOCUMENTS: _python("documents_down"),
        HTTP_OPERATOR: _python("http_operator_down"),
        AIOHTTP: _python("aiohttp_down"),
        ARIA2C: _aria2c,
    },
    "up": {
        HOOK: _python("hook_up"),
        UNHASHED: _python("unhashed_up"),
        OPERATOR: _python("operator_up"),
        CURL: _curl_up,
        DOCUMENTS: _python("documents_up"),
        HTTP_OPERATOR: _python("http_operator_up"),
        AIOHTTP: _python("aiohttp_up"),
    },
    "batch": {
        BATCH: _python("hook_batch"),
        ONE_BY_ONE: _python("hook_one_by_one"),
        ARIA2C_BATCH: _aria2c_batch,
    },
}
