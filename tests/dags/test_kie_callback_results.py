from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from airflow_provider_kie.simulator import KieSimulator
from tests.dags.asset_runs import run_to_its_end, runs_that_the_scheduler_makes

NAME = "kie_callback_results"


def ended(job_id: str, *urls: str, state: str = "success", reason: str | None = None) -> dict[str, Any]:
    """What the receiver says of a job."""
    return {"job_id": job_id, "api": "market", "state": state, "urls": urls, "reason": reason}


def make_events(session: Any, *events: dict[str, Any]) -> None:
    """Store events as ``POST /api/v2/assets/events`` does."""
    from airflow.assets.manager import asset_manager
    from airflow.models.asset import AssetModel

    asset = session.scalars(select(AssetModel).where(AssetModel.name == "kie_jobs")).one()
    for extra in events:
        asset_manager.register_asset_change(
            asset=asset, extra=extra | {"from_rest_api": True}, session=session
        )


def forget(session: Any) -> None:
    """Remove the events and runs of earlier tests."""
    from airflow.models.asset import AssetEvent
    from airflow.models.dagrun import DagRun

    for event in session.scalars(select(AssetEvent)).all():
        session.delete(event)
    for run in session.scalars(select(DagRun).where(DagRun.dag_id == NAME)).all():
        session.delete(run)


@pytest.fixture
def run_after(load_dag: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Give the run that some events start, at its end."""

    def run(*events: dict[str, Any], left_over: bool = False) -> Any:
        from airflow.utils.session import create_session

        dag = load_dag(NAME)
        with warnings.catch_warnings():
            # Airflow's own database code is not what is tested here.
            warnings.simplefilter("ignore")
            with create_session() as session:
                if not left_over:
                    forget(session)
                known = {run.run_id for run in runs_that_the_scheduler_makes(session, NAME)}
            with create_session() as session:
                make_events(session, *events)
            with create_session() as session:
                runs = runs_that_the_scheduler_makes(session, NAME)
            (made,) = [run for run in runs if run.run_id not in known]
            return run_to_its_end(dag, made, outbox=str(tmp_path))

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_one_run_fetches_the_files_of_all_jobs_that_were_announced_each_once(
    run_after: Callable[..., Any], states: Callable[..., Any], kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    files = [os.urandom(1000) for _ in range(3)]
    urls = [kie_simulator.add_generated_file(f"{number}.png", data) for number, data in enumerate(files)]
    first, second = ended("job-1", *urls[:2]), ended("job-2", urls[2])
    words = ended("job-3")

    run = run_after(first, second, first, words)
    assert run.state == "success"
    assert states(run) == {
        "ended_jobs": "success",
        "results": "success",
        "download[0]": "success",
        "download[1]": "success",
        "report_failures": "success",
    }
    got = contents(tmp_path)
    assert sorted(got.values()) == sorted(files)
    assert {name.split("/")[0] for name in got} == {"job-1", "job-2"}

    # After a restart the receiver does not know what it has told.
    fetched = len(kie_simulator.requests_to("file"))
    assert run_after(first, left_over=True).state == "success"
    assert contents(tmp_path) == got
    assert len(kie_simulator.requests_to("file")) == fetched


def test_a_failed_job_fails_the_run_and_the_files_of_the_others_come(
    run_after: Callable[..., Any],
    states: Callable[..., Any],
    kie_simulator: KieSimulator,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    url = kie_simulator.add_generated_file("a.png", b"a file")
    run = run_after(ended("job-1", state="failed", reason="a dead URL"), ended("job-2", url))
    assert run.state == "failed"
    assert states(run)["report_failures"] == "failed"
    assert list(contents(tmp_path).values()) == [b"a file"]
    assert "1 of 2 jobs failed: job-1: a dead URL" in capfd.readouterr().out


def test_jobs_without_files_are_a_quiet_run(
    run_after: Callable[..., Any], states: Callable[..., Any], kie_simulator: KieSimulator
) -> None:
    run = run_after(ended("job-1"))
    assert run.state == "success"
    assert states(run)["download"] == "skipped"
    assert kie_simulator.requests == []


def test_started_by_hand_it_fetches_what_is_missing_of_all_that_was_announced(
    run_after: Callable[..., Any], run_dag: Callable[..., Any], kie_simulator: KieSimulator, tmp_path: Path
) -> None:
    urls = [kie_simulator.add_generated_file(f"{number}.png", b"a file") for number in range(2)]
    for number, url in enumerate(urls):
        run_after(ended(f"job-{number}", url), left_over=number > 0)
    got = contents(tmp_path)
    (tmp_path / min(got)).unlink()
    fetched = len(kie_simulator.requests_to("file"))

    assert run_dag(NAME, dated=False, outbox=str(tmp_path)).state == "success"
    assert contents(tmp_path) == got
    assert len(kie_simulator.requests_to("file")) == fetched + 1
