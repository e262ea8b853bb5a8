"""What reading the example DAGs costs whoever reads them every few seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.structure.classes import ROOT


def test_reading_the_examples_asks_no_database(tmp_path: Path) -> None:
    database = tmp_path / "airflow.db"
    paths = [str(path) for path in sorted((ROOT / "example_dags").glob("*.py"))]
    code = f"import runpy\nfor path in {paths}: runpy.run_path(path)"
    environment = {**os.environ, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    # SQLite makes the file for the first query.
    assert not database.exists()
