from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

from tests.fake_host import FakeHost

# What it keeps between runs does not lie about in the working folder.
set_hypothesis_home_dir(os.path.join(os.environ["AIRFLOW_HOME"], "hypothesis"))

# The same examples every time and everywhere: a failure here is never an accident of the day.
settings.register_profile(
    "kie",
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("kie")


@pytest.fixture(scope="module")
def host() -> Iterator[FakeHost]:
    """Give one host to all examples."""
    with FakeHost() as host:
        yield host
