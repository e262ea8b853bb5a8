"""Runs that asset events start, made as the scheduler makes them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select


def runs_that_the_scheduler_makes(session: Any, dag_id: str) -> list[Any]:
    """Let the scheduler look for events; give all runs of a DAG."""
    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.models.dagrun import DagRun
    from airflow.utils.sqlalchemy import prohibit_commit

    with prohibit_commit(session) as guard:
        SchedulerJobRunner(job=Job())._create_dagruns_for_dags(guard=guard, session=session)
    return list(session.scalars(select(DagRun).where(DagRun.dag_id == dag_id)).all())


def run_to_its_end(dag: Any, run: Any, **params: Any) -> Any:
    """Run what the scheduler has made, where ``dag.test()`` would make a run of its own."""

    def made_already(*, dag: Any, session: Any, **_: Any) -> Any:
        here = session.merge(run)
        here.dag, here.state = dag, "running"
        here.conf = params
        session.commit()
        return here

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airflow.models.dagrun.get_or_create_dagrun", made_already)
        return dag.test(logical_date=None)
