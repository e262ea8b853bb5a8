"""
Measure what a DAG file pays for importing operators and sensors: ``python -m benchmarks.imports``.

Beside it, what Airflow takes for as many empty ones.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import multiprocessing
import os
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

PACKAGE = "airflow_provider_kie"
FLOOR = "empty_operators"
# Of each public module, the base classes in Airflow of the classes in it.
MODULES = {
    "operators.files": ["BaseOperator", "BaseOperator"],
    "operators.credits": ["BaseBranchOperator"],
    "operators.chat": ["BaseOperator"],
    "operators.jobs": ["BaseOperator"],
    "sensors.credits": ["BaseSensorOperator"],
    "sensors.jobs": ["BaseSensorOperator"],
}
UPLOAD = ["operators.files"]
EMPTY = """
class Empty{number}({base}):
    template_fields = ("a", "b", "c", "d")

    def __init__(self, *, a, b, c=None, d=None, e=None, f=None, g=None, **kwargs):
        super().__init__(**kwargs)

    def execute(self, context):
        pass
"""

# Wall and processor milliseconds, and modules.
Cost = tuple[float, float, float]


def main(arguments: list[str] | None = None) -> int:
    """
    Measure and print.

    :param arguments: Of the command line.
    :return: 0, whatever it costs.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imports", description=__doc__)
    parser.add_argument("--rounds", type=int, default=101, help="how often each is imported (101)")
    rounds = parser.parse_args(arguments).rounds
    # As installed packages have it, whatever PYTHONDONTWRITEBYTECODE says here.
    sys.dont_write_bytecode = False
    with tempfile.TemporaryDirectory() as folder:
        write_floor(Path(folder))
        sys.path.insert(0, folder)
        load_airflow()
        print(f"{'medians':26}  wall ms  CPU ms  modules  x CPU of the empty ones")
        compare("KieUploadOperator", UPLOAD, rounds)
        compare("all operators and sensors", list(MODULES), rounds)
    print(f"load of this machine: {os.getloadavg()[0]:.1f} of {os.cpu_count()} processors")
    return 0


def write_floor(folder: Path) -> None:
    """
    Write the package of empty operators.

    :param folder: Where; it is there.
    """
    for name, bases in MODULES.items():
        path = folder / FLOOR / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        for package in (path.parent, path.parent.parent):
            (package / "__init__.py").touch()
        imports = "".join(f"from airflow.sdk import {base}\n" for base in set(bases))
        classes = [EMPTY.format(number=number, base=base) for number, base in enumerate(bases)]
        path.write_text(imports + "".join(classes))


def load_airflow() -> None:
    """Load what DAG files have of Airflow, and keep the garbage collector off it, as Airflow does."""
    from airflow.sdk import DAG, BaseBranchOperator, BaseOperator, BaseSensorOperator  # noqa: F401

    gc.freeze()


def compare(what: str, modules: list[str], rounds: int) -> None:
    """
    Import ours and the empty ones in turn, each in a process of its own, and print the medians.

    :param what: Name of the row.
    :param modules: Modules to import, without the package.
    :param rounds: How often.
    """
    costs: dict[str, list[Cost]] = {PACKAGE: [], FLOOR: []}
    # The first one may have to write bytecode.
    for number in range(rounds + 1):
        for package, measured in costs.items():
            cost = import_apart([f"{package}.{module}" for module in modules])
            if number:
                measured.append(cost)
    ours, floor = costs.values()
    ratio = median(one[1] / other[1] for one, other in zip(ours, floor, strict=True))
    for name, measured, times in ((what, ours, ratio), ("  as many empty ones", floor, 1.0)):
        wall, cpu, count = (median(column) for column in zip(*measured, strict=True))
        print(f"{name:26} {wall:8.2f} {cpu:7.2f} {count:8.0f} {times:9.2f}")


def import_apart(modules: list[str]) -> Cost:
    """
    Import modules in a fork of this process, as Airflow's DAG processor does.

    :param modules: Their names.
    :return: What it cost.
    """
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_import, args=(modules, there))
    process.start()
    there.close()
    cost: Cost = here.recv()
    process.join()
    return cost


def _import(modules: list[str], answer: Connection) -> None:
    before = len(sys.modules)
    wall, cpu = time.perf_counter(), time.process_time()
    for module in modules:
        importlib.import_module(module)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    answer.send((wall * 1000, cpu * 1000, len(sys.modules) - before))


if __name__ == "__main__":
    sys.exit(main())
