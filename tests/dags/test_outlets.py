"""Asset events carry a task's result to the DAG that they start, on a real Airflow."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, task

from airflow_provider_kie.operators.chat import KieChatOperator
from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator
from airflow_provider_kie.operators.jobs import KieGenerateOperator
from airflow_provider_kie.simulator import KieSimulator
from tests.dags.asset_runs import run_to_its_end, runs_that_the_scheduler_makes

uploaded, made, fetched, answered = (Asset(f"kie_test_{name}") for name in ("up", "made", "back", "said"))


# As in another DAG file, which does not define the asset.
reference = Asset.ref(name=fetched.name)


def upstream(folder: Path, url: str) -> DAG:
    with DAG("outlets_upstream", schedule=None) as dag:
        up = KieUploadOperator(
            task_id="up", source=f"{folder}/*.png", upload_path="x", outlets=[uploaded], max_concurrency=1
        )
        make = KieGenerateOperator(
            task_id="make", model="demo/edit", input={"prompt": "x"}, deferrable=True, outlets=[made]
        )
        back = KieDownloadOperator(
            task_id="back", file_url=f"{url}", destination=f"{folder}/back/", outlets=[reference]
        )
        say = KieChatOperator(task_id="say", model="gemini-2.5-flash", prompt="Hello", outlets=[answered])
        up >> make >> back >> say
    return dag


def downstream() -> DAG:
    with DAG("outlets_downstream", schedule=[uploaded, made, fetched, answered]) as dag:

        @task
        def read(triggering_asset_events: Any = None) -> dict[str, Any]:
            return {asset.name: events[-1].extra for asset, events in triggering_asset_events.items()}

        read()
    return dag


def test_a_dag_reads_the_results_from_the_events_that_start_it(
    load_dag: Callable[..., Any],
    run_dag: Callable[..., Any],
    returned: Callable[..., Any],
    kie_simulator: KieSimulator,
    tmp_path: Path,
) -> None:
    from airflow.utils.session import create_session

    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"abc")
    url = kie_simulator.add_generated_file("c.png", b"abcd")
    after = load_dag(downstream())
    run = run_dag(upstream(tmp_path, url))
    assert run.state == "success"
    with warnings.catch_warnings():
        # Airflow's own database code is not what is tested here.
        warnings.simplefilter("ignore")
        with create_session() as session:
            [started] = runs_that_the_scheduler_makes(session, after.dag_id)
        read = returned(run_to_its_end(after, started), "read")
    assert read["kie_test_up"]["files"] == 2
    assert read["kie_test_up"]["size"] == 6
    assert [one["source"] for one in read["kie_test_up"]["results"]] == [
        f"{tmp_path}/a.png",
        f"{tmp_path}/b.png",
    ]
    assert read["kie_test_made"]["urls"] == returned(run, "make")["urls"]
    assert read["kie_test_made"]["credits"] > 0
    assert read["kie_test_back"]["path"] == f"{tmp_path}/back/c.png"
    assert read["kie_test_said"]["text"] == returned(run, "say")["text"]
    assert "raw" not in read["kie_test_said"]
