"""
A small kie.ai on this machine, for demos and tests that need neither an account nor the internet.

    with KieSimulator(credits=100) as kie:
        os.environ["AIRFLOW_CONN_KIE_DEFAULT"] = kie.connection()

``python -m airflow_provider_kie.simulator`` serves the same from a shell, and the pytest fixture
``kie_simulator`` starts one for a test.

It answers as the real service was recorded to, or as its pages say. Where neither says anything, a comment
``invented:`` in the code marks the answer; build nothing on those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_kie.simulator.callbacks import Callback
    from airflow_provider_kie.simulator.chats import SimulatedChat
    from airflow_provider_kie.simulator.files import UploadedObject
    from airflow_provider_kie.simulator.jobs import SimulatedJob
    from airflow_provider_kie.simulator.server import KieSimulator
    from airflow_provider_kie.simulator.state import RecordedRequest

__all__ = ["Callback", "KieSimulator", "RecordedRequest", "SimulatedChat", "SimulatedJob", "UploadedObject"]

_HOMES = {
    "Callback": "callbacks",
    "KieSimulator": "server",
    "RecordedRequest": "state",
    "SimulatedChat": "chats",
    "SimulatedJob": "jobs",
    "UploadedObject": "files",
}


# Wherever the provider is installed, every pytest session imports this package for its plugin: FastAPI and
# uvicorn wait until a simulator is really wanted.
def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
