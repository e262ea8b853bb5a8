"""The fixture ``kie_simulator``; tests/dags/test_pytest_plugin.py tries it in projects of others."""

from __future__ import annotations

import pytest

from airflow_provider_kie.hooks.kie import KieHook


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_a_proxy_is_not_asked_for_the_simulator(
    name: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    for unset in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(unset, raising=False)
    monkeypatch.setenv(name, "example.com")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    request.getfixturevalue("kie_simulator")
    assert KieHook().get_credits() == 100
