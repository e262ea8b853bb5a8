"""The servers on loopback: nginx for downloads, our own for uploads and lines."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.works import LATENCY_SECONDS, Work

ROOT = Path(__file__).resolve().parent.parent
RESERVE_BYTES = 1 << 30
NGINX_CONF = """\
daemon off;
{user}
load_module {modules}/ngx_http_echo_module.so;
worker_processes auto;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 512; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  client_body_temp_path {folder}/tmp; proxy_temp_path {folder}/tmp; fastcgi_temp_path {folder}/tmp;
  uwsgi_temp_path {folder}/tmp; scgi_temp_path {folder}/tmp;
  default_type application/octet-stream;
  ssl_certificate {folder}/certificate.pem;
  ssl_certificate_key {folder}/key.pem;
  ssl_protocols TLSv1.3;
  server {{
    listen 127.0.0.1:{http};
    listen 127.0.0.1:{https} ssl;
    keepalive_requests 10000;
    location /files/ {{ root {folder}; }}
    location ~ ^/same/([^/]+)/ {{ alias {folder}/files/$1; }}
    location /late/ {{ echo_sleep {latency}; echo_exec /files/$1; rewrite ^/late/(.*)$ /late/$1 break; }}
  }}
}}
"""


@dataclass(frozen=True)
class Servers:
    """
    Where everything is.

    :param folder: Temporary folder, in memory if there is room.
    :param down: Ports of nginx, by scheme.
    :param lines: Ports of our own, by the rate of the line.
    """

    folder: Path
    down: dict[str, int]
    lines: dict[str, int]

    @property
    def certificate(self) -> Path:
        """The certificate that the clients are to trust."""
        return self.folder / "certificate.pem"

    def file(self, work: Work, number: int = 0) -> Path:
        """Say which file a work moves; only those of a batch differ."""
        return self.folder / "files" / f"{work.size}-{number if work.kind == 'batch' else 0}.bin"

    def file_url(self, work: Work, number: int = 0) -> str:
        """Say where a file is downloaded from; the name in it is that of the copy."""
        if work.rate:
            return f"{self.upload_base_url(work)}/{self.file(work).name}"
        name = self.file(work, number).name
        if work.kind == "batch":
            path = f"late/{name}"
        else:
            path = f"same/{name}/{number}.bin" if work.count > 1 else f"files/{name}"
        return f"{work.scheme}://127.0.0.1:{self.down[work.scheme]}/{path}"

    def urls(self, work: Work) -> list[str]:
        """List where all files of a work are downloaded from."""
        return [self.file_url(work, number) for number in range(work.count)]

    def upload_base_url(self, work: Work) -> str:
        """Say where a file is uploaded to."""
        return f"https://127.0.0.1:{self.lines[str(work.rate)]}"


@contextmanager
def running(works: Iterable[Work]) -> Iterator[Servers]:
    """
    Make the files, start the servers; in the end stop them and remove everything.

    :param works: What will be asked of them.
    :return: A context manager that gives the servers.
    """
    works = list(works)
    # Every file, one copy that a client makes of the largest, and one in a client that holds it in memory.
    room = sum(work.size * work.count for work in works)
    with tempfile.TemporaryDirectory(prefix="kie-bench-", dir=_roomy(2 * room + RESERVE_BYTES)) as name:
        folder = Path(name)
        for part in ("files", "tmp", "received", "home"):
            (folder / part).mkdir()
        _make_certificate(folder)
        rates = sorted({0, *(work.rate for work in works)})
        with _lines(folder, rates) as lines, _nginx(folder) as down:
            servers = Servers(folder, down, lines)
            for work in works:
                for number in range(work.count):
                    _make_file(servers.file(work, number), work.size)
            yield servers


def _roomy(needed: int) -> str | None:
    memory = Path("/dev/shm")  # noqa: S108 (a folder with a random name is made in it)
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > needed else None


def _make_file(path: Path, size: int) -> None:
    if path.exists():
        return
    with path.open("wb") as file:
        for start in range(0, size, 1 << 20):
            file.write(os.urandom(min(1 << 20, size - start)))


def _make_certificate(folder: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bench"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 (nothing in it is from outside)


@contextmanager
def _nginx(folder: Path) -> Iterator[dict[str, int]]:
    ports = {"http": _free_port(), "https": _free_port()}
    # As root, nginx would hand the work to a user who may not read the folder.
    user = "user root;" if os.geteuid() == 0 else ""
    conf = NGINX_CONF.format(
        folder=folder,
        user=user,
        modules=_modules(),
        latency=LATENCY_SECONDS,
        **ports,
    )
    (folder / "nginx.conf").write_text(conf)
    log = folder / "nginx.log"
    command = ["nginx", "-e", str(log), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with _process(command) as process:
        deadline = time.monotonic() + 10
        while not _listens(ports["https"]):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"nginx does not start: {log.read_text() if log.exists() else ''}")
            time.sleep(0.05)
        yield ports


def _modules() -> str:
    """Ask nginx where its modules are; a relative path would be looked up in our own folder."""
    command = ["nginx", "-V"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr  # noqa: S603 (as above)
    found = re.search(r"--modules-path=(\S+)", said)
    return found[1] if found else "modules"


@contextmanager
def _lines(folder: Path, rates: Iterable[int]) -> Iterator[dict[str, int]]:
    tls = [f"{folder}/certificate.pem", f"{folder}/key.pem"]
    command = [sys.executable, "-m", "benchmarks.line", *tls, f"{folder}/files", *map(str, rates)]
    with _process(command) as process:
        if process.stdout is None:
            raise RuntimeError("the server for uploads says nothing")
        yield json.loads(process.stdout.readline())


@contextmanager
def _process(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(  # noqa: S603 (as above)
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            if process.poll() is None:
                process.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
