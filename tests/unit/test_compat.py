from __future__ import annotations

from collections.abc import Callable

import pytest
from airflow.sdk import Connection

from airflow_provider_kie._compat import aget_connection

Connect = Callable[..., str]


async def test_a_connection_comes_on_an_event_loop(connect: Connect) -> None:
    connect("kie_b")
    assert (await aget_connection("kie_b")).password == "a-key"


async def test_it_comes_where_airflow_has_no_safe_way_of_its_own(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Connection, "aextra_dejson", raising=False)
    connect("kie_b")
    assert (await aget_connection("kie_b")).password == "a-key"
