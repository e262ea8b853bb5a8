"""Signatures of callbacks, made by OpenSSL, kie.ai's documents and the simulator; read by our client."""

from __future__ import annotations

import base64
import json
import shutil
import ssl
import subprocess
import time

import pytest

from airflow_provider_kie.client.api.families import FAMILIES
from airflow_provider_kie.client.errors import KieSignatureError
from airflow_provider_kie.client.webhooks import verify_callback
from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.simulator import KieSimulator
from tests.fake_host import FakeHost, http

KEY = "a published key, for these vectors only"
# Key, job, timestamp, signature; made by `openssl dgst -sha256 -hmac`.
VECTORS = [
    (KEY, "ee9c2715375b7837f8bb51d641ff5863", "1769670760", "FSGpxujAdRtjM21EZjqBhi2U6AeURu/JClwhGZHrZQ8="),
    (KEY, "veo_task_abc-123:4.0", "1769670760", "07Dq9BD2Xj5CqCpc7IZmtOCzfv22vzUnNiZ9qwR6kE0="),
    (KEY, "A" * 200, "4102444800", "5FEMISS0KDMWzGw9DaJYOECidGXsQ/C3HrFNvtgwo18="),
    ("k\u013e\u00fa\u010d", "a", "1769670760", "ItkhhzvS7arWlCtR0kjEWB2TyXKzvB+qhKC0iUbc9qk="),
    ("k", "a", "1769670760", "qpMHvjV/vE2FnysH4WmFoB/HcjFe8/YYRsbyqPVCBa8="),
]


def headers(timestamp: str, signature: str) -> dict[str, str]:
    return {"X-Webhook-Timestamp": timestamp, "X-Webhook-Signature": signature}


@pytest.mark.parametrize(("key", "job_id", "timestamp", "signature"), VECTORS)
def test_a_signature_made_by_the_formula_is_right(
    key: str, job_id: str, timestamp: str, signature: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_kie.client.webhooks.time.time", lambda: float(timestamp))
    body = json.dumps({"code": 200, "data": {"taskId": job_id}}).encode()
    assert verify_callback(headers(timestamp, signature), body, key) == job_id
    for other in ("A" + signature[1:], signature[:-2] + "A="):
        with pytest.raises(KieSignatureError, match="signature is wrong"):
            verify_callback(headers(timestamp, other), body, key)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize(("key", "job_id", "timestamp", "signature"), VECTORS)
def test_openssl_makes_the_same_signature(key: str, job_id: str, timestamp: str, signature: str) -> None:
    command = ["openssl", "dgst", "-sha256", "-hmac", key, "-binary"]
    made = subprocess.run(command, input=f"{job_id}.{timestamp}".encode(), capture_output=True, check=True)
    assert base64.b64encode(made.stdout).decode() == signature


def test_the_documents_example_is_well_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Its key is not published.
    monkeypatch.setattr("airflow_provider_kie.client.webhooks.time.time", lambda: 1769670760.0)
    body = b'{"code":200,"msg":"success","data":{"task_id":"ee9c2715375b7837f8bb51d641ff5863"}}'
    example = headers("1769670760", "KxDlpbbq0GDOKqm0+FuJpJWTzY8baHSjhEt4kwElqQI=")
    with pytest.raises(KieSignatureError, match="signature is wrong"):
        verify_callback(example, body, KEY)


@pytest.mark.parametrize("fail", [None, 500])
@pytest.mark.parametrize("api", FAMILIES)
def test_every_callback_of_each_family_is_accepted(
    api: str,
    fail: int | None,
    kie: KieSimulator,
    server_tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", kie.connection())
    kie.webhook_key = KEY
    family = FAMILIES[api]
    for name in (api, "any"):
        kie.add_model(name, seconds=0, fail=fail)
    several = family.record == FAMILIES["suno"].record and not fail
    with FakeHost([http(b"")] * 3, tls=server_tls) as receiver:
        url = receiver.url.replace("127.0.0.1", "localhost")
        model = "any" if family.has_model else None
        job_id = KieHook().submit_job({"prompt": "a fox"}, model=model, api=api, callback_url=url)
        deadline = time.monotonic() + 10
        while len(kie.callbacks) < (3 if several else 1):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert [callback.status for callback in kie.callbacks] == [200] * len(receiver.requests)
    for request in receiver.requests:
        assert verify_callback(request.headers, bytes(request.body), KEY) == job_id
        with pytest.raises(KieSignatureError, match="signature is wrong"):
            verify_callback(request.headers, bytes(request.body), KEY + "!")
