"""Files from and to S3, on moto's server: all or nothing, whatever fails, and nothing left behind."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_kie.client.errors import KieConnectionError
from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator
from airflow_provider_kie.simulator import KieSimulator
from tests.s3 import bucket_at, connection_to

# Warnings of the libraries between Airflow and S3 are not what is tested here.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def s3(s3_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A bucket, the Airflow connection to it, and an own folder for temporary files."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_STORE", json.dumps(connection_to(s3_url)))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    client = bucket_at(s3_url)
    yield client
    for key in keys(client):
        client.delete_object(Bucket="bucket", Key=key)


def keys(s3: Any) -> list[str]:
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket="bucket").get("Contents", [])]


def read(s3: Any, key: str, bucket: str = "bucket") -> bytes:
    body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if not path.name.startswith("kie-simulator-")]


def download(url: str, destination: str, **kwargs: Any) -> Any:
    operator = KieDownloadOperator(
        task_id="d", file_url=url, destination=destination, destination_conn_id="aws_store", **kwargs
    )
    return operator.execute({})


@pytest.mark.parametrize("size", [1000, 20_000_000], ids=["one part", "many parts"])
def test_a_file_comes_from_s3_and_goes_back(
    size: int, s3: Any, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    data = os.urandom(size)
    s3.put_object(Bucket="bucket", Key="in/movie.mp4", Body=data)
    upload = KieUploadOperator(
        task_id="u", source="s3://bucket/in/movie.mp4", source_conn_id="aws_store", upload_path="a"
    )
    uploaded: Any = upload.execute({})
    assert uploaded["source"] == "s3://bucket/in/movie.mp4"
    assert uploaded["file_size"] == size
    result = download(uploaded["download_url"], "s3://bucket/out/")
    assert result["path"] == f"s3://bucket/out/{uploaded['file_name']}"
    assert result["sha256"] == uploaded["sha256"]
    assert read(s3, f"out/{uploaded['file_name']}") == data
    assert left_in(tmp_path / "tmp") == []


def test_what_exists_is_kept_or_refused_or_overwritten(s3: Any, kie_simulator: KieSimulator) -> None:
    url = kie_simulator.add_generated_file("a.bin", b"new")
    s3.put_object(Bucket="bucket", Key="a.bin", Body=b"older")
    assert download(url, "s3://bucket/a.bin", if_exists="skip")["size"] == 5
    with pytest.raises(FileExistsError, match=r"s3://bucket/a\.bin"):
        download(url, "s3://bucket/a.bin", if_exists="fail")
    assert kie_simulator.requests == []
    download(url, "s3://bucket/a.bin")
    assert read(s3, "a.bin") == b"new"


def test_a_prefix_that_exists_is_a_folder(s3: Any, kie_simulator: KieSimulator) -> None:
    s3.put_object(Bucket="bucket", Key="out/other.bin", Body=b"x")
    url = kie_simulator.add_generated_file("a.bin", b"new")
    assert download(url, "s3://bucket/out")["path"] == "s3://bucket/out/a.bin"
    assert read(s3, "out/a.bin") == b"new"


def test_many_files_go_into_a_prefix(s3: Any, kie_simulator: KieSimulator) -> None:
    urls: Any = [kie_simulator.add_generated_file("a.bin", bytes([number])) for number in range(5)]
    results = download(urls, "s3://bucket/new", max_concurrency=3)
    assert [result["path"] for result in results][:2] == ["s3://bucket/new/a.bin", "s3://bucket/new/a-2.bin"]
    assert [read(s3, result["path"].removeprefix("s3://bucket/")) for result in results] == [
        bytes([number]) for number in range(5)
    ]


def test_a_transfer_that_fails_leaves_the_bucket_as_it_was(
    s3: Any, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    s3.put_object(Bucket="bucket", Key="a.bin", Body=b"old")
    url = kie_simulator.add_generated_file("a.bin", os.urandom(1_000_000))
    for key in ("a.bin", "b.bin"):
        kie_simulator.fail_next("file", drop_after=1000)
        kie_simulator.fail_next("file", drop_after=0, times=5)
        with pytest.raises(KieConnectionError):
            download(url, f"s3://bucket/{key}")
        kie_simulator.reset()
    assert keys(s3) == ["a.bin"]
    assert read(s3, "a.bin") == b"old"
    assert left_in(tmp_path / "tmp") == []


@pytest.mark.parametrize("failing", ["UploadPart", "CompleteMultipartUpload", "PutObject"])
def test_a_storage_that_fails_on_the_way_shows_nothing(
    failing: str, s3: Any, kie_simulator: KieSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs: Any = ObjectStoragePath("s3://bucket/a.bin", conn_id="aws_store").fs
    real = fs._call_s3

    async def call(self: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        name = "".join(part.capitalize() for part in method.split("_"))
        if name == failing:
            raise OSError("the storage is gone")
        return await real(method, *args, **kwargs)

    monkeypatch.setattr(type(fs), "_call_s3", call)
    s3.put_object(Bucket="bucket", Key="a.bin", Body=b"old")
    size = 1000 if failing == "PutObject" else 20_000_000
    url = kie_simulator.add_generated_file("a.bin", os.urandom(size))
    with pytest.raises(OSError, match="the storage is gone"):
        download(url, "s3://bucket/a.bin")
    assert keys(s3) == ["a.bin"]
    assert read(s3, "a.bin") == b"old"
    assert s3.list_multipart_uploads(Bucket="bucket").get("Uploads", []) == []
    assert left_in(tmp_path / "tmp") == []


def test_a_missing_object_is_named(s3: Any, kie_simulator: KieSimulator) -> None:
    upload = KieUploadOperator(
        task_id="u", source="s3://bucket/no.bin", source_conn_id="aws_store", upload_path="a"
    )
    with pytest.raises(FileNotFoundError, match=r"s3://bucket/no\.bin"):
        upload.execute({})
    assert kie_simulator.requests == []


def test_a_missing_bucket_is_named_before_anything_moves(s3: Any, kie_simulator: KieSimulator) -> None:
    url = kie_simulator.add_generated_file("a.bin", b"new")
    for destination in ("s3://no-such-bucket/a.bin", "s3://no-such-bucket/", "s3://no-such-bucket"):
        with pytest.raises(FileNotFoundError, match="there is no bucket 'no-such-bucket'"):
            download(url, destination)
    upload = KieUploadOperator(
        task_id="u", source="s3://no-such-bucket/a.bin", source_conn_id="aws_store", upload_path="a"
    )
    with pytest.raises(FileNotFoundError, match="there is no bucket 'no-such-bucket'"):
        upload.execute({})
    assert kie_simulator.requests == []


def test_a_bucket_is_a_folder(s3: Any, kie_simulator: KieSimulator) -> None:
    url = kie_simulator.add_generated_file("a.bin", b"new")
    assert download(url, "s3://bucket")["path"] == "s3://bucket/a.bin"
    assert read(s3, "a.bin") == b"new"


@pytest.mark.parametrize("size", [1000, 1_000_000])
def test_who_may_only_put_objects_needs_no_more(size: int, s3: Any, kie_simulator: KieSimulator) -> None:
    bucket = f"put-only-{size}"
    s3.create_bucket(Bucket=bucket)
    fs: Any = ObjectStoragePath("s3://bucket/a.bin", conn_id="aws_store").fs
    refused: list[str] = []

    def refuse(model: Any, **_: Any) -> None:
        if model.name not in ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"):
            refused.append(model.name)
            error = {"Code": "AccessDenied", "Message": "Access Denied"}
            raise s3.exceptions.ClientError({"Error": error}, model.name)

    data = os.urandom(size)
    url = kie_simulator.add_generated_file("a.bin", data)
    fs.s3.meta.events.register("before-call.s3", refuse)
    try:
        for destination in (f"s3://{bucket}/out/a.bin", f"s3://{bucket}", f"s3://{bucket}/out/"):
            download(url, destination)
    finally:
        fs.s3.meta.events.unregister("before-call.s3", refuse)
    assert read(s3, "out/a.bin", bucket) == read(s3, "a.bin", bucket) == data
    # The bucket is asked for once in a process, not for each file.
    assert sorted(refused) == ["HeadBucket", "ListObjectsV2"]


def test_what_a_storage_was_told_of_objects_goes_for_ours(
    s3: Any, kie_simulator: KieSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs: Any = ObjectStoragePath("s3://bucket/a.bin", conn_id="aws_store").fs
    monkeypatch.setattr(fs, "s3_additional_kwargs", {"StorageClass": "STANDARD_IA"})
    for size in (1000, 1_000_000):
        url = kie_simulator.add_generated_file(f"{size}.bin", os.urandom(size))
        download(url, "s3://bucket/")
        assert s3.head_object(Bucket="bucket", Key=f"{size}.bin")["StorageClass"] == "STANDARD_IA"


def test_an_upload_that_cannot_be_aborted_is_told(
    s3: Any,
    kie_simulator: KieSimulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    fs: Any = ObjectStoragePath("s3://bucket/a.bin", conn_id="aws_store").fs
    real = fs._call_s3

    async def call(self: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        if method in ("upload_part", "abort_multipart_upload"):
            raise OSError(f"no {method}")
        return await real(method, *args, **kwargs)

    monkeypatch.setattr(type(fs), "_call_s3", call)
    url = kie_simulator.add_generated_file("a.bin", os.urandom(1_000_000))
    with pytest.raises(OSError, match="no upload_part"):
        download(url, "s3://bucket/out/a.bin")
    assert "An unfinished upload of out/a.bin stays in bucket bucket" in caplog.text
    assert left_in(tmp_path / "tmp") == []
    monkeypatch.undo()
    for upload in s3.list_multipart_uploads(Bucket="bucket")["Uploads"]:
        s3.abort_multipart_upload(Bucket="bucket", Key=upload["Key"], UploadId=upload["UploadId"])


def test_an_object_is_read_in_small_blocks(
    s3: Any, kie_simulator: KieSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs: Any = ObjectStoragePath("s3://bucket/a.bin", conn_id="aws_store").fs
    ranges: list[str] = []
    real = fs._call_s3

    async def call(self: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        if method == "get_object":
            ranges.append(kwargs.get("Range") or args[0]["Range"])
        return await real(method, *args, **kwargs)

    monkeypatch.setattr(type(fs), "_call_s3", call)
    s3.put_object(Bucket="bucket", Key="a.bin", Body=os.urandom(12_000_000))
    KieUploadOperator(
        task_id="u", source="s3://bucket/a.bin", source_conn_id="aws_store", upload_path="a"
    ).execute({})
    sizes = [
        int(end) - int(start) for start, end in (text.removeprefix("bytes=").split("-") for text in ranges)
    ]
    assert len(sizes) >= 3
    assert max(sizes) <= 6 * 1024 * 1024


@pytest.mark.parametrize(
    "source", ["s3://bucket/in/", "s3://bucket/in/*.png", "s3://aws_store@bucket/in/*.png"]
)
def test_a_folder_or_a_pattern_in_s3_goes_up(source: str, s3: Any, kie_simulator: KieSimulator) -> None:
    for key in ("in/", "in/a.png", "in/b #1.png", "in/deep/c.png", "in/.hidden.png", "inner/d.png"):
        s3.put_object(Bucket="bucket", Key=key, Body=b"x" if not key.endswith("/") else b"")
    conn_id = None if "@" in source else "aws_store"
    operator = KieUploadOperator(task_id="u", source=source, source_conn_id=conn_id, upload_path="a")
    uploaded: Any = operator.execute({})
    folder = source.rpartition("/")[0]
    assert [result["source"] for result in uploaded] == [f"{folder}/a.png", f"{folder}/b #1.png"]


def test_a_folder_in_s3_that_is_no_folder_is_an_error(s3: Any, kie_simulator: KieSimulator) -> None:
    s3.put_object(Bucket="bucket", Key="in/a.png", Body=b"x")
    for source in ("s3://bucket/out/", "s3://bucket/in/a.png/", "s3://nowhere/in/*.png"):
        operator = KieUploadOperator(task_id="u", source=source, source_conn_id="aws_store", upload_path="a")
        with pytest.raises(FileNotFoundError):
            operator.execute({})
    slashless = KieUploadOperator(
        task_id="u", source="s3://bucket/in", source_conn_id="aws_store", upload_path="a"
    )
    with pytest.raises(IsADirectoryError, match="take one, for the files in it, given as s3://bucket/in/"):
        slashless.execute({})
    assert kie_simulator.requests == []
