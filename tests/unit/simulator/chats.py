"""Chatting with the simulator over HTTP."""

from __future__ import annotations

import json
from typing import Any

import httpx

from airflow_provider_kie.simulator import KieSimulator

MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Which foxes are red?"},
]
TEXT = "Which foxes are red?"


def ask(kie: KieSimulator, web: httpx.Client, name: str = "a-model", /, **more: Any) -> httpx.Response:
    url = f"{kie.api_url}/{name}/v1/chat/completions"
    return web.post(url, json={"messages": MESSAGES, **more})


def ask_for_stream(kie: KieSimulator, web: httpx.Client, name: str = "a-model", /, **more: Any) -> list[str]:
    answer = ask(kie, web, name, stream=True, **more)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert answer.text == "" or answer.text.endswith("\n\n")
    events = answer.text.split("\n\n")[:-1]
    assert all(event.startswith("data: ") for event in events)
    return [event.removeprefix("data: ") for event in events]


def chunks_of(events: list[str]) -> list[dict[str, Any]]:
    return [json.loads(event) for event in events if event != "[DONE]"]


def deltas_of(events: list[str]) -> list[dict[str, Any]]:
    return [choice["delta"] for chunk in chunks_of(events) for choice in chunk.get("choices", ())]
