"""
Tasks that wait without having run: their rows are written as a worker's deferral has them written.

Run with an Airflow's environment, and ids of jobs as arguments: the tasks with even indexes wait for these,
the others for credits. Whatever is Airflow's own and not public is asked for here.
"""

from __future__ import annotations

import os
import sys
import time

from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.triggers.base import BaseTrigger
from airflow.utils.session import create_session

from airflow_provider_kie.triggers.credits import KieCreditsTrigger
from airflow_provider_kie.triggers.jobs import KieJobTrigger
from benchmarks.plain_jobs import PlainJobTrigger
from scripts.running import every_second

# About as many as workers on ten cores defer.
PER_SECOND = 20.0


def trigger_of(number: int, jobs: list[str]) -> BaseTrigger:
    """
    Make the trigger that a task waits with.

    :param number: The task's index.
    :param jobs: Their ids.
    :return: Ours, or what it is compared to.
    """
    ours, credits = os.environ["KIE_BENCH_KIND"] == "together", number // 2 + 1
    interval = float(os.environ["KIE_BENCH_INTERVAL"])
    if number % 2 == 0:
        return KieJobTrigger(jobs[number // 2]) if ours else PlainJobTrigger(jobs[number // 2])
    if ours:
        return KieCreditsTrigger(
            threshold=credits, condition="at_least", poke_interval=interval, kie_conn_id="kie_default"
        )
    from airflow.providers.http.triggers.http import HttpSensorTrigger

    return HttpSensorTrigger(endpoint=f"enough/{credits}", http_conn_id="gate", poke_interval=interval)


def main(jobs: list[str]) -> None:
    """
    Let all tasks wait.

    :param jobs: Ids of jobs.
    """
    for _ in every_second():
        with create_session() as session:
            ready = session.query(TaskInstance.id).filter_by(state="scheduled").order_by("map_index").all()
        if len(ready) >= 2 * len(jobs):
            break
    begun = time.monotonic()
    for number, (key,) in enumerate(ready):
        time.sleep(max(0.0, begun + number / PER_SECOND - time.monotonic()))
        with create_session() as session:
            trigger = Trigger.from_object(trigger_of(number, jobs))
            session.add(trigger)
            session.flush()
            task = session.get_one(TaskInstance, key)
            task.state, task.trigger_id, task.next_method = "deferred", trigger.id, "execute_complete"


if __name__ == "__main__":
    main(sys.argv[1:])
