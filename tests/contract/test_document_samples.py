"""What kie.ai's pages tell people to send gets from the simulator what they say it gets."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_kie.simulator import KieSimulator

from . import samples

DATA = bytes(range(256)) * 400
RECORDED = {"success", "fileName", "filePath", "downloadUrl", "fileSize", "mimeType", "uploadedAt"}
Run = Callable[[str, str], str]


def commands(language: str, sample: str) -> list[str]:
    """Give the command that runs a sample, or skip the test where there is none."""
    if "python" in language:
        return [sys.executable, "-c", sample]
    program = "node" if language == "javascript" else "curl"
    if not shutil.which(program):
        pytest.skip(f"There is no {program} on this machine to run the sample.")
    if program == "node":
        return ["node", "--input-type=module", "--eval", sample]
    return ["sh", "-c", sample]


@pytest.fixture
def run(kie_simulator: KieSimulator, tmp_path: Path) -> Run:
    """Run a sample where the simulator is kie.ai and files are where it looks; give what it prints."""
    (tmp_path / "your-file.jpg").write_bytes(DATA)
    (tmp_path / "downloads").mkdir()
    picked = f"new File([(await import('fs')).readFileSync({samples.FILE!r})], 'your-file.jpg')"
    changes = {
        samples.PICKED: picked,
        samples.API: kie_simulator.api_url,
        samples.UPLOADS: kie_simulator.upload_url,
        samples.KEY: kie_simulator.api_key,
        samples.FILE: str(tmp_path / "your-file.jpg"),
        samples.GENERATED: kie_simulator.add_generated_file("film.mp4", DATA),
        samples.PUBLIC: kie_simulator.add_generated_file("sample-image.jpg", DATA),
    }

    def give(language: str, sample: str) -> str:
        for theirs, ours in changes.items():
            sample = sample.replace(theirs, ours)
        done = subprocess.run(
            commands(language, sample), capture_output=True, text=True, cwd=tmp_path, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return give


def uploaded(kie: KieSimulator, language: str, printed: str) -> str:
    """Check that one file was uploaded, and what the sample was told of it; give its path."""
    [known] = kie.uploads.values()
    if "curl" in language:
        answer = json.loads(printed)
        assert (answer["code"], answer["success"], answer["msg"]) == (200, True, "File uploaded successfully")
        assert set(answer["data"]) == RECORDED
    assert known.path in printed
    assert known.download_url in printed
    return known.path.removeprefix("kieai/1000001/")


@pytest.mark.parametrize(("language", "sample"), samples.CREDITS.items(), ids=list(samples.CREDITS))
def test_credits(kie_simulator: KieSimulator, run: Run, language: str, sample: str) -> None:
    kie_simulator.credits = 5916.25
    printed = run(language, sample)
    if language == "curl":
        assert json.loads(printed) == {"code": 200, "msg": "success", "data": 5916.25}
    else:
        assert printed == "Current credits: 5916.25\n"


@pytest.mark.parametrize(("language", "sample"), samples.LINK.items(), ids=list(samples.LINK))
def test_links(run: Run, language: str, sample: str) -> None:
    printed = run(language, sample)
    link = json.loads(printed)["data"] if "curl" in language else printed.split()[-1]
    assert httpx.get(link, headers={"User-Agent": "tests"}, trust_env=False).content == DATA


@pytest.mark.parametrize(
    ("language", "sample"), samples.STREAM_UPLOAD.items(), ids=list(samples.STREAM_UPLOAD)
)
def test_stream_uploads(kie_simulator: KieSimulator, run: Run, language: str, sample: str) -> None:
    printed = run(language, sample)
    assert uploaded(kie_simulator, language, printed) == "images/user-uploads/custom-name.jpg"
    [known] = kie_simulator.uploads.values()
    assert known.sha256 == hashlib.sha256(DATA).hexdigest()


@pytest.mark.parametrize(("language", "sample"), samples.URL_UPLOAD.items(), ids=list(samples.URL_UPLOAD))
def test_url_uploads(kie_simulator: KieSimulator, run: Run, language: str, sample: str) -> None:
    assert uploaded(kie_simulator, language, run(language, sample)) == "images/my-image.jpg"


@pytest.mark.parametrize(
    ("language", "sample"), samples.BASE64_UPLOAD.items(), ids=list(samples.BASE64_UPLOAD)
)
def test_base64_uploads(kie_simulator: KieSimulator, run: Run, language: str, sample: str) -> None:
    path = uploaded(kie_simulator, language, run(language, sample))
    assert re.fullmatch(r"images/base64-image\.(png|jpg)", path)
    [known] = kie_simulator.uploads.values()
    assert known.size == (
        len(DATA) if language == "python with a file" else len(base64.b64decode(samples.PIXEL))
    )


@pytest.mark.parametrize(("language", "sample"), samples.NAMELESS.items(), ids=list(samples.NAMELESS))
def test_uploads_without_a_name(kie_simulator: KieSimulator, run: Run, language: str, sample: str) -> None:
    path = uploaded(kie_simulator, language, run(language, sample))
    assert re.fullmatch(r"images/\d{13}-[0-9a-f]+\.jpg", path)


@pytest.mark.parametrize(("language", "sample"), samples.DOWNLOAD.items(), ids=list(samples.DOWNLOAD))
def test_downloads(run: Run, tmp_path: Path, language: str, sample: str) -> None:
    run(language, sample)
    assert (tmp_path / "downloads" / "file-1.mp4").read_bytes() == DATA


@pytest.mark.parametrize(("call", "body"), samples.BODIES.values(), ids=list(samples.BODIES))
def test_the_examples_of_the_reference(kie_simulator: KieSimulator, call: str, body: dict[str, Any]) -> None:
    public = kie_simulator.add_generated_file("sample-image.jpg", DATA)
    answer = httpx.post(
        f"{kie_simulator.upload_url}/api/{call}",
        json={name: value.replace(samples.PUBLIC, public) for name, value in body.items()},
        headers={"Authorization": f"Bearer {kie_simulator.api_key}", "User-Agent": "tests"},
        trust_env=False,
    ).json()
    assert (answer["code"], set(answer["data"])) == (200, RECORDED)
    path = answer["data"]["filePath"].removeprefix("kieai/1000001/")
    assert path.rpartition("/")[0] == body["uploadPath"]
