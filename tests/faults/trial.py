"""One call under watch: what it left behind, whom it asked, what it told."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.hooks.kie import KieHook
from tests.fake_host import Answer

from .ledger import Ledger, Loss
from .server import Reply, Server

KEY = secrets.token_hex()
SIGNATURE = secrets.token_hex()
OLD = b"the older version of the file " * 100
Ending = type[Exception] | None | tuple[type[Exception] | None, ...]
"""What a call may end with: an error of this class, or None for success; one of several."""


class _Nothing:
    def __await__(self) -> Iterator[None]:
        return iter(())


def _masks_nothing(*_: object) -> _Nothing:
    return _Nothing()


class Trial:
    """
    A folder with an older version of the file, two configured hosts, two others, and a key to guard.

    :param case: The case's name.
    :param folder: Where files are.
    :param monkeypatch: Sets the connection.
    :param caplog: What was logged.
    :param ledger: Where the outcome is noted.
    """

    def __init__(
        self,
        case: str,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        ledger: Ledger,
    ) -> None:
        self.case, self.ledger = case, ledger
        self._monkeypatch, self._caplog = monkeypatch, caplog
        self.key, self.signature = KEY, SIGNATURE
        self.secrets = [self.key, self.signature]
        self.words: dict[str, str] = {"key": self.key}
        self.trusted: list[Server] = []
        self.strangers: list[Server] = []
        self.folder = folder / "out"
        self.folder.mkdir()
        self.target = self.folder / "a.bin"
        self.target.write_bytes(OLD)
        self.spool = folder / "spool"
        self.spool.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(self.spool))
        # Airflow's masking would hide what is told; and every connection makes each of its log lines slower.
        for masks in ("mask_secret", "amask_secret"):
            monkeypatch.setattr(f"airflow.sdk.execution_time.context.{masks}", _masks_nothing, raising=False)
        self.losses: list[tuple[Loss, str]] = []
        self.seconds = 0.0
        for logger in (None, "httpx", "httpcore", "airflow_provider_kie"):
            caplog.set_level(logging.DEBUG, logger)
        ledger.open(case)

    def host(self, script: Sequence[Reply | Answer] = (), *, trusted: bool = False, **options: Any) -> Server:
        """
        Start a server of this trial.

        :param script: What it does.
        :param trusted: Whether it is one of the configured hosts, which the key may go to.
        :param options: Of the server.
        :return: The server; closed with the trial.
        """
        server = Server(script, self.words, **options)
        (self.trusted if trusted else self.strangers).append(server)
        return server

    def connect(self, api: str, upload: str, *, key: str | None = None, **extra: Any) -> None:
        """
        Define the connection.

        :param api: URL of the API host.
        :param upload: URL of the upload host.
        :param key: Its key, where the trial's own is not the right one.
        :param extra: Of the connection.
        """
        if key is not None:
            self.secrets.append(key)
        fields = {
            "conn_type": "kie",
            "password": key or self.key,
            "host": api,
            "extra": {"upload_base_url": upload, "timeout": 5.0, "max_retries": 2, **extra},
        }
        self._monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", json.dumps(fields))

    def play(self, call: Callable[[KieHook], Any]) -> tuple[Any, Exception | None]:
        """
        Make the call.

        :param call: What is called.
        :return: Its result and its error, one of which is None.
        """
        began = time.monotonic()
        try:
            return call(KieHook()), None
        except Exception as error:
            return None, error
        finally:
            self.seconds = time.monotonic() - began

    def lose(self, loss: Loss, how: str) -> None:
        """
        Note a loss.

        :param loss: Which.
        :param how: What happened, without secrets.
        """
        self.losses.append((loss, how))

    def judge_ending(
        self, error: Exception | None, ends: Ending, *, within: float = 5.0, code: int | None = None
    ) -> None:
        """
        Check how the call ended.

        :param error: Its error, if it had one.
        :param ends: The ending that keeps the promise, or several that do.
        :param within: Seconds that it may take.
        :param code: The error's; None for any.
        """
        allowed = ends if isinstance(ends, tuple) else (ends,)
        if error is not None and not isinstance(error, KieError | OSError | ValueError):
            self.lose("error without a type", repr(error))
        wanted = [kind for kind in allowed if kind is not None]
        if error is None and None not in allowed:
            self.lose("other ending than promised", f"success, not {wanted}")
        elif error is not None and not isinstance(error, tuple(wanted)):
            self.lose("other ending than promised", f"{type(error).__name__}: {error}")
        if code is not None and getattr(error, "code", None) != code:
            self.lose("other ending than promised", f"the code is not {code}: {error!r}")
        if self.seconds > within:
            self.lose("too slow", f"{self.seconds:.1f} s")
        if error is not None:
            self._judge_telling("".join(traceback.format_exception(error)))
            self._judge_telling(repr(error))

    def judge_file(self, result: Any, expected: bytes, *, old: bytes | None = OLD) -> None:
        """
        Check the file under its final name.

        :param result: What a successful call gave; None after an error, when the old file must be there.
        :param expected: The right bytes.
        :param old: What was there before; None for nothing.
        """
        found = self.target.read_bytes() if self.target.is_file() else None
        if result is None:
            if found != old:
                half = found is not None and found in expected
                self.lose("half file" if half else "old file lost", f"{found and len(found)} bytes")
            return
        if found != expected:
            self.lose("wrong byte", f"{found and len(found)} bytes of {len(expected)}")
        if found is not None and result.sha256 != hashlib.sha256(found).hexdigest():
            self.lose("wrong byte", "the hash told is of other bytes")
        if found is not None and result.size != len(found):
            self.lose("wrong byte", f"the size told is {result.size} of {len(found)}")

    def judge_leftovers(self, *, also: tuple[str, ...] = ()) -> None:
        """
        Check that nothing lies beside the file, nor in the folder for temporary files.

        :param also: Names that may be there.
        """
        for folder in (self.folder, self.spool):
            names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
            if strange := names - {self.target.name, *also}:
                self.lose("leftover file", f"{sorted(strange)} in {folder.name}")

    def judge_requests(self, server: Server, count: int, *, or_fewer: bool = False) -> None:
        """
        Check how often a host was asked.

        :param server: The host.
        :param count: How often it should be.
        :param or_fewer: Whether fewer are as good.
        """
        found = len(server.requests)
        if found > count:
            self.lose("request too many", f"{found} of {count}")
        elif found < count and not or_fewer:
            self.lose("other ending than promised", f"{found} requests instead of {count}")

    def judge_ranges(self, server: Server, ranges: Sequence[str | None] | None) -> None:
        """
        Check which parts of its file a host was asked for.

        :param server: The host.
        :param ranges: The ranges, None for the whole file; None to allow any.
        """
        found = [request.range for request in server.requests]
        if ranges is not None and found != list(ranges):
            self.lose("other ending than promised", f"asked for {found}")

    def judge_secrets(self) -> None:
        """Check that the key went to the configured hosts only, and that nothing secret was logged."""
        for server in self.strangers:
            for request in server.requests:
                if self.key.encode() in request.head + bytes(request.body):
                    self.lose("key at a wrong host", request.line.partition("?")[0])
        self._judge_telling(self._caplog.text)
        for record in self._caplog.records:
            self._judge_telling(f"{record.getMessage()} {record.args!r}")

    def _judge_telling(self, text: str) -> None:
        for secret in self.secrets:
            if secret in text:
                line = next(line for line in text.splitlines() if secret in line)
                shown = line.replace(secret, "<secret>")[:200]
                if ("key or signed link told", shown) not in self.losses:
                    self.lose("key or signed link told", shown)

    def close(self, *, rounds: int = 1) -> None:
        """
        End the servers, note the outcome and fail the test if anything was lost.

        :param rounds: How often it was played.
        """
        self.end_servers()
        self.ledger.close(self.case, self.losses, rounds)
        if self.losses:
            pytest.fail("\n".join(f"{loss}: {how}" for loss, how in self.losses), pytrace=False)

    def end_servers(self) -> None:
        """End the servers."""
        for server in self.trusted + self.strangers:
            server.close()
