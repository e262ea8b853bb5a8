"""Submitting jobs to the simulator and reading their records, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx

from airflow_provider_kie.simulator import KieSimulator

INPUT = {"prompt": "a fox"}


def submit(kie: KieSimulator, web: httpx.Client, model: str = "a/model", **more: Any) -> dict[str, Any]:
    body = {"model": model, "input": INPUT, **more}
    answer: dict[str, Any] = web.post(f"{kie.api_url}/api/v1/jobs/createTask", json=body).json()
    return answer


def submitted(kie: KieSimulator, web: httpx.Client, model: str = "a/model", **more: Any) -> str:
    answer = submit(kie, web, model, **more)
    assert (answer["code"], answer["msg"]) == (200, "success")
    return str(answer["data"]["taskId"])


def record(kie: KieSimulator, web: httpx.Client, job_id: str) -> dict[str, Any]:
    answer = web.get(f"{kie.api_url}/api/v1/jobs/recordInfo", params={"taskId": job_id}).json()
    assert (answer["code"], answer["msg"]) == (200, "success")
    data: dict[str, Any] = answer["data"]
    return data
