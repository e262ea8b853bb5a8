"""A model writes a prompt, another paints it, the first says as JSON what there is to see. Costs credits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_kie.operators.chat import KieChatOperator
from airflow_provider_kie.operators.files import KieDownloadOperator
from airflow_provider_kie.operators.jobs import KieGenerateOperator

FOLDER = "{{ params.outbox }}/{{ run_id }}"

with DAG(
    "kie_picture",
    description="From a topic to a picture and its caption",
    schedule=None,
    catchup=False,
    params={
        "topic": Param("a cat on a bicycle", type="string"),
        "chat_model": Param("gemini-2.5-flash", type="string"),
        "image_model": Param("bytedance/seedream", type="string"),
        "outbox": Param("/tmp/kie/pictures", type="string"),
    },
    tags=["kie"],
) as dag:
    write_prompt = KieChatOperator(
        task_id="write_prompt",
        model="{{ params.chat_model }}",
        system="You write prompts for a painter: one sentence, in English, nothing else.",
        prompt="{{ params.topic }}",
        options={"temperature": 0.9},
    )
    paint = KieGenerateOperator(
        task_id="paint",
        model="{{ params.image_model }}",
        input={"prompt": write_prompt.output["text"]},
        deferrable=True,
    )

    describe = KieChatOperator(
        task_id="describe",
        model="{{ params.chat_model }}",
        messages=[
            {
                "role": "user",
                "content": [
                    {
                        "type": "text",
                        "text": 'Describe the picture as JSON: {"title": ..., "colours": [...]}',
                    },
                    {"type": "image_url", "image_url": {"url": "{{ ti.xcom_pull('paint')['urls'][0] }}"}},
                ],
            }
        ],
        options={"response_format": {"type": "json_object"}},
        output_type="json",
    )

    download = KieDownloadOperator(
        task_id="download", file_url=paint.output["urls"], destination=FOLDER + "/"
    )

    @task
    def save(folder: str, caption: dict[str, Any], *credits: float | None) -> float:
        """Write the caption beside the picture; return what all of it has cost."""
        path = Path(folder, "caption.json")
        path.write_text(json.dumps(caption, indent=2))
        return sum(filter(None, credits))

    cost = (write_prompt.output["credits"], paint.output["credits"], describe.output["credits"])
    paint >> describe
    download >> save(FOLDER, describe.output["parsed"], *cost)
