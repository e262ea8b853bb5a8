"""PostgreSQL, Redis and an S3 on free loopback ports, for one run; those of the machine are left alone."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scripts.running import every_second, free_ports, started

# Nothing of this outlives the run, so nothing has to survive a loss of power.
POSTGRES_OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


def missing() -> str:
    """Say what has to be installed, nothing if all is there."""
    packages = {
        "postgresql": _postgres_program("postgres") is not None,
        "redis-server": shutil.which("redis-server") is not None,
    }
    lacking = " ".join(name for name, is_there in packages.items() if not is_there)
    return f"apt-get install --no-install-recommends {lacking}" if lacking else ""


@contextmanager
def postgres(log: Path) -> Iterator[str]:
    """
    Run a PostgreSQL with an empty database.

    :param log: File that gets its output.
    :return: ``user:password@host:port/database``.
    """
    # It refuses to run as root.
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="kie-postgres-") as folder:
        password, data = secrets.token_hex(), f"{folder}/data"
        Path(folder, "password").write_text(password)
        if user:
            for path in (folder, f"{folder}/password"):
                shutil.chown(path, "postgres", "postgres")
        initialise = [*user, str(_postgres_program("initdb")), "--pgdata", data, "--no-sync"]
        initialise += ["--username=airflow", f"--pwfile={folder}/password", "--auth=scram-sha-256"]
        initialise += ["--encoding=UTF8", "--locale=C.UTF-8"]
        with log.open("ab") as output:
            subprocess.run(initialise, check=True, cwd=folder, stdout=output, stderr=output)  # noqa: S603
        [port] = free_ports(1)
        serve = [*user, str(_postgres_program("postgres")), "-D", data, "-p", str(port)]
        serve += ["-h", "127.0.0.1", "-k", folder]
        for option in POSTGRES_OPTIONS:
            serve += ["-c", option]
        with started(serve, os.environ, log) as process:
            wait_for_port(port, process, log)
            yield f"airflow:{password}@127.0.0.1:{port}/postgres"


@contextmanager
def redis(log: Path) -> Iterator[str]:
    """
    Run a Redis that keeps nothing.

    :param log: File that gets its output.
    :return: Its URL.
    """
    [port] = free_ports(1)
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    with started(command, os.environ, log) as process:
        wait_for_port(port, process, log)
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def s3(log: Path) -> Iterator[str]:
    """
    Run moto's S3, which keeps everything in memory.

    :param log: File that gets its output.
    :return: Its URL.
    """
    [port] = free_ports(1)
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with started(command, os.environ, log) as process:
        wait_for_port(port, process, log)
        yield f"http://127.0.0.1:{port}"


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a process listens."""
    for _ in every_second(60):
        if process.poll() is not None:
            break
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
    raise SystemExit(f"{process.args!r} does not serve:\n{log.read_text()[-3000:]}")


def _postgres_program(name: str) -> Path | None:
    """Find a program of PostgreSQL, of the newest version; Debian keeps them out of the search path."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    candidates = [folder / name for folder in folders]
    if found := shutil.which(name):
        candidates.insert(0, Path(found))
    return next((path for path in reversed(candidates) if path.exists()), None)
