"""The example that chats, paints and chats again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_provider_kie.simulator import KieSimulator

RunDag = Callable[..., Any]


def test_what_one_model_writes_the_other_paints_and_the_first_describes(
    run_dag: RunDag, returned: RunDag, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    kie_simulator.add_chat_model("gemini-2.5-flash", credits=0.5)
    kie_simulator.add_model("bytedance/seedream", seconds=0.1, credits=4, files={"cat.png": b"a cat"})
    run = run_dag("kie_picture", topic="a cat", outbox=str(tmp_path))

    assert run.state == "success"
    prompt = returned(run, "write_prompt")["text"]
    assert prompt
    (job,) = kie_simulator.jobs
    assert job.input["prompt"] == prompt
    written, described = kie_simulator.chats
    assert [message["role"] for message in written.messages] == ["system", "user"]
    assert written.body["temperature"] == 0.9
    (content,) = (message["content"] for message in described.messages)
    assert content[1]["image_url"]["url"] == job.urls[0]
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in folder.iterdir()} == {"caption.json", Path(job.urls[0]).name}
    caption = json.loads((folder / "caption.json").read_text())
    assert caption == returned(run, "describe")["parsed"]
    assert returned(run, "save") == 5
    assert kie_simulator.credits == 95
