"""Waiting for credits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import PokeReturnValue

from airflow_provider_kie._compat import conf
from airflow_provider_kie.sensors._base import KieBaseSensor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_kie.client.errors import KieError
    from airflow_provider_kie.decisions.credits import Condition, CreditsGoal
    from airflow_provider_kie.decisions.waiting import ConsecutiveFailures, Decision
    from airflow_provider_kie.triggers.credits import KieCreditsTrigger


class KieCreditsSensor(KieBaseSensor):
    """
    Wait until the account has enough credits, or too few; free.

    A transient failure (rate limit, maintenance, 5xx, network) is "not yet", until ``timeout``. What kie.ai
    says of the key, that it is wrong or its cap reached, ends the sensor at once. Anything else that looks
    permanent may be a proxy's page, and ends it the third time in a row; a connection that is not found may
    be an outage of Airflow's, and ends it the tenth time. ``soft_fail`` makes none of these a skip.

    :param threshold: Credits. (templated)
    :param condition: ``at_least`` the threshold, or ``below`` it. (templated)
    :param deferrable: Wait in the triggerer, without a worker; by default as
        ``[operators] default_deferrable`` says. ``mode`` then has no meaning.
    :param kie_conn_id: Airflow connection. (templated)
    :return: The balance, a number.
    :raises ValueError: The threshold is no number, or there is no such condition.
    :raises AirflowSensorTimeout: The balance did not come within ``timeout`` seconds.
    :raises KieError: A failure that waiting does not mend, as above.

    kie.ai page: https://docs.kie.ai/common-api/get-account-credits
    """

    template_fields: Sequence[str] = ("threshold", "condition", "kie_conn_id")
    ui_color = "#fff2cc"

    def __init__(
        self,
        *,
        threshold: float | str,
        condition: Condition = "at_least",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        kie_conn_id: str = "kie_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold
        self.condition = condition
        self.deferrable = deferrable
        self.kie_conn_id = kie_conn_id

    def poke(self, context: Context) -> PokeReturnValue:
        """Ask for the balance once."""
        from airflow_provider_kie.client.errors import KieError
        from airflow_provider_kie.hooks.kie import KieHook

        try:
            # One request a poke: the interval is the retry.
            balance = KieHook(self.kie_conn_id).get_credits(max_retries=0)
        except KieError as error:
            if self._judge(error, context).outcome == "fail":
                raise
            return PokeReturnValue(is_done=False)
        is_done = self._judge(balance, context).outcome == "done"
        return PokeReturnValue(is_done=is_done, xcom_value=balance)

    @property
    def _subject(self) -> str:
        return f"a balance that is {self._goal()} credits"

    def _check_arguments(self) -> None:
        self._goal()

    def _goal(self) -> CreditsGoal:
        from airflow_provider_kie.decisions.credits import CreditsGoal

        return CreditsGoal.parse(self.threshold, self.condition)

    def _decide(self, failures: ConsecutiveFailures, poll: float | KieError, context: Context) -> Decision:
        from airflow_provider_kie.decisions.credits import decide

        return decide(self._goal(), failures, poll)

    def _trigger(self) -> KieCreditsTrigger:
        from airflow_provider_kie.triggers.credits import KieCreditsTrigger

        goal = self._goal()
        return KieCreditsTrigger(
            threshold=goal.threshold,
            condition=goal.condition,
            poke_interval=self.poke_interval,
            kie_conn_id=self.kie_conn_id,
            silent_fail=self.silent_fail,
        )

    def _read(self, event: dict[str, Any] | None) -> float:
        from airflow_provider_kie.triggers.credits import read_event

        balance = read_event(event)
        self.log.info("The balance is %.15g credits", balance)
        return balance
