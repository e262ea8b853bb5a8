"""The hook's verbs for chat: what they send and log, and what they refuse before they look anything up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_kie.client.errors import KieError
from airflow_provider_kie.hooks.kie import KieHook

VERBS = ["chat", "stream_chat"]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    "bad",
    [
        {"messages": None},
        {"messages": ""},
        {"messages": [{"content": "a"}]},
        {"model": None},
        {"model": 5},
        {"model": ""},
        {"model": "../x"},
        {"model": "{model}"},
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": timedelta(0)},
        {"timeout": float("nan")},
        {"timeout": True},
        {"timeout": None},
        {"timeout": "soon"},
        {"options": {"stream": True}},
        {"options": {"tools": {1}}},
    ],
    ids=str,
)
def test_bad_arguments_are_refused_before_the_connection_is_even_looked_up(
    verb: str, bad: dict[str, Any]
) -> None:
    (name, value) = next(iter(bad.items()))
    more = value if name == "options" else {}
    arguments = {"messages": "Hello", "model": "a-model", **({} if more else bad), **more}
    with pytest.raises(ValueError, match=rf"^{name}\b") as caught:
        getattr(KieHook("kie_nowhere"), verb)(**arguments)
    assert not isinstance(caught.value, KieError)
