from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieConfigError,
    KieConnectionError,
    KieNotFoundError,
    KieResponseError,
    KieTransferError,
    KieValidationError,
)
from airflow_provider_kie.client.transfer.upload import UploadMethod
from airflow_provider_kie.files.results import UploadedFile
from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.simulator import KieSimulator

Connect = Callable[..., str]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(os.urandom(30_000))
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def kept_for(uploaded: UploadedFile) -> timedelta:
    return datetime.fromisoformat(uploaded.expires_at) - datetime.fromisoformat(uploaded.uploaded_at)


# Credits and the connection


def test_the_balance_is_a_float(kie_simulator: KieSimulator) -> None:
    kie_simulator.credits = 5916.25
    assert KieHook().get_credits() == 5916.25


async def test_the_balance_comes_on_an_event_loop_too(kie_simulator: KieSimulator) -> None:
    kie_simulator.fail_next("credit", code=500)
    assert await KieHook().aget_credits() == 100.0
    assert len(kie_simulator.requests_to("credit")) == 2


def test_the_button_tells_the_balance_and_the_command_line_prints_it(
    kie_simulator: KieSimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    balance = "kie.ai answers: the account has 100 credits."
    assert KieHook().test_connection() == (True, balance)
    assert capsys.readouterr().out == f"{balance}\n"


def test_the_button_tells_that_airflow_sent_a_mask_for_the_key(
    kie_simulator: KieSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked = kie_simulator.connection().replace(kie_simulator.api_key, "***")
    monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", masked)
    ok, message = KieHook().test_connection()
    assert not ok
    assert message == ("Connection 'kie_default', password: is the *** that Airflow shows instead of a key")
    assert not kie_simulator.requests


def test_the_button_tells_what_is_wrong_after_one_try(kie_simulator: KieSimulator) -> None:
    kie_simulator.fail_next("credit", code=455)
    ok, message = KieHook().test_connection()
    assert not ok
    assert "455" in message
    assert len(kie_simulator.requests) == 1


def test_the_button_tells_of_a_missing_connection() -> None:
    ok, message = KieHook("kie_nowhere").test_connection()
    assert not ok
    assert "'kie_nowhere' does not exist" in message


def test_a_rejected_key_is_an_auth_error_that_does_not_repeat_it(
    kie_simulator: KieSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = kie_simulator.connection().replace(kie_simulator.api_key, "another-key")
    monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", other)
    with pytest.raises(KieAuthError, match="password of the Airflow connection") as caught:
        KieHook().get_credits()
    assert "another-key" not in str(caught.value)
    assert len(kie_simulator.requests) == 1


def test_get_conn_gives_a_client_that_is_a_context_manager(kie_simulator: KieSimulator) -> None:
    from airflow_provider_kie.client.api import credits

    with KieHook().get_conn() as client:
        assert client.send(credits.get_credits()) == 100.0


def test_a_download_url_is_a_link_that_works(kie_simulator: KieSimulator) -> None:
    link = KieHook().get_download_url(kie_simulator.add_generated_file("a.png", b"a"))
    assert link.startswith(kie_simulator.files_url)


def test_a_link_to_a_file_that_kie_ai_did_not_generate_is_explained(kie_simulator: KieSimulator) -> None:
    with pytest.raises(KieValidationError, match="can be signed") as caught:
        KieHook().get_download_url(f"{kie_simulator.files_url}/nobody-made-this.png")
    assert caught.value.code == 422
    assert len(kie_simulator.requests) == 1


# Uploads


@pytest.mark.parametrize(("size", "method"), [(1, "base64"), (1_000_000, "base64"), (1_000_001, "stream")])
def test_auto_follows_the_documents_on_size(
    size: int, method: str, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    source = tmp_path / "data.bin"
    source.write_bytes(bytes(size))
    uploaded = KieHook().upload_file(source, "tests")
    assert uploaded.method == method
    assert uploaded.file_size == size
    assert [request.call for request in kie_simulator.requests] == [f"file-{method}-upload"]


@pytest.mark.parametrize("method", ["stream", "base64"])
@pytest.mark.parametrize("shape", ["recorded", "quickstart"])
def test_what_was_uploaded_is_described_in_full(
    method: UploadMethod, shape: Any, kie_simulator: KieSimulator, photo: Path
) -> None:
    kie_simulator.upload_shape = shape
    uploaded = KieHook().upload_file(str(photo), "/images/nightly/", file_name="Ä b.png", method=method)
    (stored,) = kie_simulator.uploads.values()
    assert stored.sha256 == uploaded.sha256 == sha256(photo)
    assert uploaded.source == str(photo)
    assert uploaded.method == method
    assert uploaded.file_name == "Ä b.png"
    assert uploaded.file_path.endswith("images/nightly/Ä b.png")
    assert uploaded.file_size == 30_000
    assert uploaded.mime_type == "image/png"
    assert uploaded.download_url.startswith("http")
    assert uploaded.uploaded_at.endswith("Z")
    assert kept_for(uploaded) == (timedelta(days=3) if shape == "quickstart" else timedelta(hours=24))


def test_the_retention_of_the_connection_counts(
    kie_simulator: KieSimulator, photo: Path, connect: Connect
) -> None:
    connect(
        host=kie_simulator.api_url,
        password=kie_simulator.api_key,
        extra={"upload_base_url": kie_simulator.upload_url, "upload_retention_hours": 72},
    )
    uploaded = KieHook().upload_file(photo, "tests")
    assert kept_for(uploaded) == timedelta(hours=72)


def test_names_are_unique_and_keep_the_extension(kie_simulator: KieSimulator, photo: Path) -> None:
    names = {KieHook().upload_file(photo, "tests").file_name for _ in range(3)}
    assert len(names) == 3
    assert all(name.endswith("photo.png") for name in names)


def test_a_url_is_fetched_by_kie_ai(kie_simulator: KieSimulator, photo: Path) -> None:
    public = KieHook().upload_file(photo, "tests").download_url
    uploaded = KieHook().upload_file(f"{public}?token=secret", "tests")
    assert uploaded.method == "url"
    assert uploaded.sha256 is None
    assert uploaded.source == public
    assert uploaded.file_name.endswith("photo.png")
    assert {stored.sha256 for stored in kie_simulator.uploads.values()} == {sha256(photo)}


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_paths_and_file_urls_are_local(prefix: str, kie_simulator: KieSimulator, photo: Path) -> None:
    assert KieHook().upload_file(f"{prefix}{photo}", "tests").sha256 == sha256(photo)


def test_object_storage_is_read_as_it_is_sent(kie_simulator: KieSimulator) -> None:
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.io import attach
    from fsspec.implementations.memory import MemoryFileSystem

    attach(protocol="memory", conn_id="store", fs=MemoryFileSystem())
    data = os.urandom(2_000_000)
    ObjectStoragePath("memory://bucket/in/movie.mp4", conn_id="store").write_bytes(data)
    uploaded = KieHook().upload_file("memory://bucket/in/movie.mp4", "tests", source_conn_id="store")
    assert uploaded.method == "stream"
    assert uploaded.source == "memory://bucket/in/movie.mp4"
    assert uploaded.sha256 == hashlib.sha256(data).hexdigest()

    downloaded = KieHook().download_file(
        uploaded.download_url, "memory://bucket/out/", destination_conn_id="store"
    )
    assert downloaded.path == f"memory://bucket/out/{uploaded.file_name}"
    assert ObjectStoragePath(downloaded.path, conn_id="store").read_bytes() == data


def test_other_bytes_than_sent_are_an_error(kie_simulator: KieSimulator, photo: Path) -> None:
    answer = (
        b'{"success":true,"code":200,"msg":"File uploaded successfully","data":{"fileName":"a.png",'
        b'"filePath":"kieai/1/a.png","downloadUrl":"https://files.example/a.png","fileSize":29999,'
        b'"mimeType":"image/png","uploadedAt":"2026-04-16T07:19:10.400Z"}}'
    )
    for method in ("stream", "base64"):
        kie_simulator.fail_next(f"file-{method}-upload", body=answer)
        with pytest.raises(KieTransferError, match=r"30000 bytes were sent, but kie\.ai holds 29999"):
            KieHook().upload_file(photo, "tests", method=method)


def test_a_dropped_upload_is_sent_again_from_its_start(kie_simulator: KieSimulator, tmp_path: Path) -> None:
    source = tmp_path / "movie.mp4"
    source.write_bytes(os.urandom(3_000_000))
    kie_simulator.fail_next("file-stream-upload", drop_after=-1)
    uploaded = KieHook().upload_file(source, "tests")
    (stored,) = kie_simulator.uploads.values()
    assert stored.sha256 == uploaded.sha256 == sha256(source)
    assert len(kie_simulator.requests_to("file-stream-upload")) == 2


@pytest.mark.parametrize(
    ("method", "size", "reason"),
    [
        ("base64", 10_000_001, "at most 10000000 bytes"),
        ("url", 10, "needs an http"),
        ("ftp", 10, "auto, stream, url, base64"),
    ],
)
def test_a_method_that_cannot_carry_the_source_is_refused(
    method: Any, size: int, reason: str, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    source = tmp_path / "data.bin"
    source.write_bytes(bytes(size))
    with pytest.raises(ValueError, match=reason):
        KieHook().upload_file(source, "tests", method=method)
    assert kie_simulator.requests == []


def test_a_url_cannot_be_sent_as_base64(kie_simulator: KieSimulator) -> None:
    with pytest.raises(ValueError, match="or 'stream', which sends it through this worker"):
        KieHook().upload_file("https://example.com/a.png", "tests", method="base64")
    assert kie_simulator.requests == []


def test_a_missing_or_empty_source_or_a_folder_is_named_and_nothing_is_sent(
    kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    (tmp_path / "empty").touch()
    for name, kind in (("missing", FileNotFoundError), ("", IsADirectoryError), ("empty", ValueError)):
        with pytest.raises(kind, match=str(tmp_path / name)):
            KieHook().upload_file(tmp_path / name, "tests")
    assert kie_simulator.requests == []


@pytest.mark.parametrize("upload_path", ["", "/", "a/../b", "..", "a\\b", "a\x00b", "a\nb", "a//b", "."])
def test_an_upload_path_that_is_no_plain_path_is_refused(
    upload_path: str, kie_simulator: KieSimulator, photo: Path
) -> None:
    with pytest.raises(ValueError, match="upload_path"):
        KieHook().upload_file(photo, upload_path)
    assert kie_simulator.requests == []


@pytest.mark.parametrize("file_name", ["", "a/b.png", "a\\b.png", "..", "a\x7f.png"])
def test_a_file_name_that_is_no_plain_name_is_refused(
    file_name: str, kie_simulator: KieSimulator, photo: Path
) -> None:
    with pytest.raises(ValueError, match="file_name"):
        KieHook().upload_file(photo, "tests", file_name=file_name)
    assert kie_simulator.requests == []


def test_a_source_url_with_credentials_is_refused(kie_simulator: KieSimulator) -> None:
    with pytest.raises(ValueError, match="credentials") as caught:
        KieHook().upload_file("https://me:secret@example.com/a.png", "tests")
    assert "secret" not in str(caught.value)


# Downloads


def test_a_generated_file_comes_through_a_signed_link(kie_simulator: KieSimulator, tmp_path: Path) -> None:
    url = kie_simulator.add_generated_file("song.mp3", b"music" * 1000)
    downloaded = KieHook().download_file(url, tmp_path / "deep" / "song.mp3")
    assert Path(downloaded.path).read_bytes() == b"music" * 1000
    assert downloaded.file_url == url
    assert downloaded.path == str(tmp_path / "deep" / "song.mp3")
    assert downloaded.size == 5000
    assert downloaded.sha256 == hashlib.sha256(b"music" * 1000).hexdigest()
    assert downloaded.mime_type == "audio/mpeg"
    assert downloaded.skipped is False
    asked, fetched = kie_simulator.requests
    assert (asked.call, fetched.call) == ("download-url", "file")
    assert fetched.path.startswith("/signed/")
    assert fetched.headers["accept-encoding"] == "identity"
    assert "authorization" not in fetched.headers


def test_an_uploaded_file_is_fetched_directly(
    kie_simulator: KieSimulator, photo: Path, tmp_path: Path
) -> None:
    uploaded = KieHook().upload_file(photo, "tests")
    kie_simulator.reset()
    downloaded = KieHook().download_file(uploaded.download_url, f"{tmp_path}/back/")
    assert Path(downloaded.path) == tmp_path / "back" / uploaded.file_name
    assert sha256(Path(downloaded.path)) == sha256(photo)
    (request,) = kie_simulator.requests
    assert request.call == "file"
    assert "authorization" not in request.headers


def test_signing_can_be_forced_and_forbidden(
    kie_simulator: KieSimulator, photo: Path, tmp_path: Path
) -> None:
    uploaded = KieHook().upload_file(photo, "tests")
    with pytest.raises(KieValidationError, match=r"(?s)url is wrong.*Only files that kie.ai generated"):
        KieHook().download_file(uploaded.download_url, tmp_path / "a", sign="always")
    generated = kie_simulator.add_generated_file("a.bin", b"a")
    kie_simulator.reset()
    KieHook().download_file(generated, tmp_path / "a", sign="never")
    assert [request.call for request in kie_simulator.requests] == ["file"]


def test_an_expired_link_is_asked_for_anew(kie_simulator: KieSimulator, tmp_path: Path) -> None:
    url = kie_simulator.add_generated_file("a.bin", b"abc")
    kie_simulator.fail_next("file", status=403)
    downloaded = KieHook().download_file(url, tmp_path / "a.bin")
    assert downloaded.size == 3
    assert len(kie_simulator.requests_to("download-url")) == 2


@pytest.mark.parametrize("cut_at", [0, 1, 2_000_000])
def test_a_dropped_transfer_is_continued(cut_at: int, kie_simulator: KieSimulator, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    url = kie_simulator.add_generated_file("a.bin", data)
    kie_simulator.fail_next("file", drop_after=cut_at)
    downloaded = KieHook().download_file(url, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == data
    assert downloaded.sha256 == hashlib.sha256(data).hexdigest()
    _, second = kie_simulator.requests_to("file")
    assert second.headers.get("range") == (f"bytes={cut_at}-" if cut_at else None)


def test_a_transfer_that_never_completes_leaves_nothing(kie_simulator: KieSimulator, tmp_path: Path) -> None:
    url = kie_simulator.add_generated_file("a.bin", os.urandom(1_000_000))
    kie_simulator.fail_next("file", drop_after=1000)
    kie_simulator.fail_next("file", drop_after=0, times=5)
    target = tmp_path / "out" / "a.bin"
    target.parent.mkdir()
    target.write_bytes(b"the old one")
    with pytest.raises(KieConnectionError):
        KieHook().download_file(url, target)
    assert target.read_bytes() == b"the old one"
    assert list(target.parent.iterdir()) == [target]


def test_an_expired_upload_is_not_found(kie_simulator: KieSimulator, photo: Path, tmp_path: Path) -> None:
    uploaded = KieHook().upload_file(photo, "tests")
    kie_simulator.expire_uploads()
    with pytest.raises(KieNotFoundError, match="expired"):
        KieHook().download_file(uploaded.download_url, tmp_path / "a")


def test_an_existing_destination_is_overwritten_kept_or_refused(
    kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    url = kie_simulator.add_generated_file("a.bin", b"new")
    target = tmp_path / "a.bin"
    target.write_bytes(b"older")
    skipped = KieHook().download_file(url, target, if_exists="skip")
    assert skipped.to_dict() == {
        "file_url": url,
        "path": str(target),
        "size": 5,
        "sha256": None,
        "mime_type": None,
        "skipped": True,
        "verified": False,
        "seconds": 0.0,
        "retries": 0,
    }
    with pytest.raises(FileExistsError, match=str(target)):
        KieHook().download_file(url, target, if_exists="fail")
    assert kie_simulator.requests == []
    assert KieHook().download_file(url, target).skipped is False
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"file_url": "ftp://example.com/a"}, r"absolute http\(s\) URL"),
        ({"file_url": "/etc/passwd"}, r"absolute http\(s\) URL"),
        ({"file_url": "https://me:secret@example.com/a"}, "credentials"),
        ({"sign": "maybe"}, "sign must be one of auto, always, never"),
        ({"if_exists": "ask"}, "if_exists must be one of overwrite, skip, fail"),
        ({"destination": ""}, "empty"),
        ({"destination": "nowhere://bucket/a"}, "nowhere"),
    ],
)
def test_bad_arguments_of_a_download_are_refused_before_any_request(
    arguments: dict[str, Any], reason: str, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    good = {"file_url": "https://example.com/a", "destination": str(tmp_path / "a")}
    with pytest.raises(ValueError, match=reason) as caught:
        KieHook().download_file(**(good | arguments))
    assert "secret" not in str(caught.value)
    assert kie_simulator.requests == []


def test_credentials_are_not_accepted_in_a_url_to_sign(kie_simulator: KieSimulator) -> None:
    with pytest.raises(ValueError, match="credentials"):
        KieHook().get_download_url("https://me:secret@example.com/a")
    assert kie_simulator.requests == []


def test_the_key_is_not_sent_where_nobody_configured_it(
    kie_simulator: KieSimulator, photo: Path, tmp_path: Path
) -> None:
    hook = KieHook()
    uploaded = hook.upload_file(photo, "tests")
    hook.download_file(uploaded.download_url, tmp_path / "a")
    hook.download_file(kie_simulator.add_generated_file("a.bin", b"a"), tmp_path / "b")
    for request in kie_simulator.requests:
        assert ("authorization" in request.headers) == (request.call != "file")
        assert request.headers["user-agent"].startswith("airflow-provider-kie/")


# Answers that are none


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"body": b"<html>down</html>"}, KieResponseError),
        ({"body": b""}, KieResponseError),
        ({"body": b'{"code":200,"msg":"succ'}, KieResponseError),
        ({"body": b"[1, 2]"}, KieResponseError),
        ({"body": b'{"code":200,"msg":"' + b"x" * 2_000_000 + b'"}'}, KieResponseError),
        ({"html": True}, KieResponseError),
        ({"code": 200, "msg": "success"}, KieResponseError),
    ],
)
def test_an_answer_that_is_none_is_a_response_error_with_a_short_quote(
    fault: dict[str, Any], kind: type[Exception], kie_simulator: KieSimulator
) -> None:
    kie_simulator.fail_next("credit", **fault, times=5)
    with pytest.raises(kind) as caught:
        KieHook().get_credits()
    assert len(str(caught.value)) < 450


def test_a_connection_that_is_refused_says_so(connect: Connect) -> None:
    connect(host="http://127.0.0.1:9", extra={"max_retries": 1})
    with pytest.raises(KieConnectionError, match="cannot connect"):
        KieHook().get_credits()


def test_a_silent_server_is_given_up_after_the_timeout(kie_simulator: KieSimulator, connect: Connect) -> None:
    connect(
        host=kie_simulator.api_url, password=kie_simulator.api_key, extra={"timeout": 0.2, "max_retries": 0}
    )
    kie_simulator.fail_next("credit", delay=3)
    start = time.monotonic()
    with pytest.raises(KieConnectionError, match="in time"):
        KieHook().get_credits()
    assert time.monotonic() - start < 2.5


def test_a_bad_setting_is_a_value_error_too(connect: Connect) -> None:
    connect(extra={"timeout": "soon"})
    with pytest.raises(ValueError, match="timeout"):
        KieHook().get_credits()
    with pytest.raises(KieConfigError):
        KieHook().get_credits()


# Metrics


def test_transfers_are_counted_in_airflows_metrics(
    kie_simulator: KieSimulator, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: dict[str, float] = {}

    class Recorder:
        def incr(self, name: str, count: int = 1) -> None:
            counted[name] = counted.get(name, 0) + count

        def timing(self, name: str, value: timedelta) -> None:
            counted[name] = value.total_seconds()

    monkeypatch.setattr("airflow_provider_kie.hooks._metrics.get_stats", Recorder)
    kie_simulator.fail_next("file-base64-upload", code=500)
    uploaded = KieHook().upload_file(photo, "tests")
    KieHook().download_files([uploaded.download_url] * 2, f"{tmp_path}/back")
    KieHook().download_file(uploaded.download_url, photo, if_exists="skip")
    assert uploaded.retries == counted["kie.retries"] == 1
    assert (counted["kie.upload.files"], counted["kie.upload.bytes"]) == (1, 30_000)
    assert (counted["kie.download.files"], counted["kie.download.bytes"]) == (3, 60_000)
    assert counted["kie.upload.seconds"] >= 0


def test_airflows_metrics_take_what_is_counted() -> None:
    from airflow_provider_kie._compat import get_stats

    get_stats().incr("kie.upload.bytes", 5)
    get_stats().timing("kie.upload.seconds", timedelta(seconds=1))


def test_a_folder_goes_up_as_many_and_one_file_says_how(kie_simulator: KieSimulator, tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", ".hidden.txt"):
        (tmp_path / name).write_text(name)
    hook = KieHook()
    given: list[Any] = [tmp_path, f"{tmp_path}/*.txt", [f"{tmp_path}/a*", tmp_path / "b.txt"]]
    for sources in given:
        uploaded = hook.upload_files(sources, "x")
        assert [Path(one.source).name for one in uploaded] == ["a.txt", "b.txt"]
    with pytest.raises(
        IsADirectoryError, match=r"is a folder; KieUploadOperator and KieHook\.upload_files take one"
    ):
        hook.upload_file(tmp_path, "x")
