"""A call sent by either client, a file opened, over the network or a transport of the test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from airflow_provider_kie.client.call import Call
from airflow_provider_kie.client.client import AsyncKieClient, KieClient
from airflow_provider_kie.client.errors import (
    KieError,
)
from airflow_provider_kie.client.http.responses import FileResponse
from airflow_provider_kie.client.settings import KieSettings

Handler = Callable[[httpx.Request], httpx.Response]
Send = Callable[[KieSettings, Call[Any], Handler | None], Any]

CREDITS = b'{"code":200,"msg":"success","data":5916.25}'
SIGNED = "/file?X-Amz-Signature=s3cret"


def settings_of(url: str = "https://api.kie.ai", **more: Any) -> KieSettings:
    return KieSettings(
        **{"api_key": "a-key", "base_url": url, "upload_base_url": url, "timeout": 5.0, **more}
    )


def client_with(settings: KieSettings, handler: Handler | None) -> KieClient:
    return KieClient(settings, transport=httpx.MockTransport(handler) if handler else None)


def send_sync(settings: KieSettings, call: Call[Any], handler: Handler | None = None) -> Any:
    with client_with(settings, handler) as client:
        return client.send(call)


def send_async(settings: KieSettings, call: Call[Any], handler: Handler | None = None) -> Any:
    async def run() -> Any:
        transport = httpx.MockTransport(handler) if handler else None
        async with AsyncKieClient(settings, transport=transport) as client:
            return await client.send(call)

    return asyncio.run(run())


def body_of(response: FileResponse) -> bytes:
    return b"".join(response.pieces(None))


def refusal(client: KieClient, url: str) -> KieError:
    """Read a file that cannot be read, close the client and give the error."""

    def read() -> None:
        with client, client.open_file(url) as response:
            body_of(response)

    with pytest.raises(KieError) as caught:
        read()
    return caught.value
