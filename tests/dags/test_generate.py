"""What a job gives goes on into the next tasks, mapped or as a list, on either way of waiting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_provider_kie.operators.files import KieDownloadOperator
from airflow_provider_kie.operators.jobs import KieGenerateOperator
from airflow_provider_kie.sensors.jobs import KieJobSensor
from airflow_provider_kie.simulator import KieSimulator

RunDag = Callable[..., Any]


@pytest.mark.parametrize("deferrable", [True, False])
def test_mapped_jobs_give_lists_of_files(
    deferrable: bool, run_dag: RunDag, returned: RunDag, kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    kie_simulator.add_model("suno", seconds=0.1, files={"1.mp3": b"first", "2.mp3": b"second"})
    destination = f"{tmp_path}/{{{{ ti.map_index }}}}/"
    with DAG(f"kie_songs_{deferrable}", schedule=None) as dag:

        @task
        def count(urls: list[list[str]]) -> list[int]:
            return [len(one) for one in urls]

        generate: Any = KieGenerateOperator.partial(
            task_id="generate", api="suno", model="V5", deferrable=deferrable
        ).expand(input=[{"prompt": "a song"}, {"prompt": "another"}])
        KieDownloadOperator.partial(task_id="download", destination=destination).expand(
            file_url=generate.output.map(lambda job: job["urls"])
        )
        count(generate.output["urls"])
    run = run_dag(dag)

    assert run.state == "success"
    assert returned(run, "count") == [2, 2]
    # Suno's records do not say what a job costs.
    assert [returned(run, "generate", index)["credits"] for index in (0, 1)] == [None, None]
    for index in (0, 1):
        paths = [Path(each["path"]) for each in returned(run, "download", index)]
        assert {path.parent.name for path in paths} == {str(index)}
        assert [path.read_bytes() for path in paths] == [b"first", b"second"]
    assert len(kie_simulator.jobs) == 2


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_sensor_waits_for_what_another_task_submitted(
    deferrable: bool, run_dag: RunDag, returned: RunDag, kie_simulator: KieSimulator
) -> None:
    kie_simulator.add_model("image", seconds=0.3, credits=3)
    with DAG(f"kie_apart_{deferrable}", schedule=None) as dag:
        submit: Any = KieGenerateOperator(
            task_id="submit", model="image", input={"prompt": "a cat"}, wait_for_completion=False
        )
        KieJobSensor(task_id="wait", job_id=submit.output["job_id"], deferrable=deferrable, poke_interval=0.1)
    run = run_dag(dag)

    assert run.state == "success"
    submitted, done = returned(run, "submit"), returned(run, "wait")
    assert (submitted["state"], submitted["urls"], done["state"]) == ("waiting", [], "success")
    assert submitted["job_id"] == done["job_id"]
    assert (len(done["urls"]), done["credits"]) == (1, 3)
    assert submitted.keys() == done.keys()
