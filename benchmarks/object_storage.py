"""
Peak memory of transfers into and out of S3: ``python -m benchmarks.object_storage``.

A download into S3 for a small and a large file; uploads of one and of many files from S3 at once, reading
ahead as far as we do and as far as s3fs does by itself. The S3 is moto's server and the kie.ai the simulator,
both in processes of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SIZES = {"1 KB": 1000, "1 GB": 1024**3}
UPLOADED = 100 * 1024**2
COUNTS = (1, 8)
# In MiB: ours, and s3fs's own.
READ_AHEAD = (5, 50)


def main() -> None:
    """Measure each case in a fresh process and print the peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--download", help=argparse.SUPPRESS)
    parser.add_argument("--upload", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.download:
        download(options.download)
        return
    if options.upload:
        upload(*options.upload)
        return
    from airflow_provider_kie.simulator import KieSimulator

    peaks = {}
    with (
        tempfile.TemporaryDirectory(prefix="kie-bench-") as folder,
        KieSimulator() as kie,
        s3_server() as endpoint,
    ):
        for name, size in SIZES.items():
            file = Path(folder) / "file.bin"
            with file.open("wb") as out:
                out.truncate(size)
            url = kie.add_generated_file(f"{size}.bin", file)
            peaks[name] = measure(folder, kie.connection(), endpoint, "--download", url)
            print(f"download of {name}: {peaks[name]:.0f} MB at the most", flush=True)
        print(f"1 GB takes {peaks['1 GB'] - peaks['1 KB']:.0f} MB more than 1 KB")
        for count in COUNTS:
            ours, plain = (
                measure(folder, kie.connection(), endpoint, "--upload", str(count), str(ahead))
                for ahead in READ_AHEAD
            )
            print(
                f"{count} uploads of 100 MiB at once: {ours:.0f} MB at the most,"
                f" {plain / ours:.1f} times as much with s3fs's own read-ahead",
                flush=True,
            )


def measure(folder: str, connection: str, endpoint: str, *case: str) -> float:
    """Transfer files in a fresh process; give its peak memory in MB."""
    aws = {
        "conn_type": "aws",
        "login": "someone",
        "password": "something",
        "extra": {"endpoint_url": endpoint, "region_name": "us-east-1"},
    }
    environment = os.environ | {
        "AIRFLOW_HOME": folder,
        "AIRFLOW_CONN_KIE_DEFAULT": connection,
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws),
    }
    command = [sys.executable, "-m", "benchmarks.object_storage", *case]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    return float(done.stdout.splitlines()[-1])


def download(url: str) -> None:
    """Download one file into S3 and print this process' peak memory."""
    from airflow_provider_kie.hooks.kie import KieHook

    bucket().makedirs("bucket", exist_ok=True)
    KieHook().download_file(url, "s3://bucket/out/", destination_conn_id="aws_default")
    print_peak()


def upload(count: int, ahead: int) -> None:
    """Upload one object as often as told at once, reading so many MiB ahead, and print the peak."""
    from airflow_provider_kie.files import storage
    from airflow_provider_kie.hooks.kie import KieHook

    storage._READ_AHEAD_BYTES = ahead * 1024**2
    source = "bucket/in/100.bin"
    if not bucket().exists(source):
        with bucket().open(source, "wb", block_size=8 * 1024**2) as out:
            for _ in range(UPLOADED // 1024**2):
                out.write(bytes(1024**2))
    KieHook().upload_files(
        [f"s3://{source}"] * count, "bench", source_conn_id="aws_default", max_concurrency=count
    )
    print_peak()


def bucket() -> Any:
    """Give the file system that the bucket is in."""
    from airflow.sdk import BaseHook, ObjectStoragePath

    assert BaseHook.get_connection("aws_default")  # noqa: S101
    return ObjectStoragePath("s3://bucket", conn_id="aws_default").fs


def print_peak() -> None:
    """Print the most memory that this process had, in MB."""
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)


@contextmanager
def s3_server() -> Iterator[str]:
    """Run moto's server until the block is left."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    main()
