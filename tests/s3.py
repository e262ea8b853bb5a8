"""What the tests that talk to an S3 of their own share; see the fixture ``s3_url``."""

from __future__ import annotations

from typing import Any


def connection_to(url: str) -> dict[str, Any]:
    """
    Describe an S3 as an Airflow connection.

    :param url: Where it is.
    :return: The connection's fields.
    """
    extra = {"endpoint_url": url, "region_name": "us-east-1"}
    return {"conn_type": "aws", "login": "someone", "password": "something", "extra": extra}


def bucket_at(url: str, name: str = "bucket") -> Any:
    """
    Make a bucket.

    :param url: Where the S3 is.
    :param name: The bucket's.
    :return: A client of boto3.
    """
    # Slow to import, and not always needed.
    import boto3

    keys = {"aws_access_key_id": "someone", "aws_secret_access_key": "something"}
    client = boto3.client("s3", **connection_to(url)["extra"], **keys)
    client.create_bucket(Bucket=name)
    return client
