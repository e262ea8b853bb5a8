"""What may import what, and what importing costs; looked at in fresh interpreters and in the source."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import airflow.sdk
import pytest

import airflow_provider_kie

BRANCH_OF_3_1 = "airflow.providers.standard.operators.branch"
PACKAGE = Path(airflow_provider_kie.__file__).parent

# From the bottom up: a module may import those above it in this list, never those below.
LAYERS = [
    "client.errors",
    "client.codes",
    "client.urls",
    "client.settings",
    "client.arguments",
    "client.webhooks",
    "client.call",
    "client.portable",
    "client.answers",
    "client.retries",
    "client.api.credits",
    "client.api.files",
    "client.api.families",
    "client.api.records",
    "client.api.jobs",
    "client.api.chat",
    "client.api.chunks",
    "client.http.environment",
    "client.http.failures",
    "client.http.deadlines",
    "client.http.framing",
    "client.http.weak",
    "client.http.sockets",
    "client.http.connections",
    "client.http.redaction",
    "client.http.multipart",
    "client.http.requests",
    "client.http.responses",
    "client.http.session",
    "client.client",
    "client.streams",
    "client.transfer.progress",
    "client.transfer.sink",
    "client.transfer.heads",
    "client.transfer.web",
    "client.transfer.upload",
    "client.transfer.download",
    "decisions.waiting",
    "decisions.waiting_log",
    "decisions.credits",
    "decisions.jobs",
    "_compat",
    "_state",
    "links",
    "retry_policy",
    "_rendering",
    "_tasks",
    "_outlets",
    "get_provider_info",
    "assets",
    "files.results",
    "files.shutdown",
    "files.local",
    "files.object_stores",
    "files.storage",
    "files.sources",
    "files.batch",
    "files.upload",
    "files.download",
    "hooks._metrics",
    "hooks._lineage",
    "hooks.settings",
    "hooks._base",
    "hooks._form",
    "hooks._jobs",
    "hooks._chat",
    "hooks.kie",
    "notifications.credits",
    "triggers._accounts",
    "triggers._events",
    "triggers._polling",
    "triggers._budget",
    "triggers._poller",
    "triggers._memory",
    "triggers._acknowledged",
    "triggers.credits",
    "triggers.jobs",
    "sensors._rescheduled",
    "sensors._base",
    "sensors.credits",
    "sensors.jobs",
    "operators._job_memory",
    "operators._order",
    "operators._generation",
    "operators._finished",
    "operators._reuse",
    "operators.chat",
    "operators.credits",
    "operators.files",
    "operators.jobs",
]


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.splitlines()[-1]


def imports_of(path: Path) -> set[str]:
    """What a module imports of ours, for types too; without the package's name."""
    names = imported(ast.parse(path.read_text()))
    ours = "airflow_provider_kie."
    return {name.removeprefix(ours) for name in names if name.startswith(ours)}


def imported(tree: ast.AST, *, for_types: bool = True) -> set[str]:
    """The modules that are imported, and the names from them; those for types alone only if asked for."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not for_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        found |= imported(node, for_types=for_types)
    return found


def test_every_module_has_its_layer() -> None:
    modules = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py" and not {"simulator", "testing"} & set(path.relative_to(PACKAGE).parts)
    }
    assert modules == set(LAYERS)


@pytest.mark.parametrize("module", LAYERS)
def test_imports_go_one_way(module: str) -> None:
    imported = imports_of(PACKAGE / f"{module.replace('.', '/')}.py") & set(LAYERS)
    assert [name for name in imported if LAYERS.index(name) >= LAYERS.index(module)] == []


def test_the_simulator_and_the_client_know_nothing_of_each_other() -> None:
    for path in PACKAGE.rglob("*.py"):
        package = path.relative_to(PACKAGE).parts[0]
        allowed = {"simulator": {"simulator"}, "testing": {"simulator", "testing"}}.get(package)
        for name in imports_of(path):
            imported_package = name.partition(".")[0]
            is_right = (
                imported_package in allowed if allowed else imported_package not in ("simulator", "testing")
            )
            assert is_right, f"{path} imports {name}"


def test_decisions_know_nothing_but_decisions() -> None:
    for path in (PACKAGE / "decisions").glob("*.py"):
        assert [name for name in imports_of(path) if not name.startswith("decisions.")] == []


def test_client_and_decisions_know_nothing_of_airflow() -> None:
    modules = [
        f"airflow_provider_kie.{name}" for name in LAYERS if name.startswith(("client.", "decisions."))
    ]
    code = (
        f"import sys, {', '.join(modules)}; print([m for m in sys.modules if m.split('.')[0] == 'airflow'])"
    )
    assert run_python(code) == "[]"


def test_httpx_is_loaded_in_one_room() -> None:
    rooms = {
        ".".join(path.relative_to(PACKAGE).parts[:-1])
        for path in PACKAGE.rglob("*.py")
        for name in imported(ast.parse(path.read_text()), for_types=False)
        if name.partition(".")[0] in ("httpx", "httpcore", "h11")
    }
    assert rooms == {"client.http", "simulator"}


def test_the_package_itself_costs_nothing_to_import() -> None:
    code = "import sys; n = len(sys.modules); import airflow_provider_kie; print(len(sys.modules) - n)"
    assert run_python(code) == "1"


def test_a_dag_file_pays_for_at_most_15_modules() -> None:
    # Airflow's own base classes are the floor; below 3.2 the branch's is in its standard provider.
    branch = "airflow.sdk" if hasattr(airflow.sdk, "BaseBranchOperator") else BRANCH_OF_3_1
    code = (
        "import sys, json; from airflow.sdk import DAG, BaseOperator, BaseSensorOperator;"
        f"from {branch} import BaseBranchOperator;"
        "before = set(sys.modules);"
        "from airflow_provider_kie.operators.files import KieUploadOperator, KieDownloadOperator;"
        "from airflow_provider_kie.operators.credits import KieCreditsBranchOperator;"
        "from airflow_provider_kie.operators.chat import KieChatOperator;"
        "from airflow_provider_kie.operators.jobs import KieGenerateOperator;"
        "from airflow_provider_kie.sensors.credits import KieCreditsSensor;"
        "from airflow_provider_kie.sensors.jobs import KieJobSensor;"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    modules = json.loads(run_python(code))
    assert len(modules) <= 15, modules
    assert not [
        name for name in modules if name.startswith(("airflow_provider_kie.client", "airflow.triggers"))
    ]


def test_a_dag_file_with_one_operator_pays_for_that_alone() -> None:
    code = (
        "import sys, json; from airflow.sdk import DAG, BaseOperator; before = set(sys.modules);"
        "from airflow_provider_kie.operators.files import KieUploadOperator;"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    ours = {"_compat", "_tasks", "retry_policy", "operators", "operators.files"}
    modules = {name.removeprefix("airflow_provider_kie.") for name in json.loads(run_python(code))}
    assert modules - {"airflow_provider_kie", "airflow.sdk.definitions.retry_policy"} == ours


def test_a_notifier_costs_a_dag_file_itself_alone() -> None:
    code = (
        "import sys; from airflow.sdk import DAG, BaseNotifier; before = set(sys.modules);"
        "from airflow_provider_kie.notifications.credits import KieLowCreditsNotifier;"
        "print(len(set(sys.modules) - before))"
    )
    # Its package, and the two above it.
    assert int(run_python(code)) <= 3


def test_the_pytest_plugin_does_not_load_the_simulator() -> None:
    code = "import sys, airflow_provider_kie.testing.pytest_plugin; print('fastapi' in sys.modules)"
    assert run_python(code) == "False"
