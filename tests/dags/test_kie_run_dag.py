"""The fixture ``kie_run_dag``: each run is of a fresh DAG, each test in a database of its own."""

from __future__ import annotations

import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from textwrap import dedent

import pytest

from airflow_provider_kie.simulator import KieSimulator
from airflow_provider_kie.testing.dag_runs import DagRunner

Write = Callable[..., Path]
PREAMBLE = """
from airflow.sdk import DAG, Asset, Param, task

@task
def one():
    return 1
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file below the folder ``dags``, which begins with what most need."""

    def write(text: str, name: str = "a_dag.py") -> Path:
        path = tmp_path / "dags" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{PREAMBLE}\n{dedent(text)}")
        return path

    return write


def test_each_run_has_the_params_of_the_file(kie_run_dag: DagRunner, write: Write) -> None:
    write("SIZE = Param(1, type='integer')", "common.py")
    dag = write("""
        from common import SIZE

        with DAG("sizes", schedule=None, params={"size": SIZE}):
            @task
            def size(params):
                return params["size"]

            size()
    """)
    sizes = [kie_run_dag(dag, conf=conf).xcom("size") for conf in (None, {"size": 5}, None)]
    assert sizes == [1, 5, 1]


def test_ctrl_c_ends_the_session_and_not_the_task(kie_run_dag: DagRunner, write: Write) -> None:
    dag = write("""
        with DAG("interrupted", schedule=None):
            @task(retries=3)
            def interrupted():
                raise KeyboardInterrupt

            interrupted()
    """)
    with pytest.raises(KeyboardInterrupt):
        kie_run_dag(dag)


def test_a_failed_run_says_why(kie_run_dag: DagRunner, write: Write) -> None:
    dag = write("""
        with DAG("fails", schedule=None):
            @task
            def refuse():
                raise ValueError("Not this one")

            @task
            def rest():
                return {"key": "pushed"}

            refuse() >> rest()
    """)
    run = kie_run_dag(dag)
    assert run.state == "failed"
    assert run.states == {"refuse": "failed", "rest": "upstream_failed"}
    assert isinstance(run.errors["refuse"], ValueError)
    assert run.xcom("rest") is None
    assert repr(run) == "<fails failed; refuse: Not this one>"


def test_the_log_has_what_tasks_log_either_way_without_colours(kie_run_dag: DagRunner, write: Write) -> None:
    dag = write("""
        import logging
        import structlog

        with DAG("logs", schedule=None):
            @task
            def log():
                logging.getLogger("mine").info("by %s", "logging")
                structlog.get_logger("mine").info("by structlog")

            log()
    """)
    first, second = kie_run_dag(dag).log, kie_run_dag(dag).log
    for log in (first, second):
        assert [len(re.findall(words, log)) for words in ("by logging", "by structlog", "\x1b")] == [1, 1, 0]


def test_retries_follow_at_once_and_what_they_mend_is_no_error(
    kie_run_dag: DagRunner, write: Write, tmp_path: Path
) -> None:
    dag = write(f"""
        from pathlib import Path

        with DAG("flaky", schedule=None, default_args={{"retries": 2}}):
            @task
            def flaky(name):
                with Path({str(tmp_path)!r}, name).open("a") as tries:
                    tries.write("x")
                    if tries.tell() < 3:
                        raise OSError("Not yet")

            flaky.expand(name=["a", "b"])
    """)
    run = kie_run_dag(dag)
    assert run.states == {"flaky[0]": "success", "flaky[1]": "success"}
    assert run.errors == {}
    assert (tmp_path / "a").read_text() == "xxx"


def test_sensors_are_deferred_and_tasks_mapped(
    kie_run_dag: DagRunner, write: Write, kie_simulator: KieSimulator
) -> None:
    dag = write("""
        from airflow_provider_kie.sensors.credits import KieCreditsSensor

        with DAG("waits", schedule=None):
            wait = KieCreditsSensor(task_id="wait", threshold=50, poke_interval=0.05, deferrable=True)

            @task
            def double(number):
                return number * 2

            wait >> double.expand(number=[1, 2])
    """)
    kie_simulator.credits = 10
    kie_simulator.fail_next("credit", body='{"code":200,"msg":"success","data":10}', times=2)
    kie_simulator.credits = 60
    run = kie_run_dag(dag)
    assert run.states == {"wait": "success", "double[0]": "success", "double[1]": "success"}
    assert [run.xcom("double", map_index=index) for index in (0, 1)] == [2, 4]
    assert len(kie_simulator.requests) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        "schedule=None, is_paused_upon_creation=True",
        "schedule=[Asset('photos')]",
        "schedule='@daily', catchup=False",
    ],
)
def test_no_dag_waits_for_its_schedule(arguments: str, kie_run_dag: DagRunner, write: Write) -> None:
    dag = write(f"""
        with DAG("scheduled", {arguments}):
            one()
    """)
    assert kie_run_dag(dag).xcom("one") == 1


