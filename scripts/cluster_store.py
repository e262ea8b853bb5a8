"""The files that the cluster test moves, in an S3 that remembers every version of every object."""

from __future__ import annotations

import os
from typing import Any

import boto3

BUCKET = "kie"
# Small ones go as base64, larger ones are streamed, and the largest come back in several parts.
SIZES = [20_000] * 88 + [1_500_000] * 8 + [20_000_000] * 4


class Store:
    """
    The bucket.

    :param url: Address of the S3.
    """

    def __init__(self, url: str) -> None:
        self._s3: Any = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="someone",
            aws_secret_access_key="something",  # noqa: S106 - moto takes any
        )
        self._s3.create_bucket(Bucket=BUCKET)
        # Half an object that a whole one replaces later would go unnoticed otherwise.
        self._s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        self.connection = {
            "conn_type": "aws",
            "login": "someone",
            "password": "something",
            "extra": {"endpoint_url": url, "region_name": "us-east-1"},
        }

    def fill(self) -> list[bytes]:
        """Put the files into the folder ``in``; give them in the order of their names."""
        files = [os.urandom(size) for size in SIZES]
        # The large ones are spread, so that some are under way whenever a worker dies.
        order = sorted(range(len(files)), key=lambda number: number * 7919 % len(files))
        files = [files[number] for number in order]
        for number, data in enumerate(files):
            self._s3.put_object(Bucket=BUCKET, Key=f"in/{number:03}.bin", Body=data)
        return files

    def versions(self, folder: str) -> dict[str, list[bytes]]:
        """Read all versions of all objects in a folder."""
        found: dict[str, list[bytes]] = {}
        for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET, Prefix=folder):
            for version in page.get("Versions", []):
                key = version["Key"]
                body = self._s3.get_object(Bucket=BUCKET, Key=key, VersionId=version["VersionId"])["Body"]
                found.setdefault(key, []).append(body.read())
        return found

    def unfinished(self) -> list[str]:
        """List the objects of which some parts have been sent and never put together."""
        return [one["Key"] for one in self._s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]
