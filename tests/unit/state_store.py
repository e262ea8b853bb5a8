"""A task's memory between its tries, as the tests of operators and sensors play it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class StateStore:
    """As much of Airflow 3.3's task state store as is used: JSON that outlives a try; empty, it is falsy."""

    values: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    on_call: Callable[[], None] = lambda: None

    def get(self, key: str) -> Any:
        self._called("get")
        return json.loads(self.values[key]) if key in self.values else None

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self._called("set")
        self.values[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self._called("delete")
        self.values.pop(key, None)

    def __len__(self) -> int:
        return len(self.values)

    def _called(self, name: str) -> None:
        self.calls.append(name)
        self.on_call()
