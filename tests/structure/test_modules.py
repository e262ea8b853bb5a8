"""That no module is without a test file."""

from __future__ import annotations

import pytest

from tests.structure.classes import PACKAGE, ROOT

TESTS = ROOT / "tests"

# Modules that are part of another's work, with the file that tests them.
TESTED_IN = {
    "assets": "dags/test_openlineage.py",
    "client.api.chunks": "unit/client/test_streams.py",
    "client.call": "unit/client/test_client.py",
    "client.codes": "unit/client/test_errors.py",
    "client.http.environment": "faults/test_environment.py",
    "client.http.failures": "faults/test_answers.py",
    "client.http.redaction": "unit/client/test_secrets.py",
    "client.http.requests": "unit/client/test_client.py",
    "client.http.sockets": "unit/client/http/test_connections.py",
    "client.http.session": "unit/client/test_open_file.py",
    "client.transfer.heads": "unit/client/transfer/test_download.py",
    "client.transfer.sink": "unit/client/transfer/test_download.py",
    "client.transfer.web": "unit/client/transfer/test_upload.py",
    "files.download": "unit/operators/test_reuse.py",
    "files.shutdown": "unit/files/test_batch.py",
    "files.upload": "unit/operators/test_reuse.py",
    "get_provider_info": "structure/test_provider_info.py",
    "links": "runner/test_job_links.py",
}


def module_names() -> list[str]:
    """Name the modules that are no mere part of another; simulator and fixtures are tested as users do."""
    paths = (path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py"))
    parts = (path.parts for path in paths if not {"simulator", "testing"} & set(path.parts))
    return sorted(".".join(part) for part in parts if not part[-1].startswith("_"))


@pytest.mark.parametrize("module", module_names())
def test_every_module_has_a_test_file(module: str) -> None:
    *packages, name = module.split(".")
    file = TESTED_IN.get(module, "/".join(["unit", *packages, f"test_{name}.py"]))
    assert (TESTS / file).is_file()


def test_only_modules_that_are_there_have_a_test_file_elsewhere() -> None:
    assert set(TESTED_IN) <= set(module_names())