def test_options_are_those_of_airflow(kie_run_dag: DagRunner, write: Write) -> None:
    dag = write("""
        with DAG("dated", schedule="@daily", catchup=False):
            @task
            def day(ds=None):
                return ds

            @task
            def costly():
                raise RuntimeError

            day() >> costly()
    """)
    from airflow.sdk import timezone

    run = kie_run_dag(dag, logical_date=timezone.datetime(2026, 1, 2), mark_success_pattern="costly")
    assert run.states == {"day": "success", "costly": "success"}
    assert run.xcom("day") == "2026-01-02"


def test_one_of_several_dags_is_named(kie_run_dag: DagRunner, write: Write) -> None:
    dags = write("""
        for number in (1, 2):
            with DAG(f"dag_{number}", schedule=None):
                @task
                def which(number=number):
                    return number

                which()
    """)
    assert kie_run_dag(dags, "dag_2").xcom("which") == 2
    for unclear in (None, "dag_3"):
        with pytest.raises(
            ValueError, match=r"a_dag\.py has these DAGs: dag_1, dag_2\. Say which with dag_id"
        ):
            kie_run_dag(dags, unclear)
    with pytest.raises(ValueError, match=r"empty\.py has these DAGs: none\."):
        kie_run_dag(write("", "empty.py"))


def test_a_dag_that_does_not_import_shows_where(kie_run_dag: DagRunner, write: Write) -> None:
    write("def parse(text):\n    return int(text)\n", "parsing.py")
    dag = write("""
        from parsing import parse

        LIMIT = parse("ten")
    """)
    with pytest.raises(pytest.fail.Exception, match="does not import") as raised:
        kie_run_dag(dag)
    for words in ('LIMIT = parse("ten")', "return int(text)", "invalid literal for int"):
        assert words in str(raised.value)


def test_warnings_count_while_a_dag_is_imported_and_not_while_it_runs(
    kie_run_dag: DagRunner, write: Write
) -> None:
    warns = "import warnings\n\nwarnings.warn('old', DeprecationWarning)\n"
    with pytest.raises(pytest.fail.Exception, match="DeprecationWarning: old"):
        kie_run_dag(write(warns))
    write(warns, "old_module.py")
    dag = write("""
        with DAG("warns", schedule=None):
            @task
            def use():
                import old_module

            use()
    """)
    assert kie_run_dag(dag).state == "success"


def test_a_file_is_found_from_the_folder_of_the_test_or_one_above(
    write: Write, tmp_path: Path, kie_run_dag: DagRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("""
        with DAG("found", schedule=None):
            pass
    """)
    below = tmp_path / "tests" / "dags"
    below.mkdir(parents=True)
    from_below = DagRunner(below, monkeypatch, print)
    assert from_below("dags/a_dag.py").dag_id == "found"
    with pytest.raises(FileNotFoundError, match=rf"b_dag\.py is neither in {below} nor in a folder above it"):
        from_below("dags/b_dag.py")


def test_imports_begin_at_the_folder_of_the_dags(kie_run_dag: DagRunner, write: Write) -> None:
    write("NAME = 'shared'", "library/names.py")
    dag = write(
        """
        from airflow.configuration import conf
        from library.names import NAME

        with DAG("imports", schedule=None):
            @task
            def name():
                from library.names import NAME as again

                return [NAME, again, conf.get("core", "dags_folder")]

            name()
    """,
        "team/a_dag.py",
    )
    assert kie_run_dag(dag).xcom("name") == ["shared", "shared", str(dag.parent.parent)]


@pytest.mark.parametrize("name", ["first", "second"])
def test_each_test_reads_modules_anew_and_sees_no_runs_of_others(
    name: str, kie_run_dag: DagRunner, write: Write
) -> None:
    from airflow.models.dagrun import DagRun

    write(f"NAME = {name!r}", "beside_the_dag.py")
    dag = write("""
        from beside_the_dag import NAME

        with DAG("names", schedule=None):
            @task
            def name():
                return NAME

            name()
    """)
    assert "beside_the_dag" not in sys.modules
    assert kie_run_dag(dag).xcom("name") == name
    assert len(DagRun.find("names")) == 1


def left_alone() -> list[object]:
    """What belongs to the whole process."""
    from airflow import settings

    of_airflow = [str(getattr(settings.engine, "url", "")), settings.DAGS_FOLDER, os.environ["AIRFLOW_HOME"]]
    return [*of_airflow, sys.path, signal.getsignal(signal.SIGTERM), warnings.filters]


@pytest.fixture
def before() -> Iterator[list[object]]:
    before = deepcopy(left_alone())
    yield before
    assert left_alone() == before


def test_all_is_as_before_when_the_test_is_over(
    before: list[object], kie_run_dag: DagRunner, write: Write
) -> None:
    dag = write("""
        with DAG("changes", schedule=None):
            one()
    """)
    kie_run_dag(dag)
    assert left_alone()[0] != before[0]
