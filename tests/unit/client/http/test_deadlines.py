from __future__ import annotations

import httpx
import pytest

from airflow_provider_kie.client.http.deadlines import Deadline


def test_without_time_left_the_next_step_is_not_begun() -> None:
    deadline = Deadline(0.0)
    with pytest.raises(httpx.ReadTimeout, match="no time left"):
        deadline.limit(5.0)
