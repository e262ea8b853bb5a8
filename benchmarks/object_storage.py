"""
Peak memory of a download into S3, for a small and a large file: ``python -m benchmarks.object_storage``.

The S3 is moto's server and the kie.ai the simulator, both in processes of their own.
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

SIZES = {"1 KB": 1000, "1 GB": 1024**3}


def main() -> None:
    """Measure each size in a fresh process and print the peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transfer", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.transfer:
        transfer(options.transfer)
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
            peaks[name] = measure(folder, url, kie.connection(), endpoint)
            print(f"{name}: {peaks[name]:.0f} MB at the most", flush=True)
    print(f"1 GB takes {peaks['1 GB'] - peaks['1 KB']:.0f} MB more than 1 KB")


def measure(folder: str, url: str, connection: str, endpoint: str) -> float:
    """Download one file into S3 in a fresh process; give its peak memory in MB."""
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
    command = [sys.executable, "-m", "benchmarks.object_storage", "--transfer", url]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    return float(done.stdout.splitlines()[-1])


def transfer(url: str) -> None:
    """Download one file into S3 and print this process' peak memory."""
    from airflow.sdk import BaseHook, ObjectStoragePath

    from airflow_provider_kie.hooks.kie import KieHook

    assert BaseHook.get_connection("aws_default")  # noqa: S101
    ObjectStoragePath("s3://bucket", conn_id="aws_default").fs.makedirs("bucket", exist_ok=True)
    KieHook().download_file(url, "s3://bucket/out/", destination_conn_id="aws_default")
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
