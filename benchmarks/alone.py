"""The credits sensor as it would be with plain triggers: each polls for itself."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import timedelta
from typing import Any, NoReturn

from airflow_provider_kie.decisions.credits import CreditsGoal
from airflow_provider_kie.sensors.credits import KieCreditsSensor
from airflow_provider_kie.triggers.credits import KieCreditsTrigger


class AloneTrigger(KieCreditsTrigger):
    """Shares nothing, so that Airflow calls its ``run()``, as it does with any plain trigger."""

    def shared_stream_key(self) -> Hashable | None:
        """Name no poll."""
        return None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give what recreates the trigger."""
        return f"{__name__}.AloneTrigger", super().serialize()[1]


class AloneSensor(KieCreditsSensor):
    """Waits with :class:`AloneTrigger`, in everything else the same."""

    def _defer(self, goal: CreditsGoal) -> NoReturn:
        trigger = AloneTrigger(
            threshold=goal.threshold,
            condition=goal.condition,
            poke_interval=self.poke_interval,
            kie_conn_id=self.kie_conn_id,
        )
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))
