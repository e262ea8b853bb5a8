"""What the cluster needs beside Airflow, on free loopback ports; services of the machine are left alone."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socketserver import BaseRequestHandler, UDPServer
from typing import Any

import pytest

from scripts.running import every_second, free_ports, started

# Nothing of this outlives the run, so nothing has to survive a loss of power.
POSTGRES_OPTIONS = ["--fsync=off", "--synchronous_commit=off", "--full_page_writes=off"]


class StatsD(UDPServer):
    """A StatsD that keeps all values."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), BaseRequestHandler)
        self._lines: list[str] = []

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Keep a datagram; each is one value."""
        self._lines.append(request[0].decode())

    def count(self, name: str) -> int:
        """Count the values of a metric, whatever its tags."""
        return sum(line.startswith((f"airflow.{name}:", f"airflow.{name},")) for line in list(self._lines))


@contextmanager
def serving(command: list[str], log: Path) -> Iterator[int]:
    """Run a server; its port is the last argument of the command, and what this gives."""
    [port] = free_ports(1)
    with started([*command, str(port)], os.environ, log) as process:
        for _ in every_second(60):
            if process.poll() is not None or _listens(port):
                break
        if not _listens(port):
            pytest.fail(f"{command[0]} does not serve:\n{log.read_text()[-3000:]}")
        yield port


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextmanager
def postgres_server(log: Path) -> Iterator[str]:
    """Run a PostgreSQL with an empty database; give ``user:password@host:port/database``."""
    # It refuses to run as root.
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="kie-postgres-") as folder:
        password, data = secrets.token_hex(), f"{folder}/data"
        Path(folder, "password").write_text(password)
        if user:
            for path in (folder, f"{folder}/password"):
                shutil.chown(path, "postgres", "postgres")
        initialise = [*user, str(find("initdb")), "--pgdata", data, "--no-sync", "--username=airflow"]
        initialise += [f"--pwfile={folder}/password", "--auth=scram-sha-256"]
        subprocess.run([*initialise, "--encoding=UTF8", "--locale=C.UTF-8"], check=True, cwd=folder)
        serve = [*user, str(find("postgres")), *POSTGRES_OPTIONS, "--max_connections=200"]
        with serving([*serve, "-D", data, "-h", "127.0.0.1", "-k", folder, "-p"], log) as port:
            yield f"airflow:{password}@127.0.0.1:{port}/postgres"


def find(program: str) -> str | None:
    """Find a program; Debian keeps those of PostgreSQL out of the search path, and the newest is right."""
    folders = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    return shutil.which(program, path=os.pathsep.join([*folders, os.environ["PATH"]]))
