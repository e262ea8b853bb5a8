"""DAGs run in a test as ``airflow dags test`` runs them: read from their file each time, to their end."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow.sdk import DAG


@dataclass(frozen=True, repr=False)
class FinishedRun:
    """
    How a DAG run ended, and what it left behind.

    ``states`` and ``errors`` go by task id, for mapped tasks by ``task_id[map_index]``.
    """

    dag_id: str
    run_id: str
    state: str
    #: The state of each task instance.
    states: dict[str, str]
    #: What each task that failed raised, in its last try.
    errors: dict[str, BaseException]
    #: What Airflow and the tasks logged.
    log: str = field(compare=False)

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """
        Give what a task pushed. It is read when you ask, which has to be in the same test.

        :param task_id: The task.
        :param key: The key it was pushed under (default: what the task returned).
        :param map_index: Which of a mapped task's instances (default: it is not mapped).
        :return: The value; None where nothing was pushed.
        """
        from airflow.models.xcom import XComModel
        from airflow.sdk.execution_time.xcom import XCom
        from airflow.utils.session import create_session

        known = {"dag_id": self.dag_id, "run_id": self.run_id, "task_id": task_id}
        with create_session() as session:
            pushed = session.query(XComModel).filter_by(key=key, map_index=map_index, **known).one_or_none()
            return pushed and XCom.deserialize_value(pushed)

    def __repr__(self) -> str:
        failed = [
            f"{task}: {self.errors.get(task, state)}"
            for task, state in self.states.items()
            if state == "failed"
        ]
        return f"<{'; '.join([f'{self.dag_id} {self.state}', *failed])}>"


class DagRunner:
    """
    Runs DAGs, in a database of the test's own.

    :param where: The folder of the test.
    :param patch: Ends in the test's end what is changed for a run.
    :param report: Takes a line on each run, to be shown when the test fails.
    """

    def __init__(self, where: Path, patch: pytest.MonkeyPatch, report: Callable[[str], None]) -> None:
        self._where = where
        self._patch = patch
        self._report = report
        self._folders: set[Path] = set()
        self._modules = set(sys.modules)

    def __call__(
        self,
        file: str | Path,
        dag_id: str | None = None,
        *,
        conf: dict[str, Any] | None = None,
        **options: Any,
    ) -> FinishedRun:
        """
        Run a DAG to its end, as ``airflow dags test`` does. Retries follow at once.

        :param file: The file of the DAG: an absolute path, or one from the folder of the test or from any
            folder above it.
        :param dag_id: The DAG, where the file has several (default: the only one).
        :param conf: The run's configuration, which sets the DAG's params.
        :param options: More for Airflow's ``DAG.test()``, such as ``logical_date``.
        :return: How it ended.
        :raises FileNotFoundError: When there is no such file.
        :raises ValueError: When the file does not have that DAG, or has several and none was named.
        """
        dag = self._read(self._find(Path(file)), dag_id)
        errors: dict[str, BaseException] = {}
        # Airflow's own warnings are not for its users to mend.
        with warnings.catch_warnings(), _recorded_errors(errors), _recorded_log() as log:
            warnings.simplefilter("ignore")
            run = dag.test(run_conf=conf, **options)
            states = {_name(ti): str(ti.state) for ti in run.get_task_instances()}
        errors = {name: error for name, error in errors.items() if states.get(name) == "failed"}
        text = re.sub(r"\x1b\[[\d;]*m", "", log.getvalue())  # colours
        finished = FinishedRun(dag.dag_id, run.run_id, str(run.state), states, errors, text)
        self._report(repr(finished))
        return finished

    def forget_modules(self) -> None:
        """Forget what DAGs have imported from their folder: for the next test it is read anew."""
        for name in set(sys.modules) - self._modules:
            file = Path(getattr(sys.modules[name], "__file__", None) or "/")
            top = name.partition(".")[0]
            if any(file == folder / f"{top}.py" or folder / top in file.parents for folder in self._folders):
                del sys.modules[name]

    def _find(self, file: Path) -> Path:
        for folder in (self._where, *self._where.parents):
            if (folder / file).is_file():
                return folder / file
        raise FileNotFoundError(f"{file} is neither in {self._where} nor in a folder above it.")

    def _read(self, file: Path, dag_id: str | None) -> DAG:
        from airflow import settings

        folder = next((folder for folder in file.parents if folder.name == "dags"), file.parent)
        self._folders.add(folder)
        self._patch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(folder))
        self._patch.setattr(settings, "DAGS_FOLDER", str(folder))
        if str(folder) not in sys.path:
            # At its end, as Airflow does.
            self._patch.setattr(sys, "path", [*sys.path, str(folder)])
        dags = _dags_in(file)
        if dag_id is None and len(dags) == 1:
            (dag_id,) = dags
        if dag_id not in dags:
            raise ValueError(
                f"{file} has these DAGs: {', '.join(sorted(dags)) or 'none'}. Say which with dag_id."
            )
        dag = dags[dag_id]
        for task in dag.tasks:
            task.retry_delay = timedelta(0)
        # A run changes them, also where a module that is shared defines them.
        for owner in (dag, *dag.tasks):
            owner.params = deepcopy(owner.params)
        return dag


def _dags_in(file: Path) -> dict[str, DAG]:
    """Read a file and store its DAGs, as Airflow's DAG processor does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from airflow.dag_processing.bundles.manager import DagBundlesManager

        try:
            from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
        except ImportError:  # Airflow 3.1
            from airflow.models.dagbag import DagBag, sync_bag_to_db  # type: ignore[no-redef]
    bag = DagBag(str(file), safe_mode=False)
    if bag.import_errors:
        pytest.fail("\n".join([f"{file} does not import:", *bag.import_errors.values()]), pytrace=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        DagBundlesManager().sync_bundles_to_db()
        sync_bag_to_db(bag, "tests", None)
    return bag.dags


def _name(ti: Any) -> str:
    return str(ti.task_id) if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"


@contextmanager
def _recorded_errors(errors: dict[str, BaseException]) -> Iterator[None]:
    """Note what tasks raise; ``DAG.test()`` only logs it."""
    from airflow.sdk.execution_time import supervisor

    run = supervisor.run_task_in_process

    def run_and_note(ti: Any, task: Any, **options: Any) -> Any:
        result = run(ti, task, **options)
        if isinstance(result.error, KeyboardInterrupt):
            # Airflow takes it for the task's failure; whoever pressed Ctrl-C wants the session to end.
            raise result.error
        if result.error is not None:
            errors[_name(ti)] = result.error
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervisor, "run_task_in_process", run_and_note)
        yield


@contextmanager
def _recorded_log() -> Iterator[StringIO]:
    """Note what is logged, as it is printed."""
    import structlog

    text = StringIO()

    def note(_logger: Any, _method: str, line: Any) -> Any:
        text.write(f"{line}\n")
        return line

    root, handler = logging.getLogger(), logging.StreamHandler(text)
    formatters = [other.formatter for other in root.handlers]
    by_structlog = [one for one in formatters if isinstance(one, structlog.stdlib.ProcessorFormatter)]
    handler.setFormatter(next(iter(by_structlog), None))
    # In place, since loggers that were made before share it.
    processors = structlog.get_config()["processors"]
    processors.append(note)
    root.addHandler(handler)
    try:
        yield text
    finally:
        root.removeHandler(handler)
        processors.remove(note)
